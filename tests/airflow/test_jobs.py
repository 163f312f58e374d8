"""The table of jobs: one poll per source at its own calendar, commands that exist. Needs no Airflow."""

import json
import re
from dataclasses import replace

import pytest
import typer

from correnteza import cli, jobs
from producers import sources
from producers.calendars import Calendar
from tests.helpers import ROOT

JOBS = {job.name: job for job in jobs.table(sources.load_all())}
WRITTEN = ROOT / "deploy/airflow/dags/jobs.json"


def unlike(table):
    """The oracle: sources that are not polled once, when the schedule polls them, and polls of something else."""
    polled = [(job.command[1], job.calendar) for job in table if job.command[0] == "poll"]
    wanted = [(source.name, source.calendar) for source in sources.load_all().values()]
    return [f"{name} at {calendar}" for name, calendar in set(polled) ^ set(wanted)] + [
        f"{name} is polled twice" for name, _ in set(polled) if [each for each, _ in polled].count(name) > 1
    ]


def test_control_each_source_is_polled_at_the_slots_of_the_schedule_s_own_calendar(control):
    control.holds(unlike, JOBS.values())
    moved = replace(JOBS["poll_bcb_sgs"], calendar=Calendar(("12 5 * * *",)))
    control.objects(unlike, [moved, *JOBS.values()], damage="bcb_sgs at Calendar(crons=('12 5 * * *',)")


def test_the_table_that_airflow_reads_is_this_one():
    assert WRITTEN.read_text(encoding="utf-8") == jobs.as_json(list(JOBS.values())), "run: make dags"


def filled(argument):
    """An argument as Airflow would fill it in."""
    return re.sub(r"\{\{.*\}\}", "2025-11-10T00:23:00+00:00", argument)


def refused(arguments):
    """The oracle: why the command line would not take a command. Nothing is run."""
    command, name, rest = typer.main.get_command(cli.app), "correnteza", list(arguments)
    context = None
    try:
        while True:
            context = command.make_context(name, rest, parent=context)
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            if not isinstance(command, typer.core.TyperGroup) or not rest:
                return []
            name, command, rest = command.resolve_command(context, rest)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


@pytest.mark.parametrize("name", JOBS)
def test_every_job_is_a_command_that_exists(name):
    assert refused([filled(each) for each in JOBS[name].command]) == []


def test_control_a_command_that_does_not_exist_is_found(control):
    control.holds(refused, ["marts", "build", "--exit-99"])
    control.objects(refused, ["marts", "build", "--exit-98"], damage="--exit-98")


def test_every_job_has_one_way_to_start_and_follows_an_output_of_another_job():
    for job in JOBS.values():
        ways = [bool(job.calendar), bool(job.follows), bool(job.asks)]
        assert ways.count(True) == 1, job.name
        for other in (*job.follows, *job.reads):
            assert JOBS[other].makes, f"{job.name} follows {other}, which makes nothing"


def test_what_a_person_says_cannot_become_an_option():
    """Everything after `--` is an argument, whatever it begins with."""
    for job in JOBS.values():
        for place, argument in enumerate(job.command):
            if "params." in argument:
                assert "--" in job.command[:place], job.name
    assert json.loads(WRITTEN.read_text(encoding="utf-8"))["format"] == jobs.FORMAT

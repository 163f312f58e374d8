"""The table of jobs: what another scheduler, such as Airflow, runs of the command line, and when.

Polls have the calendars of their sources, which `schedule` reads, too. `python -m correnteza.jobs` (`make dags`) writes
the table for the DAG file, which imports nothing of ours.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from producers import sources
from producers.calendars import Calendar
from producers.model import Source

FORMAT = 1

SLOT = "{{ dag_run.run_after.isoformat() }}"
"""Filled in by Airflow: the instant of the calendar for which a run was made; now, if a person started it."""


@dataclass(frozen=True)
class Job:
    """One command of the table.

    Attributes:
        command: arguments of `correnteza`. Those in {{ }} are filled in for each run.
        calendar: when it is due; None if it follows others, or if a person starts it.
        follows: jobs with news of which it starts.
        reads: jobs whose data it uses without waiting for them.
        makes: the data that it changes; None for none.
        asks: what a person who starts it must say.
        hours: after which an attempt is ended.
    """

    name: str
    about: str
    command: tuple[str, ...]
    calendar: Calendar | None = None
    follows: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    makes: str | None = None
    asks: tuple[str, ...] = ()
    hours: int = 2


def poll(source: Source) -> Job:
    """A source's poll, at each slot of its calendar."""
    command = ("poll", source.name, "--slot", SLOT, "--json")
    about = f"Poll {source.name} and publish what is new."
    return Job(f"poll_{source.name}", about, command, source.calendar, makes=f"topics/{source.name}", hours=6)


def table(polled: Mapping[str, Source]) -> list[Job]:
    """All jobs: a poll of each source, and what is done with the lake."""
    polls = [poll(each) for each in polled.values()]
    every_source = tuple(each.name for each in polls)
    return [
        *polls,
        Job(
            "verify",
            "Prove that nothing was lost or doubled; what follows reads a lake that was proved.",
            ("verify", "--json"),
            Calendar(("17 * * * *",)),
            reads=every_source,
            makes="lake/verified",
        ),
        Job("quality", "Scores of what the sources sent; exit 3 below the bar.", ("quality",), follows=("verify",)),
        Job(
            "marts",
            "Tables in SQL over silver and gold, after their suites.",
            ("marts", "build", "--json", "--exit-99"),
            follows=("verify",),
            makes="lake/marts",
        ),
        Job("suites", "Great Expectations on every table.", ("quality", "run-gx", "--json"), Calendar(("41 5 * * *",))),
        Job(
            "maintain",
            "Compact tables that no driver maintains, and remove what no reader needs.",
            ("maintain", "--exit-99"),
            Calendar(("27 3 * * *",)),
        ),
        Job(
            "forecasts",
            "Load the forecast files in <home>/forecasts.",
            ("forecasts", "load", "--exit-99"),
            Calendar(("13,43 * * * *",)),
            makes="gold/forecasts",
        ),
        Job(
            "track", "A run in MLflow for each forecast file.", ("forecasts", "track", "--json"), follows=("forecasts",)
        ),
        Job(
            "migrate",
            "Publish the rows of a file of an old system.",
            ("migrate", "run", "--", "{{ params.mapping }}", "{{ params.file }}"),
            makes="topics/legacy",
            asks=("mapping", "file"),
            hours=6,
        ),
        Job(
            "migrate_verify",
            "Compare a migrated file with the tables, once the driver has brought it to silver.",
            ("migrate", "verify", "--", "{{ params.dataset }}"),
            asks=("dataset",),
        ),
    ]


def as_json(jobs: list[Job]) -> str:
    """The table as the DAG file reads it; data are named by URI."""
    made = {job.name: f"correnteza://{job.makes}" for job in jobs if job.makes}
    rows = [
        {
            "name": job.name,
            "about": job.about,
            "command": job.command,
            "crons": job.calendar.crons if job.calendar else (),
            "zone": job.calendar.zone if job.calendar else "UTC",
            "follows": [made[each] for each in job.follows],
            "reads": [made[each] for each in job.reads],
            "makes": made.get(job.name),
            "asks": job.asks,
            "hours": job.hours,
            "retries": 3,
            "retry_seconds": 120,
        }
        for job in jobs
    ]
    return json.dumps({"format": FORMAT, "jobs": rows}, indent=1) + "\n"


if __name__ == "__main__":
    print(as_json(table(sources.load_all())), end="")

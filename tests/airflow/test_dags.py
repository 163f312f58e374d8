"""The DAGs as the real Airflow reads them, without a server or a database: `make test-airflow`."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from correnteza import cli, jobs
from producers import sources
from tests.airflow.environment import DAGS, installed, variables
from tests.helpers import ROOT

pytestmark = pytest.mark.airflow

TABLE = json.loads(jobs.as_json(jobs.table(sources.load_all())))["jobs"]
FIRST, LAST = datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 11, 15, tzinfo=UTC)


def read(folder, tmp_path):
    """What Airflow makes of a DAG folder."""
    program = [str(installed() / "python"), str(ROOT / "tests/airflow/as_json.py"), str(folder)]
    done = subprocess.run(
        [*program, FIRST.isoformat(), LAST.isoformat()],
        env=variables(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("JSON")]
    return json.loads(line.removeprefix("JSON"))


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return read(DAGS, tmp_path_factory.mktemp("airflow"))


def unlike(bag) -> list[str]:
    """The oracle: what of the DAGs is not as the table of jobs and the sources' calendars say."""
    wrong = [f"{name}: {error}" for name, error in bag["errors"].items()]
    dags = bag["dags"]
    wrong += [f"{name} is on one side only" for name in dags.keys() ^ {job["name"] for job in TABLE}]
    calendars = {job.name: job.calendar for job in jobs.table(sources.load_all())}
    for job in TABLE:
        dag = dags.get(job["name"], {})
        wanted = {
            "follows": job["follows"],
            "makes": [job["makes"]] if job["makes"] else [],
            "reads": sorted(job["reads"]),
            "arguments": job["command"],
            "asks": sorted(job["asks"]),
            "hours": job["hours"],
            "retries": 3,
            "max_active_runs": 1,
            "catchup": False,
            "pushes": False,
        }
        wrong += [f"{job['name']}: {each} is {dag.get(each)}" for each in wanted if dag.get(each) != wanted[each]]
        calendar = calendars[job["name"]]
        ours = [slot.isoformat() for slot in calendar.between(FIRST - timedelta(seconds=1), LAST)] if calendar else []
        theirs = [datetime.fromisoformat(each).astimezone(UTC).isoformat() for each in dag.get("slots", [])]
        wrong += [f"{job['name']}: Airflow runs at {each}" for each in sorted(set(theirs) - set(ours))[:3]]
        wrong += [f"{job['name']}: Airflow does not run at {each}" for each in sorted(set(ours) - set(theirs))[:3]]
    return wrong


def test_control_every_job_is_a_dag_with_the_slots_of_its_calendar(bag, tmp_path, control):
    control.holds(unlike, bag)
    for each in DAGS.glob("*.py"):
        (tmp_path / each.name).write_text(each.read_text())
    moved = (DAGS / "jobs.json").read_text().replace('"23 */3 * * *"', '"24 */3 * * *"')
    (tmp_path / "jobs.json").write_text(moved)
    damage = "poll_openmeteo_forecast: Airflow runs at 2025-11-01T00:24:00+00:00"
    control.objects(unlike, read(tmp_path, tmp_path / "home"), damage=damage)


def test_exit_codes_are_skipped_failed_at_once_or_tried_again(bag):
    assert bag["meanings"] == {
        "0": None,
        "99": "AirflowSkipException",
        "2": "AirflowFailException",
        "3": "AirflowFailException",
        **dict.fromkeys(("1", "4", "75", "143", "-9"), "AirflowException"),
    }
    assert {"2", "3", "99", "4", "75"} <= cli.EXIT_CODES.keys()


def test_a_command_does_not_get_what_is_airflow_s_alone(bag):
    assert bag["environment"] == {"CORRENTEZA_HOME": "h", "PATH": "/bin"}

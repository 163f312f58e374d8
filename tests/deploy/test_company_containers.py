"""The profile company: PostgreSQL with its three databases, and Airflow, a DAG of which polls a source.
`make test-containers`.

Of core only what a poll needs is started: broker, registry and topics. The clock is the real one, because Airflow's is.
"""

import json

import pytest

from foundation import clock
from tests.deploy.stack import inspected, started
from tests.helpers import wait_for

pytestmark = pytest.mark.containers

SERVICES = {"broker", "registry", "replay", "postgres", "airflow-api", "airflow-dags", "airflow-scheduler"}
ONCE = {"topics", "databases", "airflow-migrate"}
OWNERS = {"airflow_metadata": "airflow", "mlflow_tracking": "mlflow", "great_expectations": "quality"}
SOURCE = "ibge_municipalities"
POLL = f"poll_{SOURCE}"
SECONDS = 400


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compose")
    with started(folder, ("core", "demo", "company"), SERVICES, once=ONCE, without=clock.VARIABLE) as made:
        yield made


def rows(stack, query, database="airflow_metadata"):
    """A query's rows, asked by the administrator."""
    psql = 'PGPASSWORD=$POSTGRES_PASSWORD exec psql -h 127.0.0.1 -U postgres -AtF "|" -c "$1" "$2"'
    done = stack.inside("postgres", "sh", "-c", psql, "sh", query, database)
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines()]


def airflow(stack, *arguments):
    done = stack.inside("airflow-scheduler", "/opt/correnteza/.airflow/bin/airflow", *arguments)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def states(stack, dag):
    """States of the task of each run, oldest first."""
    query = (
        "SELECT task.state FROM task_instance task JOIN dag_run USING (dag_id, run_id)"
        f" WHERE dag_id = '{dag}' ORDER BY dag_run.id"
    )
    return [state for (state,) in rows(stack, query)]


def outcome(stack):
    """What `sources` says of the source's newest poll."""
    done = stack.inside("airflow-scheduler", "correnteza", "sources", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = (each for each in json.loads(done.stdout)["sources"] if each["source"] == SOURCE)
    return found


def test_every_service_becomes_healthy_and_what_is_done_once_has_ended_well(stack):
    found = stack.states()
    assert {name: found[name] for name in SERVICES} == dict.fromkeys(SERVICES, ("healthy", 0))
    ended = {
        each["Config"]["Labels"]["com.docker.compose.service"]: each["State"]["ExitCode"]
        for each in inspected("container")
        if each["State"]["Status"] == "exited"
    }
    assert ended == dict.fromkeys(ONCE, 0)


def test_each_database_belongs_to_its_role_which_cannot_use_another(stack):
    owned = rows(
        stack,
        "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'",
    )
    assert dict(owned) == OWNERS
    allowed = rows(
        stack,
        "SELECT rolname, datname FROM pg_roles, pg_database WHERE datallowconn AND rolcanlogin AND NOT rolsuper"
        " AND has_database_privilege(rolname, datname, 'CONNECT')",
    )
    assert {database: role for role, database in allowed} == OWNERS
    assert len(allowed) == len(OWNERS)


def test_a_dag_polls_a_source_once_and_its_second_run_is_skipped(stack):
    wait_for(lambda: rows(stack, f"SELECT 1 FROM dag WHERE dag_id = '{POLL}'"), "the DAG to be read", SECONDS)
    airflow(stack, "dags", "unpause", "--yes", POLL)
    airflow(stack, "dags", "trigger", POLL)
    wait_for(lambda: "success" in states(stack, POLL), "a run that publishes", SECONDS)
    assert outcome(stack)["last"]["outcome"] == "published"
    airflow(stack, "dags", "trigger", POLL)
    # Its own schedule may have made a run, too.
    ended = {"success", "skipped"}
    wait_for(lambda: set(states(stack, POLL)) == ended, "every run to end, one of them without news", SECONDS)
    assert states(stack, POLL).count("success") == 1


def test_suites_and_runs_go_into_their_databases(stack):
    suites = stack.inside("airflow-scheduler", "correnteza", "quality", "run-gx")
    assert suites.returncode == 0, suites.stdout + suites.stderr
    assert rows(stack, "SELECT count(*) FROM results_version", "great_expectations") == [["1"]]
    # No forecast is loaded here, so `forecasts track` has no file: MLflow itself is asked, as that command asks it.
    program = "import os, mlflow; mlflow.set_tracking_uri(os.environ['CORRENTEZA_MLFLOW_TRACKING']); mlflow.start_run()"
    runs = stack.inside("airflow-scheduler", "/opt/correnteza/.company/bin/python", "-c", program)
    assert runs.returncode == 0, runs.stdout + runs.stderr
    assert rows(stack, "SELECT count(*) FROM runs", "mlflow_tracking") == [["1"]]


def test_down_with_its_volumes_leaves_nothing(stack):
    stack.remove()
    assert [inspected(kind) for kind in ("container", "volume", "network")] == [[], [], []]

"""The real Airflow over a real PostgreSQL runs real commands: a failed try is repeated, new data starts what follows.

One test, because the processes take a minute to start.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from correnteza import jobs, topics
from correnteza.settings import Settings
from producers import sources
from replay.server import serve
from schemas import queues
from schemas.contracts import load_all
from tests.airflow.environment import DAGS
from tests.airflow.processes import airflow
from tests.company.postgres import holding, postgres, programs
from tests.helpers import ROOT, environment, wait_for
from tests.schedule_kit import read

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

PLANTED = "987654321"
SOURCE = sources.load("openmeteo_forecast")
SECONDS = 400
PRINTING = ["query", "SELECT 987654320 + 1 AS planted"]


def table() -> str:
    """The real poll, every minute and tried again after seconds; what follows it; and a command that cannot succeed."""
    (poll,) = json.loads(jobs.as_json([jobs.poll(SOURCE)]))["jobs"]
    poll |= {"crons": ["* * * * *"], "retry_seconds": 5}
    follower = poll | {"name": "printing", "command": PRINTING, "crons": [], "follows": [poll["makes"]], "makes": None}
    hopeless = poll | {"name": "hopeless", "command": ["poll", "nobody"], "makes": None}
    return json.dumps({"format": jobs.FORMAT, "jobs": [poll, follower, hopeless]})


@dataclass(frozen=True)
class DagRuns:
    server: str
    home: Path
    settings: Settings

    def rows(self, query: str, database: str = "airflow_metadata") -> list[list[str]]:
        """A query's rows, asked by the administrator."""
        place = urlsplit(self.server)
        done = subprocess.run(
            [programs() / "psql", "-h", str(place.hostname), "-p", str(place.port), "-U", str(place.username),
             "-AtF", "|", "-c", query, database],
            env={"PATH": "/usr/bin:/bin", "PGPASSWORD": unquote(str(place.password))},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return [line.split("|") for line in done.stdout.splitlines()]

    def tries(self, dag: str) -> list[tuple[str, int]]:
        """(state, tries) of each run's task, oldest first."""
        query = (
            "SELECT task.state, try_number FROM task_instance task JOIN dag_run USING (dag_id, run_id)"
            f" WHERE dag_id = '{dag}' ORDER BY run_after"
        )
        return [(state, int(tries)) for state, tries in self.rows(query)]

    def doctor(self, url: str) -> list[str]:
        """What `doctor` finds of Airflow's database."""
        done = subprocess.run(
            [ROOT / ".company/bin/python", "-m", "correnteza", "doctor", "--json"],
            env=environment(self.settings, {"CORRENTEZA_AIRFLOW_DATABASE": url}), cwd=self.home,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return [each["what"] for each in json.loads(done.stdout) if "airflow_metadata" in each["what"]]


@pytest.fixture
def runs(settings, tmp_path):
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    with postgres() as server:
        yield DagRuns(server, tmp_path, settings)


def database(runs: DagRuns) -> str:
    """Make the three databases with the product's own command. Returns: the URL of Airflow's."""
    place = urlsplit(runs.server)
    urls = {
        name: f"postgresql+psycopg2://{role}:{role}-pass-word@{place.hostname}:{place.port}/{base}"
        for name, role, base in [
            ("AIRFLOW_DATABASE", "airflow", "airflow_metadata"),
            ("MLFLOW_TRACKING", "mlflow", "mlflow_tracking"),
            ("QUALITY_DATABASE", "great_expectations", "great_expectations"),
        ]
    }
    urls["POSTGRES_ADMIN"] = f"{runs.server}/postgres"
    given = {f"CORRENTEZA_{name}": url for name, url in urls.items()}
    applied = [ROOT / ".company/bin/python", "-m", "correnteza", "databases", "apply"]
    subprocess.run(applied, env=environment(Settings(home=runs.home), given), cwd=runs.home, check=True)
    return urls["AIRFLOW_DATABASE"]


def test_control_a_failed_try_is_repeated_new_data_starts_what_follows_and_no_output_is_kept(runs, control, tmp_path):
    url = database(runs)
    dags, home = tmp_path / "dags", tmp_path / "airflow"
    home.mkdir()
    dags.mkdir()
    for each in DAGS.glob("*.py"):
        (dags / each.name).write_text(each.read_text())
    (dags / "jobs.json").write_text(table())
    with serve(day=1) as replay:
        ours = {
            "PATH": f"{ROOT / '.venv/bin'}:/usr/bin:/bin",
            "CORRENTEZA_HOME": str(runs.settings.home),
            "CORRENTEZA_TOPIC_PREFIX": runs.settings.topic_prefix,
            "CORRENTEZA_BASE_URLS": json.dumps(replay.base_urls),
        }
        poll = f"poll_{SOURCE.name}"
        with airflow(home, dags, url, **ours):
            # No broker is known yet: exit code 4.
            wait_for(lambda: ("up_for_retry", 1) in runs.tries(poll), "a try that fails", SECONDS)
            known = {"kafka_bootstrap": runs.settings.bootstrap, "registry_url": runs.settings.registry}
            runs.settings.run.mkdir(parents=True, exist_ok=True)
            (runs.settings.run / "endpoints.json").write_text(json.dumps(known))
            wait_for(lambda: any(state == "success" for state, _ in runs.tries(poll)), "a try that succeeds", SECONDS)
            state, tries = runs.tries(poll)[0]
            assert (state, tries > 1) == ("success", True), "it was tried again in the same run"
            wait_for(lambda: runs.tries("printing") == [("success", 1)], "what follows", SECONDS)
            wait_for(lambda: ("skipped", 1) in runs.tries(poll), "a slot that is done", SECONDS)
            wait_for(lambda: ("failed", 1) in runs.tries("hopeless"), "a command that is wrong", SECONDS)
            assert {tries for state, tries in runs.tries("hopeless") if state == "failed"} == {1}
            assert runs.tries("printing") == [("success", 1)], "what is skipped starts nothing"
        outcomes = read(runs.settings.bootstrap, runs.settings.topic_prefix + queues.OUTCOMES)
        assert [each["outcome"] for each in outcomes] == ["published"], "a slot is polled once"
    assert any(PLANTED in log.read_text() for log in (home / "logs").rglob("dag_id=printing/**/*.log"))
    control.holds(holding, runs.server, ["airflow_metadata"], PLANTED)
    control.holds(runs.doctor, url)
    runs.rows(f"CREATE TABLE another AS SELECT '{PLANTED}' AS val")
    control.objects(holding, runs.server, ["airflow_metadata"], PLANTED, damage="airflow_metadata holds 987654321")
    runs.rows("UPDATE alembic_version SET version_num = 'elsewhere'")
    control.objects(runs.doctor, url, damage="airflow_metadata has not the tables that")

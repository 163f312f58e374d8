"""Whether the tables of the metadata databases are those that the installed systems expect.

Each system has its own migrations. Only the environment that `make company` makes has SQLAlchemy, Alembic and MLflow;
Airflow's is asked as a command.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from correnteza.databases import OF_SETTINGS, address
from correnteza.settings import Settings
from correnteza.suites import results

AIRFLOW = ".airflow"
AIRFLOW_SECONDS = 120


@dataclass(frozen=True)
class Problem:
    """What is wrong with a database. kind: as of `doctor`'s findings."""

    kind: Literal["away", "advice"]
    what: str
    mend: str


def problems(settings: Settings) -> Iterator[Problem]:
    """What is wrong with each database that the settings name; nothing of one that is a local file."""
    for database, name in OF_SETTINGS.items():
        value = getattr(settings, name)
        if value is None or not value.get_secret_value().startswith("postgresql"):
            continue
        engine = sa.create_engine(address(name, value))
        try:
            yield from _of(database, engine)
        except OperationalError as error:
            told = str(error.orig).splitlines()[0]
            yield Problem("away", f"{database}: {told}", f"look at {name}; correnteza databases apply")
        finally:
            engine.dispose()


def _of(database: str, engine: sa.Engine) -> Iterator[Problem]:
    with engine.connect() as connection:
        tables = set(sa.inspect(connection).get_table_names())
        if not tables:
            yield Problem("advice", f"{database} has no tables yet", MAKES[database])
        elif database == "airflow_metadata":
            yield from _of_airflow(engine.url)
        else:
            held, expected = VERSIONS[database](connection)
            if held != expected:
                what = f"{database} has version {held} of its tables, and {expected} is expected"
                yield Problem("away", what, MENDS[database])


MAKES = {
    "airflow_metadata": ".airflow/bin/airflow db migrate",
    "mlflow_tracking": "correnteza forecasts track",
    "great_expectations": "correnteza quality run-gx",
}
MENDS = MAKES | {
    "mlflow_tracking": "back it up, then: .company/bin/mlflow db upgrade URL",
    "great_expectations": "use the release that made it, or another database",
}


def _of_mlflow(connection: sa.Connection) -> tuple[str | None, str | None]:
    mlflow = find_spec("mlflow")
    assert mlflow is not None, "it is in the same lock as SQLAlchemy"
    script = ScriptDirectory(str(Path(str(mlflow.origin)).parent / "store" / "db_migrations"))
    return MigrationContext.configure(connection).get_current_revision(), script.get_current_head()


def _of_results(connection: sa.Connection) -> tuple[int | None, int]:
    return results.held_version(connection), results.VERSION


VERSIONS = {"mlflow_tracking": _of_mlflow, "great_expectations": _of_results}


def _of_airflow(url: sa.URL) -> Iterator[Problem]:
    """Airflow knows its newest revision only where it is installed."""
    program = Path(sys.prefix).with_name(AIRFLOW) / "bin" / "airflow"
    if not program.exists():
        yield Problem("advice", "the version of airflow_metadata is not known here: no Airflow", "make airflow")
        return
    with tempfile.TemporaryDirectory() as home:
        variables = {
            "PATH": os.environ["PATH"],
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url.render_as_string(hide_password=False),
        }
        asked = [str(program), "db", "check-migrations", "--migration-wait-timeout", "0"]
        try:
            done = subprocess.run(asked, env=variables, capture_output=True, timeout=AIRFLOW_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            yield Problem("advice", "Airflow did not say in time which tables it expects", "correnteza doctor")
            return
    if done.returncode:
        what = "airflow_metadata has not the tables that the installed Airflow expects"
        yield Problem("away", what, MENDS["airflow_metadata"])

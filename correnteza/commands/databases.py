"""`correnteza databases`: where Airflow, MLflow and Great Expectations keep their metadata, in PostgreSQL."""

import typer

from correnteza.company import require
from correnteza.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=__doc__)


@app.callback()
def _group() -> None:
    """Where Airflow, MLflow and Great Expectations keep their metadata, in PostgreSQL."""


@app.command("apply")
def apply() -> None:
    """Make three databases and a role for each that can use no other, and print what was changed.

    The settings airflow_database, mlflow_tracking and quality_database say address, user and password of each;
    postgres_admin is the superuser that makes them. A password that was changed in a setting is changed in the server.
    Repeated, it changes nothing.

    Exit code 3 if a role has more rights, or a database another owner, than declared.
    """
    settings = Settings()
    require("psycopg2-binary")
    from correnteza import databases

    wanted = databases.owners(settings)
    changed = databases.apply(databases.address("postgres_admin", settings.postgres_admin), wanted)
    print("\n".join(changed) or "nothing to change")

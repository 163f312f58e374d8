"""`databases apply` on a real PostgreSQL: three databases, each of a role that can use nothing else."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from correnteza.settings import Settings
from foundation.errors import DependencyUnavailable, UnsafeState, UsageError
from tests.company.postgres import postgres
from tests.controls import complaint, differs
from tests.helpers import UNMODIFIED, run_to_its_end

pytestmark = pytest.mark.company

PASSWORDS = {name: f"{name}-pass-word" for name in ("airflow", "mlflow", "gx")}
ROLES = {"airflow_metadata": "airflow", "mlflow_tracking": "mlflow", "great_expectations": "gx"}


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a superuser, without a database; every statement is logged."""
    with postgres() as url:
        ask(f"{url}/postgres", "ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()")
        yield url


def settings_of(server: str, home: Path, **passwords: str) -> Settings:
    place = urlsplit(server)
    words = PASSWORDS | passwords
    urls = {
        database: f"postgresql+psycopg2://{role}:{words[role]}@{place.hostname}:{place.port}/{database}"
        for database, role in ROLES.items()
    }
    return Settings(
        home=home,
        postgres_admin=f"{server}/postgres",
        airflow_database=urls["airflow_metadata"],
        mlflow_tracking=urls["mlflow_tracking"],
        quality_database=urls["great_expectations"],
    )


def applied(settings: Settings) -> list[str]:
    from correnteza import databases

    return databases.apply(databases.address("postgres_admin", settings.postgres_admin), databases.owners(settings))


@contextmanager
def connection(url: str):
    import psycopg2

    with closing(psycopg2.connect(url.replace("+psycopg2", ""), connect_timeout=10)) as opened:
        opened.autocommit = True
        yield opened


def ask(url: str, *statements: str) -> list[tuple]:
    """The rows of the last of some statements."""
    with connection(url) as opened, opened.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def url_of(server: str, role: str, database: str, password: str | None = None) -> str:
    place = urlsplit(server)
    return f"postgresql://{role}:{password or PASSWORDS[role]}@{place.hostname}:{place.port}/{database}"


def beyond(server: str) -> list[str]:
    """The oracle: what the three roles can do beside using their own database, by trying it."""
    found = []
    for own, role in ROLES.items():
        for other in (*ROLES, "postgres", "template1"):
            if other != own and not complaint(lambda r=role, o=other: ask(url_of(server, r, o), "SELECT 1")):
                found.append(f"{role} can connect to {other}")
        for attempt in ("CREATE DATABASE x", "CREATE ROLE x", "ALTER ROLE CURRENT_USER SUPERUSER",
                        "SELECT pg_read_file('/etc/passwd')", "SELECT rolpassword FROM pg_authid"):  # fmt: skip
            if not complaint(lambda r=role, o=own, a=attempt: ask(url_of(server, r, o), a)):
                found.append(f"{role} could: {attempt}")
    return found


def test_control_each_role_uses_its_own_database_and_nothing_else(server, tmp_path, control):
    applied(settings_of(server, tmp_path))
    for database, role in ROLES.items():
        ask(url_of(server, role, database), "CREATE TABLE own AS SELECT 41 + 1 AS n")
        assert ask(url_of(server, role, database), "SELECT n FROM own") == [(42,)]
    control.holds(beyond, server)
    admin = f"{server}/postgres"
    ask(admin, "GRANT CONNECT ON DATABASE great_expectations TO PUBLIC", "ALTER ROLE mlflow CREATEDB")
    damage = ("airflow can connect to great_expectations", "mlflow could: CREATE DATABASE x")
    control.objects(beyond, server, damage=damage)
    # Even then the tables are their owner's.
    assert (
        "permission denied"
        in complaint(lambda: ask(url_of(server, "airflow", "great_expectations"), "TABLE public.own"))[0]
    )


def state(server: str) -> list[tuple]:
    """Every row about roles, databases and schemas with the transaction that wrote it: what a change would change."""
    rows = ask(
        f"{server}/postgres",
        "SELECT xmin::text, rolname, rolpassword FROM pg_authid UNION ALL"
        " SELECT xmin::text, datname, datacl::text FROM pg_database ORDER BY 2",
    )
    for database in ROLES:
        rows += ask(f"{server}/{database}", "SELECT xmin::text, nspname, nspacl::text FROM pg_namespace ORDER BY 2")
    return rows


def test_control_a_second_time_changes_nothing(server, tmp_path, monkeypatch, control):
    settings = settings_of(server, tmp_path)
    first = applied(settings)
    assert first[:3] == [f"role {role} created" for role in ROLES.values()]
    assert [each for each in first if each.startswith("database")][:3] == [f"database {each} created" for each in ROLES]
    before = state(server)
    assert applied(settings) == []
    control.holds(differs, state(server), before)
    monkeypatch.setattr("correnteza.databases.is_of", lambda *_: False)
    applied(settings)
    control.objects(differs, state(server), before, damage="SCRAM-SHA-256$4096:")


def test_a_changed_password_is_applied_and_the_old_one_refused(server, tmp_path):
    applied(settings_of(server, tmp_path))
    assert applied(settings_of(server, tmp_path, mlflow="another-pass-word")) == ["role mlflow has the new password"]
    assert ask(url_of(server, "mlflow", "mlflow_tracking", "another-pass-word"), "SELECT 1") == [(1,)]
    assert "authentication failed" in complaint(lambda: ask(url_of(server, "mlflow", "mlflow_tracking"), "SELECT 1"))[0]


def told(*texts: str) -> list[str]:
    """The oracle: passwords that stand in a text."""
    return [f"{word} is told" for word in PASSWORDS.values() for text in texts if word in text]


def test_control_no_password_is_in_an_argument_an_output_or_the_server_s_log(server, tmp_path, monkeypatch, control):
    settings = settings_of(server, tmp_path)
    log = Path(ask(f"{server}/postgres", "SHOW data_directory")[0][0]).with_name("log")
    variables = {}
    for name in ("postgres_admin", "airflow_database", "mlflow_tracking", "quality_database"):
        (tmp_path / name).write_text(getattr(settings, name).get_secret_value())
        variables[f"CORRENTEZA_{name.upper()}_FILE"] = str(tmp_path / name)
    done = run_to_its_end(Settings(home=tmp_path), tmp_path, UNMODIFIED, ["databases", "apply"], variables)
    assert done.returncode == 0, done.stderr
    assert "role airflow created" in done.stdout
    assert "CREATE ROLE" in log.read_text()
    control.holds(told, done.stdout, done.stderr, log.read_text())
    monkeypatch.setattr("correnteza.databases.new_verifier", lambda password: password)
    applied(settings_of(server, tmp_path, gx="a-new-pass-word"))
    monkeypatch.setitem(PASSWORDS, "gx", "a-new-pass-word")
    control.objects(told, log.read_text(), damage="a-new-pass-word is told")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE ROLE airflow SUPERUSER", "the role airflow has more rights than its database needs: rolsuper"),
        ("CREATE ROLE gx IN ROLE pg_read_server_files", "member of pg_read_server_files"),
        ("CREATE DATABASE mlflow_tracking", "the database mlflow_tracking exists and belongs to owner"),
        ("CREATE DATABASE another", "the role airflow could connect to another"),
    ],
)
def test_what_is_there_and_not_as_declared_is_refused(server, tmp_path, statement, says):
    ask(f"{server}/postgres", statement)
    with pytest.raises(UnsafeState, match=says):
        applied(settings_of(server, tmp_path))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"airflow_database": None}, "airflow_database is not set"),
        ({"airflow_database": "sqlite:///x"}, "must be the address of a PostgreSQL database"),
        (
            {"airflow_database": "postgresql://airflow:long-pass-word@h/other"},
            "must name the database airflow_metadata",
        ),
        ({"airflow_database": "postgresql://airflow:short@h/airflow_metadata"}, "at least 12 ASCII characters"),
        ({"airflow_database": "postgresql://mlflow:long-pass-word@h/airflow_metadata"}, "a role of its own"),
    ],
)
def test_settings_that_declare_no_three_roles_are_refused_without_their_values(tmp_path, changes, says):
    from correnteza import databases

    settings = settings_of("postgresql://owner:x@127.0.0.1:1", tmp_path).model_copy(
        update={name: value and Settings(**{name: value}).airflow_database for name, value in changes.items()}
    )
    with pytest.raises(UsageError, match=says) as refused:
        databases.owners(settings)
    assert "pass-word" not in str(refused.value)


def test_a_server_that_is_away_is_named_without_the_password(tmp_path):
    settings = settings_of("postgresql://owner:secret-secret@127.0.0.1:1", tmp_path)
    with pytest.raises(DependencyUnavailable, match="no PostgreSQL") as away:
        applied(settings)
    assert "secret-secret" not in str(away.value)


def test_doctor_finds_tables_of_another_version(server, tmp_path):
    """MLflow and Great Expectations have made their tables; Airflow's are asked for where it is installed."""
    from mlflow import MlflowClient

    from correnteza.database_versions import problems
    from correnteza.suites.results import Results

    settings = settings_of(server, tmp_path)
    applied(settings)
    assert {(each.kind, each.what) for each in problems(settings)} == {
        ("advice", f"{database} has no tables yet") for database in ROLES
    }
    MlflowClient(settings.tracking).create_experiment("x")
    Results(settings.results_of_suites).close()
    without_airflow = settings.model_copy(update={"airflow_database": None})
    assert list(problems(without_airflow)) == []
    ask(url_of(server, "mlflow", "mlflow_tracking"), "UPDATE alembic_version SET version_num = 'elsewhere'")
    ask(url_of(server, "gx", "great_expectations"), "UPDATE results_version SET version = 7")
    assert [each.what.partition(" of its tables")[0] for each in problems(without_airflow)] == [
        "mlflow_tracking has version elsewhere",
        "great_expectations has version 7",
    ]
    with pytest.raises(UnsafeState, match="version 7"):
        Results(settings.results_of_suites)


def test_doctor_says_it_and_ends_with_4(server, tmp_path):
    settings = settings_of(server, tmp_path)
    variables = {"CORRENTEZA_QUALITY_DATABASE": settings.quality_database.get_secret_value()}
    done = run_to_its_end(Settings(home=tmp_path), tmp_path, UNMODIFIED, ["doctor"], variables)
    assert done.returncode == 4
    assert "great_expectations: connection to server" in done.stdout
    assert told(done.stdout, done.stderr) == []

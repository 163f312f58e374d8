"""The metadata of the systems beside the product, in PostgreSQL: three databases; the role of each can use no other.

No business data goes there. `apply` may be repeated: it changes what is not as declared, and refuses what it must not
change. Passwords leave this process only as SCRAM verifiers, so that no statement and no server log has one. Only the
environment that `make company` makes has psycopg2 and SQLAlchemy.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2 import sql
from pydantic import SecretStr
from sqlalchemy.exc import ArgumentError

from correnteza.scram import is_of, new_verifier
from correnteza.settings import Settings
from correnteza.settings_errors import named
from foundation.errors import DependencyUnavailable, UnsafeState, UsageError

OF_SETTINGS = {
    "airflow_metadata": "airflow_database",
    "mlflow_tracking": "mlflow_tracking",
    "great_expectations": "quality_database",
}
"""Database → the setting with the address, user and password of its role."""

OF_THE_SERVER = ("postgres", "template1")
"""Databases that every server has, and that everybody may connect to until somebody forbids it."""

LEAST_CHARACTERS = 12
CONNECTIONS = 40
LOCK = 7_203_417
"""Number of the server's advisory lock, so that two of these take turns."""

_ANSWER_WITHIN_SECONDS = 10
_ATTRIBUTES = ("rolsuper", "rolcreatedb", "rolcreaterole", "rolreplication", "rolbypassrls")


@dataclass(frozen=True)
class Owner:
    """A database and its role."""

    database: str
    role: str
    password: str


def owners(settings: Settings) -> list[Owner]:
    """What the settings declare. Raises: UsageError that names the setting, and never its value."""
    found = []
    for database, name in OF_SETTINGS.items():
        url = address(name, getattr(settings, name))
        if url.database != database:
            raise UsageError(f"{named(name)} must name the database {database}", hint=_form(database))
        password = str(url.password or "")
        if len(password) < LEAST_CHARACTERS or not password.isascii() or not url.username:
            raise UsageError(
                f"{named(name)} needs a user, and a password of at least {LEAST_CHARACTERS} ASCII characters",
                hint=_form(database),
            )
        found.append(Owner(database, url.username, password))
    admin = address("postgres_admin", settings.postgres_admin).username
    if len({admin, *(each.role for each in found)}) <= len(found):
        raise UsageError("every database has a role of its own, and none is the administrator", hint=_form("…"))
    return found


def address(name: str, value: SecretStr | None) -> sa.URL:
    """The address that a setting holds. Raises: UsageError if it is no address of a PostgreSQL database."""
    if value is None:
        raise UsageError(f"{name} is not set", hint=_form(OF_NAMES.get(name)))
    try:
        url = sa.make_url(value.get_secret_value())
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() != "postgresql":
        raise UsageError(f"{named(name)} must be the address of a PostgreSQL database", hint=_form(OF_NAMES.get(name)))
    return url


OF_NAMES = {name: database for database, name in OF_SETTINGS.items()} | {"postgres_admin": "postgres"}


def _form(database: str | None) -> str:
    return f"postgresql+psycopg2://user:password@host:5432/{database}, in a file that CORRENTEZA_…_FILE names"


def apply(admin: sa.URL, wanted: Sequence[Owner]) -> list[str]:
    """Make the roles and databases that are not as declared; returns what was changed, in words.

    Raises:
        UnsafeState: a role or a database exists that is not the declared one, or a role could use another database.
        DependencyUnavailable: the server does not answer, or refuses the administrator.
    """
    changed: list[str] = []
    with _connected(admin, admin.database or "postgres") as server:
        _one(server, "SELECT pg_advisory_lock(%s)", LOCK)
        if server.server_version < 150000:
            raise UnsafeState(f"PostgreSQL 15 or newer is needed, this is {server.server_version // 10000}")
        for each in wanted:
            changed += _role(server, each)
        for each in wanted:
            changed += _database(server, each)
        changed += _closed(server, [*(each.database for each in wanted), *OF_THE_SERVER])
        for each in wanted:
            with _connected(admin, each.database) as inside:
                changed += _closed_schema(inside, each.database)
        _require_apart(server, wanted)
    return changed


def _role(server: Any, owner: Owner) -> list[str]:
    query = f"SELECT {', '.join(_ATTRIBUTES)}, rolcanlogin, rolconnlimit, rolpassword FROM pg_authid WHERE rolname = %s"
    found = _one(server, query, owner.role)
    name = sql.Identifier(owner.role)
    if found is None:
        least = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
        _run(
            server,
            sql.SQL(f"CREATE ROLE {{}} LOGIN {least} CONNECTION LIMIT {CONNECTIONS} PASSWORD {{}}"),
            name,
            sql.Literal(new_verifier(owner.password)),
        )
        return [f"role {owner.role} created"]
    *attributes, can_login, limit, verifier = found
    member_of = _one(
        server,
        "SELECT string_agg(roleid::regrole::text, ', ') FROM pg_auth_members WHERE member = %s::regrole",
        _quoted(server, owner.role),
    )
    if any(attributes) or member_of[0]:
        has = ", ".join(name for name, is_set in zip(_ATTRIBUTES, attributes, strict=True) if is_set)
        raise UnsafeState(
            f"the role {owner.role} has more rights than its database needs: {has or f'member of {member_of[0]}'}",
            hint="name another role in the setting, or take its rights away",
        )
    changed = []
    if not can_login or limit != CONNECTIONS:
        _run(server, sql.SQL(f"ALTER ROLE {{}} LOGIN CONNECTION LIMIT {CONNECTIONS}"), name)
        changed.append(f"role {owner.role} may log in {CONNECTIONS} times at once")
    if not is_of(owner.password, verifier):
        _run(server, sql.SQL("ALTER ROLE {} PASSWORD {}"), name, sql.Literal(new_verifier(owner.password)))
        changed.append(f"role {owner.role} has the new password")
    return changed


def _database(server: Any, owner: Owner) -> list[str]:
    query = "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding) FROM pg_database WHERE datname = %s"
    found = _one(server, query, owner.database)
    if found is None:
        statement = sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0")
        _run(server, statement, sql.Identifier(owner.database), sql.Identifier(owner.role))
        return [f"database {owner.database} created"]
    if found != (owner.role, "UTF8"):
        raise UnsafeState(
            f"the database {owner.database} exists and belongs to {found[0]}, in {found[1]}",
            hint=f"name {found[0]} in the setting, or move that database away",
        )
    return []


def _closed(server: Any, databases: Sequence[str]) -> list[str]:
    """Take every right of PUBLIC on these databases away."""
    query = (
        "SELECT DISTINCT datname FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS rights"
        " WHERE rights.grantee = 0 AND datname = ANY(%s) ORDER BY datname"
    )
    changed = []
    for (name,) in _all(server, query, list(databases)):
        _run(server, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC"), sql.Identifier(name))
        changed.append(f"database {name} closed to others")
    return changed


def _closed_schema(inside: Any, database: str) -> list[str]:
    query = "SELECT 1 FROM pg_namespace, aclexplode(nspacl) AS rights WHERE nspname = 'public' AND rights.grantee = 0"
    if _one(inside, query) is None:
        return []
    _run(inside, sql.SQL("REVOKE ALL ON SCHEMA public FROM PUBLIC"))
    return [f"schema public of {database} closed to others"]


def _require_apart(server: Any, wanted: Sequence[Owner]) -> None:
    """Raises: UnsafeState if a role can connect to a database that is not its own."""
    query = (
        "SELECT datname FROM pg_database WHERE datallowconn AND datname <> %s"
        " AND has_database_privilege(%s, datname, 'CONNECT') ORDER BY datname"
    )
    for each in wanted:
        if others := [name for (name,) in _all(server, query, each.database, each.role)]:
            raise UnsafeState(
                f"the role {each.role} could connect to {', '.join(others)}",
                hint=f"REVOKE CONNECT ON DATABASE {others[0]} FROM PUBLIC, or use a server for metadata alone",
            )


@contextmanager
def _connected(url: sa.URL, database: str) -> Iterator[Any]:
    """A connection that commits every statement: a database cannot be created in a transaction."""
    parts = {**url.translate_connect_args(username="user"), "database": database, **url.query}
    try:
        server = psycopg2.connect(**parts, connect_timeout=_ANSWER_WITHIN_SECONDS, application_name="correnteza")
    except psycopg2.OperationalError as error:
        told = str(error).splitlines()[0]
        raise DependencyUnavailable(f"no PostgreSQL: {told}", hint="look at postgres_admin") from None
    server.autocommit = True
    try:
        yield server
    except psycopg2.errors.InsufficientPrivilege as error:
        told = str(error).splitlines()[0]
        raise UnsafeState(f"PostgreSQL: {told}", hint="postgres_admin must be a superuser") from None
    finally:
        server.close()


def _run(server: Any, statement: sql.SQL, *parts: sql.Composable) -> None:
    with server.cursor() as cursor:
        cursor.execute(statement.format(*parts))


def _all(server: Any, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with server.cursor() as cursor:
        cursor.execute(query, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _one(server: Any, query: str, *values: Any) -> Any:
    return next(iter(_all(server, query, *values)), None)


def _quoted(server: Any, name: str) -> str:
    quoted: str = sql.Identifier(name).as_string(server)
    return quoted

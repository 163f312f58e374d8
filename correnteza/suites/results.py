"""The results of suites, in a database of their own: a local file, or PostgreSQL by its URL. No business data.

Only the environment that `make company` makes has SQLAlchemy.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from foundation.errors import DependencyUnavailable, UnsafeState

VERSION = 1
"""Of the tables below. Another one needs a step that brings the tables of this one to it."""


@dataclass(frozen=True)
class Result:
    """One expectation on one version of a table.

    Attributes:
        base_version: the version after which the rows came; -1 if the whole table was read.
        severity: critical or warning.
        rows: that were judged. broken: of them, those that break it.
        ran_at: UTC.
    """

    table_name: str
    version: int
    expectation: str
    base_version: int
    severity: str
    rows: int
    broken: int
    ran_at: datetime


_META = sa.MetaData()
_RESULTS = sa.Table(
    "validation_results",
    _META,
    sa.Column("table_name", sa.String(200), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("expectation", sa.String(200), primary_key=True),
    sa.Column("base_version", sa.BigInteger, nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("broken", sa.BigInteger, nullable=False),
    sa.Column("ran_at", sa.DateTime(timezone=True), nullable=False),
)
_VERSION = sa.Table("results_version", _META, sa.Column("version", sa.Integer, primary_key=True))


def held_version(connection: sa.Connection) -> int | None:
    """The version of the tables that a database holds; None if it says none."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    held: int | None = connection.execute(sa.select(sa.func.max(_VERSION.c.version))).scalar()
    return held


class Results:
    """The database; its tables are made at first use."""

    def __init__(self, url: str) -> None:
        """Connect.

        Raises:
            DependencyUnavailable: the database does not answer or refuses the user.
            UnsafeState: its tables are those of another version.
        """
        self._engine = sa.create_engine(url)
        try:
            _META.create_all(self._engine)
            held = self._noted_version()
        except OperationalError as error:
            told = str(error.orig).splitlines()[0]
            raise DependencyUnavailable(f"no database for results: {told}", hint="look at quality_database") from None
        if held != VERSION:
            raise UnsafeState(
                f"the database for results has version {held} of its tables, and {VERSION} is expected",
                hint="use the release that made it, or another database",
            )

    def _noted_version(self) -> int | None:
        with suppress(IntegrityError), self._engine.begin() as connection:
            if held_version(connection) is None:
                connection.execute(_VERSION.insert().values(version=VERSION))  # another process may be first
        with self._engine.connect() as connection:
            return held_version(connection)

    def keep(self, results: Iterable[Result]) -> bool:
        """Write the results of one version, all or none; returns whether they were new."""
        try:
            with self._engine.begin() as connection:
                connection.execute(_RESULTS.insert(), [asdict(each) for each in results])
        except IntegrityError:
            return False
        return True

    def newest(self, table: str) -> list[Result]:
        """The results of the newest version of a table that was judged; none if none was."""
        of_table = _RESULTS.c.table_name == table
        newest = sa.select(sa.func.max(_RESULTS.c.version)).where(of_table).scalar_subquery()
        query = sa.select(_RESULTS).where(of_table, _RESULTS.c.version == newest).order_by(_RESULTS.c.expectation)
        with self._engine.connect() as connection:
            # SQLite keeps no time zone: what was written was UTC.
            rows = [{**row, "ran_at": _utc(row["ran_at"])} for row in connection.execute(query).mappings()]
        return [Result(**row) for row in rows]

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

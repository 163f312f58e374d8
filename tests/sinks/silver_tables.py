"""The two tables of one dataset and their quarantine, filled by `apply_changes` from rows that a test makes up."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Schema
from pyspark.sql.types import StructType

from sinks import quarantine, sql, tables
from sinks.apply_changes import Applied, apply_changes
from sinks.expectations import Expectation
from sinks.history import CLOSED, Seen
from sinks.target import Bounds, SilverTarget
from sinks.transactions import Batch
from tests.sinks.silver_model import Change

DAY_ZERO = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
COLUMNS = (
    StructType()
    .add("name", "string")
    .add("number", "integer")
    .add("value", "double")
    .add("note", "string")
    .add("known_from", "timestamp")
    .add("chunk_id", "string")
    .add("kafka_partition", "integer")
    .add("kafka_offset", "long")
    .add("version_hash", "long")
    .add("is_withdrawn", "boolean")
)
RECORDS = pa.schema(
    [
        *pa.schema(Schema.from_json(COLUMNS.json()).to_arrow()),
        *(pa.field(name, pa.string()) for name in ("key", "topic", "topic_id")),
    ]
)
NOT_NEGATIVE = Expectation("value_not_negative", "value >= 0", "quarantine")


class Recorded:
    """A history that keeps every row of every batch that was begun."""

    def __init__(self, silver: "Silver") -> None:
        self._silver = silver
        self.rows: list[Change] = []
        self._repairing: tuple[int, int] | None = None
        self._batch = (0, 0)
        self._seen = Seen(None, None)
        self._is_known = True

    def begin(self, rows: list[Change], batch: Batch) -> None:
        self._batch = (batch.generation, batch.batch_id)
        self.rows = list(dict.fromkeys(self.rows + rows))

    def forgets(self) -> None:
        """As a new generation does: the next reads use all rows."""
        self._is_known = False

    @property
    def was_repairing(self) -> bool:
        return self._repairing == self._batch

    def seen(self) -> Seen:
        if not self._is_known:
            clocks = [micros(row) for row in self.rows]
            withdrawn = [micros(row) for row in self.rows if row.is_withdrawn]
            return Seen(max(clocks), max(withdrawn, default=None))
        return self._seen

    def rows_of(self, keys: pa.Table, within: Bounds) -> pa.Table:
        return sql.only(self._silver.frame(self.rows), keys, ("name", "number"))

    def withdrawn_keys(self) -> pa.Table:
        withdrawn = [row for row in self.rows if row.is_withdrawn]
        return self._silver.frame(withdrawn).select(["name", "number"])

    def closed(self) -> pa.Table:
        return CLOSED.empty_table()

    def begin_repair(self) -> None:
        self._repairing = self._batch

    def end(self, batch: Seen) -> None:
        self._repairing = None
        pairs = ((self._seen.newest, batch.newest), (self._seen.withdrawn, batch.withdrawn))
        newest, withdrawn = (max((each for each in pair if each is not None), default=None) for pair in pairs)
        self._seen = Seen(newest, withdrawn)


class Silver:
    """The tables of one test."""

    def __init__(self, root: Path, expectations: Iterable[Expectation] = (NOT_NEGATIVE,)) -> None:
        self.target = SilverTarget(
            dataset="things",
            keys=("name", "number"),
            columns=tuple(COLUMNS.names),
            prune_by="number",
            expectations=tuple(expectations),
            revisions=str(root / "revisions"),
            current=str(root / "current"),
            quarantine=str(root / "quarantine"),
        )
        current = StructType(COLUMNS.fields[:-1])
        # No table is there yet, so none has to be widened: that alone takes Spark.
        for path, schema in ((self.target.revisions, COLUMNS), (self.target.current, current)):
            tables.ensure(None, path, schema, statistics_on=("number", "known_from"))
        quarantine.ensure(None, self.target.quarantine)
        self.topic_id, self.chunk_id = "first", "chunk"
        self.history = Recorded(self)

    def frame(self, changes: list[Change]) -> pa.Table:
        return pa.Table.from_pylist(
            [
                {
                    "name": c.key[0],
                    "number": c.key[1],
                    "value": c.value,
                    "known_from": DAY_ZERO + c.known_from * DAY,
                    "chunk_id": self.chunk_id,
                    "kafka_partition": 0,
                    "kafka_offset": c.offset,
                    # Any number will do that equal values have alike.
                    "version_hash": None if c.is_withdrawn else hash(c.value) if c.value is not None else -7,
                    "is_withdrawn": c.is_withdrawn,
                    "key": "|".join(str(part) for part in c.key if part is not None),
                    "topic": "withdrawals.v1" if c.is_withdrawn else "things.v1",
                    "topic_id": self.topic_id,
                }
                for c in changes
            ],
            RECORDS,
        )

    def apply(self, changes: list[Change], batch_id: int, *, generation: int = 0) -> Applied:
        batch = Batch("silver.things", generation, batch_id)
        self.history.begin(changes, batch)
        return apply_changes(self.frame(changes), self.target, batch, self.history)

    def held(self, path: str) -> list[Change]:
        """The rows of a silver table."""
        return [
            Change(
                (row["name"], row["number"]),
                (row["known_from"] - DAY_ZERO) // DAY,
                row["value"],
                row["kafka_offset"],
                row.get("is_withdrawn", False),
            )
            for row in self._rows(path)
        ]

    @property
    def revisions(self) -> list[int]:
        return sorted(row.place for row in self.held(self.target.revisions))

    @property
    def current(self) -> list[int]:
        return sorted(row.place for row in self.held(self.target.current))

    @property
    def quarantined(self) -> dict[int, str]:
        rows = self._rows(self.target.quarantine)
        assert len(rows) == len({row["kafka_offset"] for row in rows}), "a record twice"
        return {row["kafka_offset"]: row["rules"][0] for row in rows}

    @property
    def table_versions(self) -> list[int]:
        paths = (self.target.revisions, self.target.current, self.target.quarantine)
        return [DeltaTable(path).version() for path in paths]

    def _rows(self, path: str) -> list[dict[str, Any]]:
        return DeltaTable(path).to_pyarrow_table().to_pylist()


def micros(change: Change) -> int:
    """The clock as Spark counts it."""
    return int((DAY_ZERO + change.known_from * DAY).timestamp()) * 1_000_000

"""`apply_changes` against a model in plain Python, and each of its promises with the protection off."""

import random
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import DoubleType, StringType, StructField, StructType

from foundation.errors import UnsafeState
from sinks import apply_changes as module
from sinks import quarantine, tables
from sinks.apply_changes import Applied, SilverTarget, apply_changes
from sinks.expectations import Expectation
from sinks.transactions import Batch
from sinks.versions import version_hash
from tests.sinks.silver_model import Change, Model

DAY_ZERO = datetime(2024, 1, 1, tzinfo=UTC)
COLUMNS = (
    "name string, number int, value double, note string, known_from timestamp, chunk_id string,"
    " kafka_partition int, kafka_offset long"
)
VALUES = [StructField("value", DoubleType()), StructField("note", StringType())]
NOT_NEGATIVE = Expectation("value_not_negative", "value >= 0", "quarantine")


class Silver:
    """Both tables of one dataset, and what the tests read of them."""

    def __init__(self, spark: SparkSession, root: Path, expectations: Iterable[Expectation] = (NOT_NEGATIVE,)) -> None:
        self.spark = spark
        schema: StructType = spark.createDataFrame([], COLUMNS + ", version_hash long").schema
        self.target = SilverTarget(
            dataset="things",
            keys=("name", "number"),
            columns=tuple(schema.names),
            prune_by="number",
            expectations=tuple(expectations),
            revisions=str(root / "revisions"),
            current=str(root / "current"),
            quarantine=str(root / "quarantine"),
        )
        for path in (self.target.revisions, self.target.current):
            tables.ensure(spark, path, schema, statistics_on=("number", "known_from"))
        quarantine.ensure(spark, self.target.quarantine)

    def frame(self, changes: list[Change]) -> DataFrame:
        rows = [(*c.key, c.value, None, DAY_ZERO + timedelta(days=c.known_from), "chunk", 0, c.offset) for c in changes]
        return (
            self.spark.createDataFrame(rows, COLUMNS)
            .withColumn("version_hash", version_hash(VALUES))
            .withColumns({"key": F.concat_ws("|", "name", "number"), "topic": F.lit("things.v1")})
        )

    def apply(self, changes: list[Change], batch_id: int, *, generation: int = 0) -> Applied:
        return apply_changes(self.frame(changes), self.target, Batch("silver.things", generation, batch_id))

    def offsets(self, path: str) -> list[int]:
        return sorted(row["kafka_offset"] for row in self._rows(path))

    @property
    def revisions(self) -> list[int]:
        return self.offsets(self.target.revisions)

    @property
    def current(self) -> list[int]:
        return self.offsets(self.target.current)

    @property
    def quarantined(self) -> dict[int, str]:
        return {row["kafka_offset"]: row["rules"][0] for row in self._rows(self.target.quarantine)}

    @property
    def table_versions(self) -> list[int]:
        paths = (self.target.revisions, self.target.current, self.target.quarantine)
        return [DeltaTable(path).version() for path in paths]

    def _rows(self, path: str) -> list[dict[str, Any]]:
        return DeltaTable(path).to_pyarrow_table().to_pylist()


@pytest.fixture
def silver(spark: SparkSession, tmp_path: Path) -> Silver:
    return Silver(spark, tmp_path)


def changes(seed: int, *, batches: int, rows: int) -> list[list[Change]]:
    """Few keys, clocks and values, so that repetitions, conflicts and late versions abound."""
    choose = random.Random(seed)
    made = [
        [
            Change(
                key=(choose.choice([None, "a", "b"]), choose.randrange(4)),
                known_from=choose.randrange(8),
                value=choose.choice([None, -1.0, 1.0, 2.0, 3.0]),
                offset=batch * rows + row,
            )
            for row in range(rows)
        ]
        for batch in range(batches)
    ]
    for batch in made:
        choose.shuffle(batch)
    return made


@pytest.mark.parametrize("seed", [2, 3])
def test_any_sequence_of_batches_gives_what_the_model_gives(silver, seed):
    model = Model()
    for batch_id, batch in enumerate(changes(seed, batches=3, rows=40)):
        model.apply(batch)
        silver.apply(batch, batch_id)

        assert silver.revisions == model.revisions
        assert silver.current == model.current
        assert silver.quarantined == model.quarantined


def test_a_repeated_batch_changes_nothing_not_even_a_table_version(silver):
    first, second = changes(1, batches=2, rows=25)
    silver.apply(first, 0)
    silver.apply(second, 1)
    before = (silver.revisions, silver.current, silver.quarantined, silver.table_versions)

    silver.apply(second, 1)

    assert (silver.revisions, silver.current, silver.quarantined, silver.table_versions) == before


def test_a_full_re_read_under_a_new_generation_doubles_nothing(silver):
    """What `checkpoint adopt` leads to: other app ids, the same records."""
    batches = changes(4, batches=2, rows=25)
    for batch_id, batch in enumerate(batches):
        silver.apply(batch, batch_id)
    before = (silver.revisions, silver.current, silver.quarantined)
    rows = DeltaTable(silver.target.quarantine).to_pyarrow_table().num_rows

    for batch_id, batch in enumerate(batches):
        silver.apply(batch, batch_id, generation=1)

    assert len(set(silver.revisions)) == len(silver.revisions)
    assert set(silver.revisions) >= set(before[0])  # more where a late version came before a repetition: it is one now
    assert silver.quarantined == before[2]
    assert DeltaTable(silver.target.quarantine).to_pyarrow_table().num_rows == rows


def test_an_app_id_used_again_for_other_rows_loses_them_silently(silver):
    """Why a new checkpoint is a new generation: its batch ids restart at 0, and Delta takes them for known."""
    silver.apply([Change(("a", 1), 1, 1.0, 0)], batch_id=0)

    silver.apply([Change(("b", 1), 1, 1.0, 1)], batch_id=0)
    assert silver.revisions == [0]

    silver.apply([Change(("b", 1), 1, 1.0, 1)], batch_id=0, generation=1)
    assert silver.revisions == [0, 1]


def test_a_late_version_is_a_revision_but_never_current(silver):
    silver.apply([Change(("a", 1), 5, 1.0, 0)], batch_id=0)
    silver.apply([Change(("a", 1), 3, 2.0, 1)], batch_id=1)

    assert silver.revisions == [0, 1]
    assert silver.current == [0]


def test_without_the_sequence_guard_a_late_version_overwrites(silver, monkeypatch):
    """Negative control: the merge takes whatever comes."""
    guarded = module.F.struct

    def unguarded(*columns: str) -> Any:
        return (
            F.lit(1) if columns[0].startswith("s.") else F.lit(0) if columns[0].startswith("t.") else guarded(*columns)
        )

    silver.apply([Change(("a", 1), 5, 1.0, 0)], batch_id=0)
    monkeypatch.setattr(module.F, "struct", unguarded)
    silver.apply([Change(("a", 1), 3, 2.0, 1)], batch_id=1)

    assert silver.current == [1]


def test_without_any_protection_a_repeated_batch_doubles_revisions(silver, monkeypatch):
    """Negative control of the replay tests: with neither transaction ids nor a look at what is stored."""
    batch = [Change(("a", 1), 1, 1.0, 0)]
    silver.apply(batch, batch_id=0)
    monkeypatch.setattr(module, "_stored", lambda *_: None)
    silver.apply(batch, batch_id=0)
    assert silver.revisions == [0]  # the transaction id alone is enough

    monkeypatch.setattr("sinks.append.transaction", lambda *_: nullcontext())
    silver.apply(batch, batch_id=0)
    assert silver.revisions == [0, 0]


def test_expectations_warn_or_set_aside_or_stop(spark, tmp_path):
    rules = (NOT_NEGATIVE, Expectation("small", "value < 10", "warn"), Expectation("finite", "value < 1000", "fail"))
    silver = Silver(spark, tmp_path, rules)

    applied = silver.apply([Change(("a", 1), 1, 50.0, 0), Change(("b", 1), 1, -1.0, 1)], batch_id=0)

    assert (applied.fates["new"], applied.fates["quarantined"]) == (1, 1)
    assert (applied.broken, applied.flawed, applied.rows) == ({NOT_NEGATIVE.name: 1, "small": 1, "finite": 0}, 2, 2)
    assert silver.quarantined == {1: "value_not_negative"}

    with pytest.raises(UnsafeState, match=r"things\.v1/0/3 breaks finite"):
        silver.apply([Change(("c", 1), 1, 1.0, 2), Change(("d", 1), 1, 5000.0, 3)], batch_id=1)
    assert silver.revisions == [0]


def test_a_value_that_moves_to_another_column_is_another_version(spark):
    """A row with shifted columns, corrected: over values alone, hashes skip nulls and would call it unchanged."""
    frame = spark.sql("select cast(5 as double) as one, cast(null as double) as two union all select null, 5")

    assert frame.select(version_hash(list(frame.schema))).distinct().count() == 2
    assert frame.select(F.xxhash64("one", "two")).distinct().count() == 1


def test_a_field_that_a_contract_gains_changes_no_hash_of_rows_without_it(spark):
    frame = spark.sql("select 1 as one, cast(null as int) as gained")

    assert frame.where(version_hash(frame.schema[:1]) == version_hash(list(frame.schema))).count() == 1

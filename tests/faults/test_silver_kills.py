"""A batch of silver that is killed at any of its failure points and repeated, checked by tests/judges.py.

Through the real query on a lake whose bronze the test writes. The batch that dies has all that a batch can have: new
versions, a row that comes late and makes a stored version void, conflicts at a new and at a late clock, a row that
breaks a rule, and a withdrawal.
"""

import ast
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from foundation import failpoints
from foundation.errors import CorrentezaError
from schemas.contracts import load
from sinks import apply_changes, arrow_commit
from stream_jobs.bronze.job import ensure_table
from stream_jobs.running import attempts
from stream_jobs.silver.job import SilverJob
from stream_jobs.silver.tables.model import discover
from tests.faults import test_erasure, test_gold_kills, test_rebuild_faults
from tests.judges import silver_and_gold
from tests.lakes import Lake
from tests.sinks import test_maintenance
from tests.spark_fixtures import spark
from tests.stream_jobs.bronze import test_job as test_bronze
from tests.stream_jobs.gold.lake_silver import not_counted_once

__all__ = ["spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

DATASET, WITHDRAWALS = "bcb_sgs", "ingest.withdrawals"
ROOT = Path(__file__).parents[2]
POINTS = (
    "before_quarantine", "after_quarantine", "after_repaired_conflicts", "after_repaired_quarantine", "after_deletes",
    "after_repaired_revisions", "after_repaired_current", "before_revisions", "after_revisions", "after_current",
    "before_counts", "after_counts",
)  # fmt: skip
"""In the order in which a batch comes by them."""
QUICK = ("after_quarantine", "after_deletes", "after_revisions", "before_counts")
"""Those that `make test` has; the others are left to `make test-faults`."""


def clock(day: int) -> datetime:
    return datetime(2024, 5, 1, tzinfo=UTC) + timedelta(days=day)


class LakeBronze(Lake):
    """Bronze as a test writes it, followed by silver's query."""

    def __init__(self, spark: SparkSession, root: Path) -> None:
        super().__init__(spark, root)
        self._offsets = {DATASET: 0, WITHDRAWALS: 0}

    def copy_to(self, root: Path) -> Self:
        """With the offsets that are taken."""
        other = super().copy_to(root)
        other._offsets = dict(self._offsets)
        return other

    def publish(self, dataset: str, *records: dict[str, Any]) -> None:
        """Records in bronze, one commit."""
        path = self.places.table(f"bronze.{dataset.replace('.', '_')}")
        ensure_table(self.driver.spark, path, load(dataset))
        rows = []
        for record in records:
            offset = self._offsets[dataset]
            self._offsets[dataset] += 1
            provenance = {"published_at_basis": "none", "chunk_id": "chunk", "row_number": offset}
            rows.append({
                "topic_id": "id", "topic": load(dataset).topic, "partition": 0, "offset": offset, "schema_id": 1,
                "kafka_timestamp": clock(0), "key": b"key", "value_hash": offset, "decode_status": "ok",
                "record": provenance | record, "year": 2024, "month": 5, "day": 1,
            })  # fmt: skip
        schema = pa.schema(DeltaTable(path).schema().to_arrow())
        write_deltalake(path, pa.Table.from_pylist(rows, schema), mode="append")

    def follow(self) -> None:
        """Let silver's query run to the present."""
        self.run(SilverJob(discover()[DATASET], self.driver))


def value(month: int, amount: str, day: int, *, series: int = 433) -> dict[str, Any]:
    return {
        "series_code": series, "reference_on": date(2024, month, 1), "value": Decimal(amount),
        "published_at": clock(day), "retrieved_at": clock(day),
    }  # fmt: skip


def withdrawn(month: int, day: int) -> dict[str, Any]:
    key = {"series_code": "433", "reference_on": f"2024-{month:02}-01"}
    return {
        "dataset": DATASET, "key": "|".join(key.values()), "key_fields": list(key.items()), "source": DATASET,
        "resource": "433", "part": "433", "edition": 2, "payload_sha256": "0" * 64, "retrieved_at": clock(day),
    }  # fmt: skip


@pytest.fixture(scope="module")
def base(spark, tmp_path_factory) -> LakeBronze:
    """Silver has read a batch; the next one has everything that a batch can have."""
    made = LakeBronze(spark, tmp_path_factory.mktemp("base"))
    made.publish(DATASET, value(1, "1", 1), value(1, "2", 9), value(2, "1", 1), value(2, "3", 1), value(3, "1", 1))
    ensure_table(spark, made.places.table("bronze.ingest_withdrawals"), load(WITHDRAWALS))
    made.follow()
    made.publish(WITHDRAWALS, withdrawn(3, 12))
    made.publish(
        DATASET,
        value(1, "2", 5), value(1, "7", 5),  # late: what was known on day 9 only repeats it; and a conflict with it
        value(2, "1.5", 12), value(2, "9", 12),  # a newer version of a known key, and a conflict with it
        value(4, "4", 12), value(4, "1", 12, series=-1),  # an unknown key, and a row that breaks a rule
    )  # fmt: skip
    return made


@pytest.fixture
def lake(base, tmp_path, monkeypatch) -> LakeBronze:
    """A copy of it."""
    monkeypatch.setattr(attempts, "MOST_FAILURES", 0)
    return base.copy_to(tmp_path)


def wrong(lake: LakeBronze) -> list[str]:
    """What contradicts, in words."""
    root = lake.root / "lake"
    counted = not_counted_once(root, f"silver.{DATASET}", f"silver.{DATASET}_revisions")
    return silver_and_gold(root, [DATASET]) + counted


def fail_at(lake: LakeBronze, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batch is killed at the point."""
    with monkeypatch.context() as armed:
        armed.setenv(failpoints.VARIABLE, f"{point}:raise")
        with pytest.raises(CorrentezaError, match=point):
            lake.follow()


@pytest.mark.parametrize(
    "point", [point if point in QUICK else pytest.param(point, marks=pytest.mark.slow) for point in POINTS]
)
def test_a_silver_batch_killed_anywhere_and_repeated_is_what_bronze_gives(lake, point, monkeypatch):
    fail_at(lake, point, monkeypatch)
    lake.follow()
    assert wrong(lake) == []
    assert rows_of_everything(lake) == (7, 3, 4)


def rows_of_everything(lake: LakeBronze) -> tuple[int, int, int]:
    """Of revisions, current and quarantine: the batch did have all that it was to have."""
    names = (f"silver.{DATASET}_revisions", f"silver.{DATASET}", "silver.quarantine")
    return tuple(DeltaTable(lake.places.table(name)).to_pyarrow_table().num_rows for name in names)


@pytest.mark.slow
def test_a_silver_batch_killed_at_every_point_in_turn_is_what_bronze_gives(lake, monkeypatch):
    """One batch, many attempts. Once its late keys were repaired, a repetition repairs all of its keys and makes none
    of the ordinary writes.
    """
    for point in POINTS:
        if point in POINTS[: POINTS.index("before_revisions")] or point.endswith("_counts"):
            fail_at(lake, point, monkeypatch)
    lake.follow()
    assert wrong(lake) == []
    assert rows_of_everything(lake) == (7, 3, 4)


def test_control_without_ids_and_without_a_look_at_revisions_a_repeated_silver_batch_doubles(
    spark, tmp_path, monkeypatch, control
):
    """Either of the two protects alone, so both are switched off; and no row is late, for those are repaired."""
    monkeypatch.setattr(attempts, "MOST_FAILURES", 0)
    lakes = [LakeBronze(spark, tmp_path / name) for name in ("with", "without")]
    for each in lakes:
        each.publish(DATASET, value(1, "1", 1), value(2, "1", 1))
        fail_at(each, "after_current", monkeypatch)
    lakes[0].follow()
    control.holds(wrong, lakes[0])

    monkeypatch.setattr(arrow_commit, "is_known", lambda *_: False)
    monkeypatch.setattr(apply_changes, "_stored", lambda *_: None)
    lakes[1].follow()
    control.objects(wrong, lakes[1], damage="stands 2 times")


def declared() -> Iterator[str]:
    """The failure points of batches and maintenance; the one before every batch has the name of its query in it."""
    for folder in ("sinks", "stream_jobs"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint":
                    (name,) = node.args
                    yield name.value if isinstance(name, ast.Constant) else "of any batch"


def test_every_failure_point_of_a_batch_is_met_by_a_test():
    """A new one needs a place in `POINTS` here or there.

    The one of any batch is met by `test_driver_faults.py`, `asked_for` by `tests/stream_jobs/test_rebuild.py`, those of
    an erasure by `test_erasure.py`, `fence_checked` by `tests/storage/test_lease.py`.
    """
    rebuilt = {point.partition("@")[0] for point in test_rebuild_faults.POINTS}
    met = {*test_bronze.POINTS, *POINTS, *test_gold_kills.POINTS, *test_maintenance.POINTS, *rebuilt}
    met |= set(test_erasure.IN_SINKS)
    assert set(declared()) == met | {"of any batch", "asked_for", "fence_checked"}

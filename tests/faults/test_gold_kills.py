"""A batch of gold that is killed at any of its failure points and repeated; a lost checkpoint; a batch not noted.

Through the real query on a lake. The result is held against another engine's computation from all of silver, and the
batch's counts must stand once.
"""

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from foundation import failpoints
from foundation.errors import CorrentezaError, UnsafeState
from stream_jobs.gold.job import GoldJob
from stream_jobs.gold.tables.fact_economic_observation import TABLE
from stream_jobs.running import attempts, guards
from tests.pipeline import Pipeline, pipeline
from tests.spark_fixtures import spark
from tests.stream_jobs.gold.lake_silver import LakeSilver, not_as_from_scratch, not_counted_once
from tests.stream_jobs.gold.memory_silver import Row, instant

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

DATASET, QUERY = "bcb_sgs", "gold.fact_economic_observation"
POINTS = ("before_counts", "after_counts", "before_groups", "after_groups")


def value(month: int, amount: str, *, known: str, **fields: object) -> Row:
    known_from = instant(known)
    whole = {"series_code": 433, "reference_on": date(2024, month, 1), "value": Decimal(amount)}
    return whole | {"known_from": known_from, "published_at": known_from, "retrieved_at": known_from} | fields


FIRST = [value(month, "0.5", known="2024-05-01") for month in (1, 2, 3)]
CHANGES = [
    value(1, "0.6", known="2024-06-01"),  # updated
    value(2, "0", known="2024-06-01", value=None, is_withdrawn=True),  # deleted
    value(4, "0.7", known="2024-06-01"),  # inserted
]


@pytest.fixture(scope="module")
def base(spark, tmp_path_factory) -> LakeSilver:
    """Gold has read a batch."""
    made = LakeSilver(spark, tmp_path_factory.mktemp("base"))
    made.add(DATASET, *FIRST)
    made.follow(TABLE)
    return made


@pytest.fixture
def lake(base, tmp_path, monkeypatch) -> LakeSilver:
    """A copy, with changes that gold has not read: the batch to come merges, and the one before appended."""
    monkeypatch.setattr(attempts, "MOST_FAILURES", 0)
    made = base.copy_to(tmp_path)
    made.add(DATASET, *CHANGES)
    return made


def wrong(lake: LakeSilver) -> list[str]:
    """The contradictions, in words."""
    return not_as_from_scratch(lake, TABLE) + not_counted_once(lake.root / "lake", QUERY, QUERY)


def fail_at(lake: LakeSilver, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batch is killed at the point."""
    with monkeypatch.context() as armed:
        armed.setenv(failpoints.VARIABLE, f"{point}:raise")
        with pytest.raises(CorrentezaError, match=point):
            lake.follow(TABLE)


@pytest.mark.parametrize("point", POINTS)
def test_a_gold_batch_killed_anywhere_and_repeated_gives_the_table_from_scratch(lake, point, monkeypatch):
    """The batch is a merge."""
    fail_at(lake, point, monkeypatch)
    assert bool(not_as_from_scratch(lake, TABLE)) == (point != "after_groups")
    lake.follow(TABLE)
    assert wrong(lake) == []


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_the_first_gold_batch_killed_anywhere_and_repeated_gives_the_table_from_scratch(
    spark, tmp_path, point, monkeypatch
):
    """The batch is an append to an empty table."""
    monkeypatch.setattr(attempts, "MOST_FAILURES", 0)
    lake = LakeSilver(spark, tmp_path)
    lake.add(DATASET, *FIRST)
    fail_at(lake, point, monkeypatch)
    lake.add(DATASET, *CHANGES)  # the repeated batch computes from silver as it stands then
    lake.follow(TABLE)
    assert wrong(lake) == []


def test_control_without_the_look_at_the_transaction_a_repeated_gold_batch_is_counted_twice(
    lake, base, tmp_path, monkeypatch, control
):
    fail_at(lake, "after_counts", monkeypatch)
    lake.follow(TABLE)
    control.holds(wrong, lake)

    other = base.copy_to(tmp_path / "other")
    other.add(DATASET, *CHANGES)
    fail_at(other, "after_counts", monkeypatch)
    monkeypatch.setattr("deltalake.DeltaTable.transaction_version", lambda *_: None)
    other.follow(TABLE)
    control.objects(wrong, other, damage="is counted 2 times")


def test_a_gold_batch_that_was_written_and_not_noted_is_repeated_and_changes_nothing(lake):
    """As a kill leaves it between the table's commit and the checkpoint's."""
    lake.follow(TABLE)
    version = len(list(log_of(lake).glob("*.json")))
    (lake.places.checkpoint(QUERY) / "g0" / "commits" / "1").unlink()
    lake.follow(TABLE)
    assert (lake.places.checkpoint(QUERY) / "g0" / "commits" / "1").exists()
    assert len(list(log_of(lake).glob("*.json"))) == version
    assert wrong(lake) == []


def log_of(lake: LakeSilver) -> Path:
    return Path(lake.places.table(QUERY)) / "_delta_log"


def lose_the_checkpoint(lake: LakeSilver) -> None:
    shutil.rmtree(lake.places.checkpoint(QUERY))


def test_f22_a_lost_gold_checkpoint_is_refused_and_adopting_gives_the_table_from_scratch(lake):
    lose_the_checkpoint(lake)
    with pytest.raises(UnsafeState, match="lost") as refused:
        lake.follow(TABLE)
    assert refused.value.hint == f"correnteza checkpoint adopt {QUERY}"
    assert not_as_from_scratch(lake, TABLE) != []

    adopt(lake)
    lake.follow(TABLE)
    assert wrong(lake) == []
    assert {row["generation"] for row in lake.stored("ops.expectations")} == {0, 1}


def adopt(lake: LakeSilver) -> None:
    """As `correnteza checkpoint adopt` does for a query that reads no topic."""
    guards.checkpoint_of(lake.places, QUERY).adopt(guards.look(lake.places, QUERY, None), None)


def test_f22_control_without_the_guard_a_lost_gold_checkpoint_loses_what_came_meanwhile(
    lake, base, tmp_path, monkeypatch, control
):
    """Batch numbers begin again under the old generation's transaction ids, so the batches are skipped as written."""
    lose_the_checkpoint(lake)
    adopt(lake)
    lake.follow(TABLE)
    control.holds(not_as_from_scratch, lake, TABLE)

    other = base.copy_to(tmp_path / "other")
    other.add(DATASET, *CHANGES)
    lose_the_checkpoint(other)
    monkeypatch.setattr(guards.tables, "has_rows", lambda _: False)
    other.follow(TABLE)
    control.objects(not_as_from_scratch, other, TABLE, damage="from scratch")


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_driver_killed_in_a_gold_batch_is_followed_by_one_that_completes_it(pipeline: Pipeline, cli, point):
    """SIGKILL to the process of `correnteza run gold`; its JVM ends a moment later, and holds the locks until then."""
    lake = LakeSilver(pipeline.spark, pipeline.settings.home)
    lake.places, lake.driver = pipeline.places, pipeline.driver
    lake.add(DATASET, *FIRST)
    pipeline.run(GoldJob(TABLE, pipeline.driver))
    lake.add(DATASET, *CHANGES)
    pipeline.driver.locks.release()

    killed = cli("run", "gold", "--once", CORRENTEZA_FAILPOINT=f"{point}:kill")

    assert killed.returncode == -9, killed.stderr
    pipeline.run(GoldJob(TABLE, pipeline.driver))
    lake.root = Path(pipeline.places.lake).parent
    assert wrong(lake) == []

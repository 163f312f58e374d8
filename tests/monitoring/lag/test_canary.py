"""How far the canary has come, from the tables' logs alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Transaction, write_deltalake

from foundation.errors import UnsafeState
from monitoring.lag.canary import STAGES, CanaryArrival, newest
from schemas.contracts import CANARY_TABLE
from sinks.compaction import compact, expire
from sinks.ops import canary
from sinks.planning import groups
from sinks.snapshot import Snapshot
from stream_jobs.running.maintained_tables import policy_of

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
SILVER = f"silver.{CANARY_TABLE}"


@pytest.fixture
def silver(tmp_path: Path) -> str:
    """An empty table of silver, in the lake at `tmp_path`."""
    path = str(tmp_path / "silver" / CANARY_TABLE)
    canary.ensure(None, path)  # creating one needs no Spark
    return path


def arrival(minute: int) -> canary.SentCanary:
    at = NOON + timedelta(minutes=minute)
    return canary.SentCanary("canary", int(at.timestamp() * 1e6), minute)


def fill(path: str, *minutes: int, job: str = SILVER) -> None:
    for minute in minutes:
        canary.append(path, arrival(minute), once=Transaction(job, minute))


def seen(lake: Path) -> CanaryArrival | None:
    return newest(lake)["silver"]


def test_nothing_is_seen_where_none_has_come(tmp_path, silver):
    assert newest(tmp_path) == dict.fromkeys(STAGES)


def test_each_stage_has_a_newest_of_its_own(tmp_path, silver):
    fill(silver, 0, 1)
    bronze = pa.table({"kafka_timestamp": pa.array([NOON + timedelta(minutes=each) for each in (2, 1)])})
    write_deltalake(str(tmp_path / "bronze" / CANARY_TABLE), bronze)
    gold = str(tmp_path / "gold" / CANARY_TABLE)
    canary.ensure(None, gold)
    canary.replace(gold, arrival(0), once=Transaction("gold", 0))

    found = newest(tmp_path)
    sent = {stage: each.sent_at - NOON.timestamp() for stage, each in found.items()}
    assert sent == {"bronze": 120, "silver": 60, "gold": 0}
    now = datetime.now(UTC).timestamp()
    assert all(now - 60 < each.visible_at <= now for each in found.values())
    assert found["gold"].seconds == pytest.approx(found["gold"].visible_at - NOON.timestamp())


def test_a_clock_that_runs_behind_gives_no_time_below_zero():
    assert CanaryArrival(1, sent_at=10.0, visible_at=9.5).seconds == 0.0


def test_a_canary_is_after_another_once():
    first, second = CanaryArrival(1, 10.0, 11.0), CanaryArrival(2, 70.0, 71.0)
    assert second.is_after(first)
    assert not second.is_after(second)
    assert not second.is_after(None), "what a sampler finds at its start may have been counted before"
    assert not CanaryArrival(3, 130.0, None).is_after(second), "how long it took is not known"


def test_what_maintenance_does_is_no_canary(tmp_path, silver):
    fill(silver, *range(16))
    before = seen(tmp_path)
    snapshot, policy = Snapshot.of(silver), policy_of(SILVER)
    assert len(compact(snapshot, groups(snapshot, policy, NOON.date()), until=float("inf"))) == 1
    assert seen(tmp_path) == before
    fill(silver, 60 * 24)
    before = seen(tmp_path)
    expire(Snapshot.of(silver), [name for name in Snapshot.of(silver).files() if "day=1/" in name])
    assert seen(tmp_path) == before


def test_a_canary_whose_commit_was_removed_from_the_log_is_still_old(tmp_path, silver):
    fill(silver, 0, 1)
    DeltaTable(silver).create_checkpoint()
    sent_at = seen(tmp_path).sent_at
    snapshot = Snapshot.of(silver)
    compact(snapshot, groups(snapshot, policy_of("bronze.bcb_sgs"), NOON.date()), until=float("inf"))
    DeltaTable(silver).alter.set_table_properties({"delta.checkpointInterval": "50"})
    DeltaTable(silver).create_checkpoint()
    for version in (0, 1, 2):
        (Path(silver) / "_delta_log" / f"{version:020}.json").unlink()
    assert seen(tmp_path) == CanaryArrival(3, sent_at, None)


def test_a_log_that_cannot_be_read_is_said(tmp_path, silver):
    fill(silver, 0)
    (Path(silver) / "_delta_log" / f"{1:020}.json").write_text("{")
    with pytest.raises(UnsafeState, match="cannot be read"):
        newest(tmp_path)

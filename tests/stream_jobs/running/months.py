"""A series whose months each come in a version of bronze of their own, and what silver's batches get of them."""

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from deltalake import DeltaTable

from sinks.compaction import compact
from sinks.planning import Policy, groups
from sinks.snapshot import Snapshot
from stream_jobs.silver import job as silver
from tests.controls import counted
from tests.pipeline import Pipeline
from tests.records import of_a_month

DATASET = "bcb_sgs"
BRONZE, SILVER = f"bronze.{DATASET}", f"silver.{DATASET}"
EAGER = Policy(small_bytes=1 << 25, target_bytes=1 << 26, at_least=2)
"""Compacts whatever there is."""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Months in the order in which silver's batches got them."""
    seen: list[int] = []
    apply = silver.apply_changes

    def noted(batch: Any, *arguments: Any) -> Any:
        seen.extend(on.month for on in batch["reference_on"].to_pylist())
        return apply(batch, *arguments)

    monkeypatch.setattr(silver, "apply_changes", noted)
    return seen


def once_each(found: Sequence[int], expected: Sequence[int]) -> list[str]:
    """The oracle: what a stream was given."""
    return counted(found, expected, "month")


def value(month: int, amount: str = "0.5", day: int = 10) -> dict[str, Any]:
    """A record, known since that day of June 2024."""
    return of_a_month(month, amount, datetime(2024, 6, day, tzinfo=UTC))


def published(pipeline: Pipeline, *months: int) -> None:
    """Each in a version of bronze of its own."""
    for month in months:
        pipeline.publish(DATASET, value(month))
        pipeline.run(pipeline.bronze(DATASET))


def compacted(path: str) -> None:
    """Few files of many."""
    snapshot = Snapshot.of(path)
    assert compact(snapshot, groups(snapshot, EAGER, date(2100, 1, 1)), until=time.monotonic() + 60)
    assert len(DeltaTable(path).file_uris()) < snapshot.version


def stopped_after(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, job: Any, *, batches: int) -> None:
    """Run a query until so many batches are done; the next one fails, as if the driver had been killed."""
    work, done = job._batches.work, []

    def limited(batch: Any, batch_id: int) -> None:
        if len(done) == batches:
            raise RuntimeError("killed")
        work(batch, batch_id)
        done.append(batch_id)

    monkeypatch.setattr(job._batches, "work", limited)
    query = job.start({"availableNow": True})
    with pytest.raises(Exception, match="killed"):
        query.awaitTermination(120)

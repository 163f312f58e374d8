"""From bronze to silver, to any past instant, and to gold."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Event
from typing import Any

import pytest

from foundation import failpoints
from foundation.errors import CorrentezaError, UnsafeState
from schemas.contracts import datasets
from sinks import apply_changes, sql, tables
from sinks.expectations import Expectation
from stream_jobs.gold import job as gold_job
from stream_jobs.gold.job import GoldJob
from stream_jobs.gold.tables.fact_economic_observation import TABLE as OBSERVATIONS
from stream_jobs.running import attempts, stalls
from stream_jobs.running.stop_notes import stop_notes_in
from stream_jobs.running.supervised import Supervised
from stream_jobs.silver.asof import as_of
from stream_jobs.silver.job import SilverJob
from stream_jobs.silver.tables.model import discover
from tests import silver_oracles
from tests.helpers import PATIENCE_SECONDS, wait_for

DATASET = "bcb_sgs"
JANUARY = datetime(2024, 1, 10, tzinfo=UTC)


def value(amount: str, *, known: datetime = JANUARY, on: date = date(2023, 12, 1), **fields: Any) -> dict[str, Any]:
    return {
        "series_code": 433,
        "reference_on": on,
        "value": Decimal(amount).quantize(Decimal("1e-13")),
        "published_at": known,
        "published_at_basis": "api_field",
        "retrieved_at": known + timedelta(hours=1),
        **fields,
    }


def amounts(pipeline, table: str) -> list[Decimal]:
    return sorted(row["value"].normalize() for row in pipeline.rows(table))


def test_a_revision_reaches_both_tables_and_the_past_stays_as_it_was(pipeline):
    february = JANUARY + timedelta(days=30)
    pipeline.declare(DATASET)
    bronze, silver = pipeline.bronze(DATASET), pipeline.silver(DATASET)
    pipeline.publish(DATASET, value("0.5"), value("0.5", known=JANUARY + timedelta(days=1)))
    pipeline.send(DATASET, [(b"poison", b"junk")])
    pipeline.run(bronze, silver)
    pipeline.publish(DATASET, value("0.6", known=february), value("0.1", on=date(2024, 1, 1), published_at=None))
    pipeline.run(bronze, silver)

    assert amounts(pipeline, "silver.bcb_sgs_revisions") == [Decimal("0.1"), Decimal("0.5"), Decimal("0.6")]
    assert amounts(pipeline, "silver.bcb_sgs") == [Decimal("0.1"), Decimal("0.6")]
    unpublished = next(row for row in pipeline.rows("silver.bcb_sgs") if row["published_at"] is None)
    assert unpublished["known_from"] == unpublished["retrieved_at"]

    def known_at(instant: datetime) -> list[Decimal]:
        rows = as_of(pipeline.spark, pipeline.places, DATASET, instant).collect()
        return sorted(row.value.normalize() for row in rows)

    assert known_at(JANUARY - timedelta(seconds=1)) == []
    assert known_at(JANUARY) == [Decimal("0.5")]
    assert known_at(february) == [Decimal("0.1"), Decimal("0.6")]


def test_measured_only_leaves_assumed_clocks_out(pipeline):
    pipeline.publish(
        DATASET, value("0.5", published_at_basis="assumed_lag"), value("0.7", on=date(2024, 1, 1), known=JANUARY)
    )
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET))

    measured = as_of(pipeline.spark, pipeline.places, DATASET, JANUARY, measured_only=True).collect()
    assert [row.value.normalize() for row in measured] == [Decimal("0.7")]
    with pytest.raises(ValueError, match="time zone"):
        as_of(pipeline.spark, pipeline.places, DATASET, JANUARY.replace(tzinfo=None))


def test_f34_a_broken_fail_expectation_stops_its_query_alone_and_leaves_a_note(pipeline):
    """Bronze goes on, for retention is running."""
    pipeline.publish(DATASET, value("0.5"))
    rule = Expectation("above_one", "value > 1", "fail")
    failing = SilverJob(replace(discover()[DATASET], expectations=(rule,)), pipeline.driver)
    trigger = {"processingTime": "100 milliseconds"}
    jobs = (pipeline.bronze(DATASET), failing)
    bronze, silver = (Supervised(job, trigger, stop_notes_in(pipeline.places)) for job in jobs)

    def watched(until: Callable[[], bool]) -> bool:
        bronze.watch(), silver.watch()
        return until()

    bronze.start()
    silver.start()
    try:
        wait_for(lambda: watched(lambda: silver.stopped_by is not None), "silver is stopped")
        pipeline.publish(DATASET, value("2.5", on=date(2024, 1, 1)))
        wait_for(lambda: watched(lambda: len(pipeline.rows(f"bronze.{DATASET}")) == 2), "bronze goes on")
    finally:
        bronze.end()

    word = json.loads((pipeline.places.checkpoint(f"silver.{DATASET}") / "standing.json").read_text())
    assert (word["state"], "breaks above_one" in word["reason"]) == ("stopped", True)
    assert pipeline.rows(f"silver.{DATASET}") == []


def test_a_real_batch_that_hangs_is_stopped_and_its_query_started_again(pipeline, monkeypatch):
    """Progress is read from Spark itself; the query starts again once its batch has ended."""
    pipeline.publish(DATASET, value("0.5"))
    pipeline.run(pipeline.bronze(DATASET))
    job, gate, held = pipeline.silver(DATASET), Event(), Event()
    apply = job._batches.work

    def hang(batch: Any, batch_id: int) -> None:
        held.set()
        assert gate.wait(PATIENCE_SECONDS)
        apply(batch, batch_id)

    monkeypatch.setattr(job._batches, "work", hang)
    noted: list[str] = []
    silver = Supervised(job, {"availableNow": True}, lambda query, state, error: noted.append(f"{query} {state}"))
    silver.start()
    wait_for(held.is_set, "the batch hangs")
    monkeypatch.setattr(stalls, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(stalls, "STALL_SECONDS", 1.0)
    wait_for(lambda: silver.watch() or noted, "it is found to make no progress")
    monkeypatch.setattr(stalls, "STALL_SECONDS", 600.0)
    gate.set()
    wait_for(silver.watch, "it has read everything")

    assert noted == [f"silver.{DATASET} stalled"]
    assert amounts(pipeline, f"silver.{DATASET}") == [Decimal("0.5")]


def test_a_row_that_breaks_an_expectation_is_set_aside_with_its_rule(pipeline):
    pipeline.publish(DATASET, value("0.5"), value("0.5", reference_end_on=date(2020, 1, 1), on=date(2024, 1, 1)))
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET))

    [row] = pipeline.rows("silver.quarantine")
    assert (row["dataset"], row["rules"], row["key"]) == (DATASET, ["period_ends_after_it_begins"], "433|2024-01-01")
    assert len(pipeline.rows("silver.bcb_sgs")) == 1


def fail_between_the_writes(pipeline, monkeypatch) -> None:
    """F18: revisions are written, current is not, and the query fails."""
    revisions, current = (len(silver_rows(pipeline, each)) for each in ("silver.bcb_sgs_revisions", "silver.bcb_sgs"))
    monkeypatch.setattr(attempts, "MOST_FAILURES", 0)
    monkeypatch.setenv(failpoints.VARIABLE, "after_revisions:raise")
    with pytest.raises(CorrentezaError, match="after_revisions"):
        pipeline.run(pipeline.silver(DATASET))
    monkeypatch.delenv(failpoints.VARIABLE)
    assert len(pipeline.rows("silver.bcb_sgs_revisions")) == revisions + 1
    assert len(pipeline.rows("silver.bcb_sgs")) == current


def silver_rows(pipeline, table: str) -> list[dict[str, Any]]:
    """None as long as there is no table."""
    return pipeline.rows(table) if tables.exists(pipeline.places.table(table)) else []


def test_f18_a_failure_between_revisions_and_current_loses_nothing(pipeline, monkeypatch):
    pipeline.publish(DATASET, value("0.5"))
    pipeline.run(pipeline.bronze(DATASET))
    fail_between_the_writes(pipeline, monkeypatch)

    pipeline.run(pipeline.silver(DATASET))

    assert amounts(pipeline, "silver.bcb_sgs_revisions") == [Decimal("0.5")]
    assert amounts(pipeline, "silver.bcb_sgs") == [Decimal("0.5")]


def test_f18_control_current_computed_from_what_revisions_absorbed_would_lose_the_batch(pipeline, monkeypatch, control):
    """Both writes from what is new to revisions: as good as the product until a batch has to be repeated."""
    lake, write = pipeline.settings.lake_root, apply_changes._write
    pipeline.publish(DATASET, value("0.5"))
    pipeline.run(pipeline.bronze(DATASET))
    fail_between_the_writes(pipeline, monkeypatch)
    pipeline.run(pipeline.silver(DATASET))
    control.holds(silver_oracles.silver_keys, lake, DATASET)

    absorbed: list[int] = []

    def of_the_difference(timely: Any, target: Any, batch: Any) -> None:
        new = sql.table("FROM timely WHERE outcome = 'new'", timely=timely)  # what revisions do not hold yet
        absorbed.append(new.num_rows)
        write(new, target, batch)

    monkeypatch.setattr(apply_changes, "_write", of_the_difference)
    pipeline.publish(DATASET, value("0.7", on=date(2024, 3, 1)))
    pipeline.run(pipeline.bronze(DATASET))
    fail_between_the_writes(pipeline, monkeypatch)
    pipeline.run(pipeline.silver(DATASET))
    assert absorbed == [1, 0], "the first try had the whole batch, the repeated one has nothing left"
    control.objects(silver_oracles.silver_keys, lake, DATASET, damage="is not the newest of its revisions")


def test_a_lost_silver_checkpoint_is_refused_and_adopting_it_doubles_nothing(pipeline):
    """F22, silver: everything is read again under a new generation."""
    pipeline.publish(DATASET, value("0.5"), value("0.6", on=date(2024, 1, 1)))
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET))
    (pipeline.checkpoint("silver.bcb_sgs") / "metadata").unlink()
    with pytest.raises(UnsafeState, match="lost") as refused:
        pipeline.run(pipeline.silver(DATASET))
    assert refused.value.hint == "correnteza checkpoint adopt silver.bcb_sgs"

    pipeline.adopt("silver.bcb_sgs")
    pipeline.publish(DATASET, value("0.7", on=date(2024, 2, 1)))
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET))

    for table in ("silver.bcb_sgs", "silver.bcb_sgs_revisions"):
        assert amounts(pipeline, table) == [Decimal("0.5"), Decimal("0.6"), Decimal("0.7")]


def test_each_batch_leaves_how_many_rows_broke_what_once(pipeline):
    pipeline.declare(DATASET)
    bronze, silver = pipeline.bronze(DATASET), pipeline.silver(DATASET)
    pipeline.publish(
        DATASET, value("0.5"), value("0.1", on=date(2024, 1, 1)) | {"value": None}, value("1", series_code=-1)
    )
    pipeline.run(bronze, silver)
    pipeline.run(bronze, silver)  # nothing new: nothing is judged

    def counts() -> dict[str, tuple[str | None, int, int]]:
        rows = pipeline.rows("ops.expectations")
        assert len(rows) == len({row["expectation"] for row in rows})
        return {row["expectation"]: (row["action"], row["rows"], row["broken"]) for row in rows}

    assert counts() == {
        "series_code_is_positive": ("quarantine", 3, 1),
        "period_ends_after_it_begins": ("quarantine", 3, 0),
        "value_is_present": ("warn", 3, 1),
        "*": (None, 3, 2),
    }


def test_gold_follows_only_the_groups_that_changed(pipeline):
    job = GoldJob(OBSERVATIONS, pipeline.driver)
    pipeline.publish(DATASET, value("0.5"), value("0.6", on=date(2024, 1, 1)))
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET), job)
    pipeline.publish(DATASET, value("0.9", known=JANUARY + timedelta(days=5)))
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET), job)
    table = "gold.fact_economic_observation"
    assert amounts(pipeline, table) == [Decimal("0.6"), Decimal("0.9")]

    version = pipeline.version(table)
    pipeline.run(job)
    assert pipeline.version(table) == version


WITHDRAWALS = "ingest.withdrawals"
KEY = {"series_code": "433", "reference_on": "2023-12-01"}
DAY = timedelta(days=1)


def withdrawal(known: datetime, **key_fields: str) -> dict[str, Any]:
    return {
        "dataset": DATASET,
        "key": "|".join(key_fields.values()),
        "key_fields": key_fields,
        "source": DATASET,
        "resource": "433",
        "part": "433",
        "edition": 2,
        "payload_sha256": "0" * 64,
        "retrieved_at": known,
    }


def contradictions(pipeline) -> dict[str, list[str]]:
    """Of what was made here: the records have no manifests, and gold has one table."""
    wrong = pipeline.contradictions(DATASET, WITHDRAWALS)
    made = ("silver", "gold.fact_economic_observation", "all accounted for")
    return {check: found for check, found in wrong.items() if check.startswith(made)}


def test_a_withdrawn_row_leaves_current_and_gold_and_the_past_still_has_it(pipeline, monkeypatch):
    """Then a late version of another row: what it makes void is deleted, and gold reads that."""
    pipeline.declare(DATASET, WITHDRAWALS)
    jobs = (pipeline.bronze(DATASET), pipeline.bronze(WITHDRAWALS), pipeline.silver(DATASET))
    job, table = GoldJob(OBSERVATIONS, pipeline.driver), "gold.fact_economic_observation"
    other = date(2024, 1, 1)
    pipeline.publish(DATASET, value("0.5"), value("0.1", on=other), value("0.6", on=other, known=JANUARY + 9 * DAY))
    pipeline.run(*jobs, job)
    assert amounts(pipeline, table) == [Decimal("0.5"), Decimal("0.6")]

    pipeline.publish(
        WITHDRAWALS, withdrawal(JANUARY + DAY, **KEY), withdrawal(JANUARY + DAY, **KEY | {"series_code": "1"})
    )
    assert not jobs[2].has_unread()
    pipeline.run(jobs[1])
    assert jobs[2].has_unread()
    pipeline.run(jobs[2], job)

    assert amounts(pipeline, "silver.bcb_sgs") == amounts(pipeline, table) == [Decimal("0.6")]
    [gone] = [row for row in pipeline.rows("silver.bcb_sgs_revisions") if row["is_withdrawn"]]
    assert (gone["value"], gone["known_from"], gone["series_code"]) == (None, JANUARY + DAY, 433)
    for instant, known in ((JANUARY, ["0.1", "0.5"]), (JANUARY + DAY, ["0.1"])):
        rows = as_of(pipeline.spark, pipeline.places, DATASET, instant).collect()
        assert sorted(str(row.value.normalize()) for row in rows) == known
    assert contradictions(pipeline) == {}

    pipeline.publish(DATASET, value("0.6", on=other, known=JANUARY + 5 * DAY))
    pipeline.run(*jobs)
    monkeypatch.setattr(gold_job, "READING", gold_job.READING | {"skipChangeCommits": "false"})
    monkeypatch.setattr(attempts, "MOST_FAILURES", 0)
    with pytest.raises(CorrentezaError):  # negative control: a stream that reads what deletes rewrite does not go on
        pipeline.run(GoldJob(OBSERVATIONS, pipeline.driver))
    monkeypatch.undo()
    pipeline.run(job)
    assert [row["known_from"] for row in pipeline.rows(table)] == [JANUARY + 5 * DAY]
    assert not job.has_unread()
    assert contradictions(pipeline) == {}


def test_every_dataset_contract_has_a_silver_declaration():
    declared = discover()
    assert set(declared) == set(datasets())
    for name, table in declared.items():
        assert table.prune_by in datasets()[name].key

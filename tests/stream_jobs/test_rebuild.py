"""A rebuild by the real queries: equal to what is there, gold goes on, back again; a changed rule; a running driver."""

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from correnteza import rebuilding
from foundation import failpoints
from foundation.errors import UnsafeState
from monitoring.proof.checks.model import Rule
from sinks.expectations import Expectation
from storage import delta
from stream_jobs.gold.job import GoldJob
from stream_jobs.gold.tables.fact_economic_observation import TABLE as OBSERVATIONS
from stream_jobs.places import Places
from stream_jobs.rebuild import plan, run, shadow
from stream_jobs.running import handover
from stream_jobs.silver.tables.model import discover
from tests import rebuilt_lake
from tests.helpers import wait_for
from tests.records import of_a_month
from tests.supervised import kept_running

DATASET = "bcb_sgs"
SILVER, REVISIONS, GOLD = f"silver.{DATASET}", f"silver.{DATASET}_revisions", "gold.fact_economic_observation"
JANUARY = datetime(2024, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def value(month: int, amount: str, *, known: datetime = JANUARY) -> dict[str, Any]:
    return of_a_month(month, amount, known)


def told(pipeline: Any, table: str) -> list[tuple[Any, ...]]:
    """Month, amount and clock of every row."""
    rows = pipeline.rows(table)
    return sorted((row["reference_on"], row["value"].normalize(), row["known_from"]) for row in rows)


def rebuilt(pipeline: Any, *queries: str, accept: bool = False) -> list[str]:
    """The output of a rebuild."""
    lines: list[str] = []
    run_of = run.latest(pipeline.places)
    if run_of is None or run.is_finished(pipeline.places, run_of):
        run_of = run.begin(pipeline.places, queries)
    rebuilding.resume(
        pipeline.places,
        run_of,
        spark=pipeline.spark.newSession,  # a query's name is taken once per session
        accept=accept,
        say=lines.append,
        stop=threading.Event(),
    )
    return lines


def filled(pipeline: Any) -> tuple[Any, ...]:
    """Three batches: a revision, a repetition, a late row, and one that breaks a rule; gold follows."""
    jobs = (pipeline.bronze(DATASET), pipeline.silver(DATASET), GoldJob(OBSERVATIONS, pipeline.driver))
    broken = {**value(9, "1"), "series_code": -1}
    for batch in (
        [value(1, "0.5"), value(2, "0.1"), broken],
        [value(1, "0.6", known=JANUARY + 9 * DAY), value(2, "0.1", known=JANUARY + DAY)],
        [value(1, "0.7", known=JANUARY + 5 * DAY), value(3, "0.3")],
    ):
        pipeline.publish(DATASET, *batch)
        pipeline.run(*jobs)
    pipeline.driver.locks.release()
    return jobs


def read_by_gold(pipeline: Any) -> int:
    """Rows that the gold query finds."""
    found = pipeline.run(GoldJob(OBSERVATIONS, pipeline.driver))
    pipeline.driver.locks.release()
    return int(found[GOLD])


def contradictions(pipeline: Any) -> dict[str, list[str]]:
    wrong = pipeline.contradictions(DATASET, without=("manifests = rows", "payload = published + rejected"))
    return {check: found for check, found in wrong.items() if check.startswith(("silver", GOLD, "data files"))}


def test_a_rebuilt_dataset_is_equal_gold_goes_on_and_the_live_query_goes_on_with_the_shadow_s_checkpoint(pipeline):
    filled(pipeline)
    before = {table: told(pipeline, table) for table in (SILVER, REVISIONS, GOLD)}
    versions = {table: pipeline.version(table) for table in (SILVER, REVISIONS)}

    lines = rebuilt(pipeline, SILVER)
    assert [each for each in lines if "the same as in the live table" in each] == [
        f"{REVISIONS}: {len(before[REVISIONS])} rows, the same as in the live table",
        f"{SILVER}: 3 rows, the same as in the live table",
        "silver.quarantine: 1 rows, the same as in the live table",
    ]
    assert {table: told(pipeline, table) for table in before} == before
    for table, version in versions.items():
        assert pipeline.version(table) == version + 1, "one commit"
        former = delta.table(pipeline.places.table(table), version).to_pyarrow_table()
        assert former.num_rows == len(before[table])
    assert read_by_gold(pipeline) == 0, "the swap brought gold no rows"

    gold_version = pipeline.version(GOLD)
    pipeline.publish(DATASET, value(4, "0.4"))
    silver = pipeline.silver(DATASET)
    pipeline.run(pipeline.bronze(DATASET), silver, GoldJob(OBSERVATIONS, pipeline.driver))
    assert silver._generation == 1
    assert pipeline.version(GOLD) == gold_version + 1
    assert [row[1] for row in told(pipeline, GOLD)] == [Decimal(each) for each in ("0.6", "0.1", "0.3", "0.4")]
    assert contradictions(pipeline) == {}
    pipeline.driver.locks.release()

    # And back: the former content, and what arrived since.
    known = {table: told(pipeline, table) for table in (SILVER, REVISIONS, GOLD)}
    this = run.require(pipeline.places)
    assert run.roll_back(pipeline.places, this) == [SILVER]
    assert told(pipeline, REVISIONS) == before[REVISIONS]
    silver = pipeline.silver(DATASET)
    pipeline.run(silver, GoldJob(OBSERVATIONS, pipeline.driver))
    assert silver._generation == 0
    assert {table: told(pipeline, table) for table in known} == known
    assert contradictions(pipeline) == {}


def relaxed(monkeypatch: Any) -> None:
    """The release after: one rule less, in silver and in verify."""
    table = discover()[DATASET]
    kept = tuple(each for each in table.expectations if each.name != "series_code_is_positive")
    monkeypatch.setattr(shadow, "silver_tables", lambda: {DATASET: replace(table, expectations=kept)})
    quarantining = {DATASET: tuple(Rule(each.name, each.sql) for each in kept if each.action == "quarantine")}
    monkeypatch.setattr(rebuilding, "quarantining", lambda: quarantining)


def test_a_rebuild_under_another_rule_stops_before_the_swap_says_what_differs_and_is_swapped_once_accepted(
    pipeline, monkeypatch
):
    filled(pipeline)
    version = pipeline.version(SILVER)
    relaxed(monkeypatch)
    with pytest.raises(UnsafeState, match="differ from the live ones") as refused:
        rebuilt(pipeline, SILVER)
    assert refused.value.exit_code == 3
    assert pipeline.version(SILVER) == version
    found = (pipeline.places.checkpoints / "rebuild" / SILVER / "differences.json").read_text()
    assert "1 rows stand only in the rebuilt table" in found
    assert "series_code=-1, reference_on=2023-09-01" in found
    with pytest.raises(UnsafeState, match="is unfinished"):
        run.begin(pipeline.places, [SILVER])

    rebuilt(pipeline, SILVER, accept=True)
    assert len(pipeline.rows(SILVER)) == 4
    assert pipeline.rows("silver.quarantine") == []
    assert plan.downstream([SILVER])[-1] == GOLD
    rebuilt(pipeline, GOLD, accept=True)
    assert len(pipeline.rows(GOLD)) == 4


def test_control_without_the_comparison_a_shadow_that_lost_rows_is_swapped_in(pipeline, monkeypatch, control):
    filled(pipeline)
    whole = told(pipeline, REVISIONS)
    table = discover()[DATASET]
    rule = Expectation("loses", "value > 0.2", "quarantine")
    broken = replace(table, expectations=(*table.expectations, rule))

    def after_a_rebuild(compare: bool) -> list[str]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(shadow, "silver_tables", lambda: {DATASET: broken})
            if not compare:
                patched.setattr(rebuilding, "_judge", lambda *given, **named: None)
            try:
                rebuilt(pipeline, SILVER)
            except UnsafeState:
                run.abandon(pipeline.places, run.require(pipeline.places))
        missing = [each for each in whole if each not in told(pipeline, REVISIONS)]
        return [f"revisions of {len(missing)} versions are missing"] if missing else []

    control.holds(after_a_rebuild, True)
    control.objects(after_a_rebuild, False, damage="versions are missing")


@pytest.mark.fault
@pytest.mark.slow
def test_f27_a_running_driver_swaps_between_two_batches_while_records_arrive(
    pipeline,
):
    """The tables' locks stay with the driver; the rebuild only asks."""
    jobs = filled(pipeline)
    with kept_running(*jobs):
        pipeline.publish(DATASET, value(5, "0.5"))
        wait_for(lambda: len(pipeline.rows(GOLD)) == 4, "the queries run")
        rebuilt(pipeline, SILVER)
        pipeline.publish(DATASET, value(6, "0.6"))
        wait_for(lambda: len(pipeline.rows(GOLD)) == 5, "gold has what came after the swap")
        run.roll_back(pipeline.places, run.require(pipeline.places))
        pipeline.publish(DATASET, value(7, "0.7"))
        wait_for(lambda: len(pipeline.rows(GOLD)) == 6, "gold has what came after the rollback")
        wait_for(lambda: len(pipeline.rows(SILVER)) == 6, "silver has all that came since the swap")
    assert contradictions(pipeline) == {}


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("point", ["shadow_built", "validated", "asked_for"])
def test_f27_a_rebuild_that_ends_before_the_swap_is_resumed(pipeline, monkeypatch, point):
    """The swap's own points: tests/faults/test_rebuild_faults.py."""
    filled(pipeline)
    before = told(pipeline, REVISIONS)
    monkeypatch.setenv(failpoints.VARIABLE, f"{point}:raise")
    with pytest.raises(RuntimeError, match=point):
        rebuilt(pipeline, SILVER)
    monkeypatch.delenv(failpoints.VARIABLE)
    pipeline.publish(DATASET, value(8, "0.8"))
    pipeline.run(pipeline.bronze(DATASET))

    rebuilt(pipeline, SILVER)
    state = handover.read(pipeline.places, SILVER)
    assert state is not None
    assert (state.phase, state.generation) == ("swapped", 1)
    pipeline.run(pipeline.silver(DATASET), GoldJob(OBSERVATIONS, pipeline.driver))
    assert [row for row in told(pipeline, REVISIONS) if row in before] == before
    assert len(told(pipeline, SILVER)) == len(told(pipeline, GOLD)) == 4, "gold hears of what came meanwhile"
    assert contradictions(pipeline) == {}


@pytest.mark.slow
def test_control_a_shadow_that_is_ahead_of_the_live_query_is_swapped_in_only_once_that_has_read_as_much(
    pipeline, monkeypatch, control
):
    """Gold skips the swap's commit, so it would miss rows that only the shadow has read."""

    def gold_after_a_rebuild(month: int) -> list[str]:
        pipeline.publish(DATASET, value(month, "0.9"))
        pipeline.run(pipeline.bronze(DATASET))
        pipeline.driver.locks.release()
        rebuilt(pipeline, SILVER, accept=True)
        pipeline.run(pipeline.silver(DATASET), GoldJob(OBSERVATIONS, pipeline.driver))
        pipeline.driver.locks.release()
        missing = {row[0] for row in told(pipeline, SILVER)} - {row[0] for row in told(pipeline, GOLD)}
        return [f"gold lacks the month {each:%Y-%m}" for each in sorted(missing)]

    filled(pipeline)
    control.holds(gold_after_a_rebuild, 10)
    monkeypatch.setattr(handover, "is_ahead", lambda places, state: False)
    control.objects(gold_after_a_rebuild, 11, damage="gold lacks the month 2023-11")


def test_two_rebuilds_at_once_are_refused(tmp_path):
    places = Places(str(tmp_path / "lake"), tmp_path / "checkpoints", tmp_path / "locks")
    with run.exclusive_lock(places):
        program = (
            "import sys; from pathlib import Path; from stream_jobs.places import Places;"
            "from stream_jobs.rebuild import run; root = Path(sys.argv[1]);"
            "run.exclusive_lock(Places('', root / 'checkpoints', root / 'locks')).__enter__()"
        )
        done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    assert "another rebuild is under way" in done.stderr


def test_a_plan_gives_rows_bytes_and_what_is_downstream_and_estimates_by_the_last_measured_rate(tmp_path):
    places = rebuilt_lake.made(tmp_path)
    for name in plan.inputs_of(SILVER):
        write_deltalake(places.table(name), pa.table({"offset": list(range(7))}))
    planned = plan.plan(places, SILVER)
    assert (planned.rows, planned.seconds, planned.files) == (14, None, 2 * rebuilt_lake.BATCHES)
    assert planned.bytes > 0
    assert GOLD in planned.downstream
    plan.note_rate(places, "silver.bcb_ptax", 70, 2.0)
    assert plan.plan(places, SILVER).seconds == 14 / 35, "of the layer, where none of its own is known"
    plan.note_rate(places, SILVER, 70, 1.0)
    assert plan.plan(places, SILVER).seconds == 14 / 70
    assert plan.plan(places, GOLD).seconds is None
    assert plan.chosen(["gold", REVISIONS])[0] == SILVER

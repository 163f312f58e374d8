"""A dead letter that was redriven once a rule was relaxed keeps its place when its dataset is rebuilt."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from correnteza import rebuilding
from foundation.errors import UnsafeState
from monitoring.proof.checks.model import Rule
from producers.redrive import REDRIVES, Closer, DeadLetter
from sinks.history import CLOSED
from stream_jobs.rebuild import run, shadow
from stream_jobs.silver.history import BronzeHistory
from stream_jobs.silver.job import SilverJob
from stream_jobs.silver.tables.model import discover
from tests.records import of_a_month

DATASET = "bcb_sgs"
BRONZE, SILVER, REVISIONS = f"bronze.{DATASET}", f"silver.{DATASET}", f"silver.{DATASET}_revisions"
RULE = "series_code_is_positive"
JANUARY = datetime(2024, 1, 10, tzinfo=UTC)
TABLE = discover()[DATASET]
RELAXED = replace(TABLE, expectations=tuple(each for each in TABLE.expectations if each.name != RULE))


@pytest.fixture
def redriven(pipeline, monkeypatch):
    """Of two rows that broke a rule one was published again once the rule was gone, and the other was discarded."""
    wrong = [{**of_a_month(month, "1", JANUARY), "series_code": -1} for month in (8, 9)]
    job = pipeline.bronze_after(DATASET, [of_a_month(1, "0.5", JANUARY), *wrong])
    pipeline.run(pipeline.silver(DATASET))
    pipeline.declare(DATASET, REDRIVES)
    for row, action in zip(sorted(letters(pipeline), key=lambda row: int(row["offset"])), ACTIONS, strict=True):
        letter = DeadLetter(row["topic_id"], row["partition"], row["offset"], RULE, row["key"], record=row["record"])
        closer = Closer(pipeline.broker.bootstrap, pipeline.broker.prefix, pipeline.registry, DATASET)
        assert [each.is_news for each in closer.close([letter], action, "of no use")] == [True]
    pipeline.run(job, pipeline.bronze(REDRIVES), SilverJob(RELAXED, pipeline.driver))
    pipeline.driver.locks.release()
    assert len(pipeline.rows(SILVER)) == 2
    kept = tuple(Rule(each.name, each.sql) for each in RELAXED.expectations if each.action == "quarantine")
    monkeypatch.setattr(shadow, "silver_tables", lambda: {DATASET: RELAXED})
    monkeypatch.setattr(rebuilding, "quarantining", lambda: {DATASET: kept})
    return pipeline


ACTIONS = ("redriven", "discarded")


def letters(pipeline: Any) -> list[dict[str, Any]]:
    return [row for row in pipeline.rows(BRONZE) if row["record"]["series_code"] == -1]


def rebuilt(pipeline: Any) -> list[str]:
    """What a rebuild finds that would have to be accepted; nothing when the content is equal."""
    lines: list[str] = []
    this = run.begin(pipeline.places, [SILVER])
    try:
        rebuilding.resume(
            pipeline.places,
            this,
            spark=pipeline.spark.newSession,
            accept=False,
            say=lines.append,
            stop=threading.Event(),
        )
    except UnsafeState:
        run.abandon(pipeline.places, this)
        return [line for line in lines if "differ" in line or "only in" in line or "batch over" in line]
    return []


def test_control_a_redriven_row_keeps_its_place_and_a_discarded_one_stays_aside(redriven, monkeypatch, control):
    places = {row["reference_on"].month: row["kafka_offset"] for row in redriven.rows(REVISIONS)}
    entries = sorted((row["kafka_offset"], tuple(row["rules"])) for row in redriven.rows("silver.quarantine"))
    assert [rules for _, rules in entries] == [(RULE,), (RULE,)]
    assert places[8] > max(offset for offset, _ in entries), "the copy's"

    control.holds(rebuilt, redriven)
    assert {row["reference_on"].month: row["kafka_offset"] for row in redriven.rows(REVISIONS)} == places
    assert entries == sorted((row["kafka_offset"], tuple(row["rules"])) for row in redriven.rows("silver.quarantine"))

    monkeypatch.setattr(BronzeHistory, "closed", lambda self: pa.table(CLOSED.empty_table()))
    control.objects(rebuilt, redriven, damage="batch over bronze")

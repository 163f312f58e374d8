"""Bronze tables that are lost together with what Kafka's retention has taken: they come back from the payloads."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient

from correnteza import rebuilding
from foundation.errors import UnsafeState
from producers import poll
from producers.archive import Archive
from producers.model import Span
from schemas.contracts import load
from storage import files
from stream_jobs.rebuild import bronze, run
from tests.producers.served import ServedZip
from tests.producers.test_withdrawals_published import H1, MOBILE, YEAR, member

NOW = datetime(2025, 12, 1, 6, 30, tzinfo=UTC)
WITHDRAWALS = "ingest.withdrawals"
CONTRACTS = (MOBILE.name, "ingest.manifests", "ingest.rejects", WITHDRAWALS)
TABLE, WITHDRAWN, SILVER = f"bronze.{MOBILE.name}", "bronze.ingest_withdrawals", f"silver.{MOBILE.name}"
PUBLICATIONS = (
    {H1: member((1, "TIM", 1), (2, "TIM", 2), (2, "OI", 3))},
    {H1: member((1, "TIM", 1), (2, "TIM", 9))},
    {YEAR: member((1, "TIM", 1), (2, "VIVO", 9), (3, "VIVO", 4))},
)


def publish(pipeline: Any, served: ServedZip, members: dict[str, bytes], days: int) -> None:
    """The source's zip some days later, polled."""
    home = pipeline.settings
    target = poll.Services(home.bootstrap, home.registry, home.topic_prefix, home.archive_root, spool=home.spool)
    served.put(members, days=days)
    span = Span(MOBILE.history_start)
    outcome = poll.poll(MOBILE, target, now=lambda: NOW, base_url=served.url, span=span)
    assert outcome.error is None


@pytest.fixture
def served(httpserver) -> ServedZip:
    return ServedZip(httpserver, "/acessos/acessos_telefonia_movel.zip")


@pytest.fixture
def filled(pipeline, served):
    """Three publications, of which the second withdraws a row and the third another; bronze and silver have them."""
    pipeline.declare(*CONTRACTS, "ingest.cursors")
    for days, members in enumerate(PUBLICATIONS):
        publish(pipeline, served, members, days)
    pipeline.run(*(pipeline.bronze(name) for name in CONTRACTS), pipeline.silver(MOBILE.name))
    pipeline.driver.locks.release()
    assert len(pipeline.rows(TABLE)) == 8
    assert len(pipeline.rows(WITHDRAWN)) == 2
    return pipeline


def expire(pipeline: Any, *names: str) -> None:
    """Kafka's retention takes all that there is."""
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap})
    for name in names:
        topic = pipeline.topic(name)
        places = [TopicPartition(topic, each, OFFSET_END) for each in range(load(name).partitions)]
        for answer in admin.delete_records(places).values():
            answer.result()


def rebuilt(pipeline: Any, *queries: str, accept: bool = False, origin: run.Origin | None = None) -> list[str]:
    lines: list[str] = []
    this = run.latest(pipeline.places)
    if this is None or run.is_finished(pipeline.places, this):
        this = run.begin(pipeline.places, queries, origin)
    rebuilding.resume(
        pipeline.places,
        this,
        spark=pipeline.spark.newSession,
        accept=accept,
        say=lines.append,
        stop=threading.Event(),
        kafka=bronze.Kafka(pipeline.broker, pipeline.registry),
        archive=pipeline.settings.archive_root,
    )
    return lines


def content(pipeline: Any, table: str) -> list[tuple[Any, ...]]:
    """What was published, without its place in Kafka."""
    rows = pipeline.rows(table)
    return sorted(
        (row["key"], row["value_hash"], row["schema_id"], row["decode_status"], str(row["record"])) for row in rows
    )


def test_lost_tables_whose_topics_are_empty_come_back_as_they_were_published(filled):
    before = {table: content(filled, table) for table in (TABLE, WITHDRAWN)}
    silver = sorted((row["economic_group"], row["accesses"]) for row in filled.rows(SILVER))
    expire(filled, MOBILE.name, WITHDRAWALS)
    for table in before:
        files.remove_tree(filled.places.table(table))
    assert filled.contradictions(*CONTRACTS) != {}

    lines = rebuilt(filled, WITHDRAWN, TABLE, SILVER)
    assert f"{TABLE}: 8 rows that Kafka no longer holds were recovered from the payload archive" in lines
    assert {table: content(filled, table) for table in before} == before
    assert {(row["topic_id"], row["partition"]) for row in filled.rows(TABLE)} == {("archive", -1)}
    assert sorted(row["offset"] for row in filled.rows(TABLE)) == list(range(8))
    assert sorted((row["economic_group"], row["accesses"]) for row in filled.rows(SILVER)) == silver
    assert filled.contradictions(*CONTRACTS) == {}

    # A second rebuild keeps them, by the table and then by the archive alone.
    for origin in (None, "archive"):
        assert f"{TABLE}: 8 rows, the same as in the live table" in rebuilt(filled, TABLE, origin=origin)
    assert filled.contradictions(*CONTRACTS) == {}


def test_what_cannot_be_had_from_anywhere_is_named_and_stands_in_ops_gaps_once_accepted(filled):
    expire(filled, MOBILE.name)
    files.remove_tree(filled.places.table(TABLE))
    with pytest.raises(UnsafeState, match="cannot be recovered completely"):
        rebuilt(filled, TABLE, origin="kafka")
    run.abandon(filled.places, run.require(filled.places))

    manifests = [row["record"] for row in filled.rows("bronze.ingest_manifests")]
    last = max(manifests, key=lambda each: each["published_at"])
    Archive(filled.settings.archive_root).remove(last["payload_sha256"], datetime.now(UTC).replace(year=2100))
    with pytest.raises(UnsafeState, match="1 chunks or partitions cannot be recovered completely") as refused:
        rebuilt(filled, TABLE)
    assert "ops.gaps" in str(refused.value.hint)
    lines = rebuilt(filled, TABLE, accept=True)
    assert any(f"3 rows of chunk {last['chunk_id']}: the archive does not hold its payload" in each for each in lines)
    assert len(filled.rows(TABLE)) == 5
    gaps = filled.rows("ops.gaps")
    assert {(gap["topic"], gap["from_offset"]) for gap in gaps} == {(filled.topic(MOBILE.name), 0)}
    assert "not in the archive" in gaps[0]["reason"]

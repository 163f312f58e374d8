"""Sources that repeat, correct and delay themselves (F15), and records at the limit (F16), from Kafka to silver."""

import json
import random
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from deltalake import DeltaTable

from monitoring.lag.kafka import Cluster
from monitoring.lag.status import Line, Places, status
from producers import chunk, sources
from producers.model import Part, PartState
from producers.publish import Publisher
from schemas.contracts import load, load_all
from schemas.limits import MAX_RECORD_BYTES
from sinks import apply_changes, current, late, sql
from stream_jobs.bronze.job import KAFKA
from stream_jobs.running import session
from tests import lake_oracles, silver_oracles
from tests.pipeline import Pipeline, pipeline
from tests.records import message
from tests.spark_fixtures import in_jvms_apart, spark

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

SOURCE = "bcb_sgs"
TOPICS = (SOURCE, chunk.MANIFESTS, chunk.REJECTS, chunk.CURSORS)
VERIFIED = TOPICS[:3]
NOVEMBER = datetime(2025, 11, 10, tzinfo=UTC)

Answer = tuple[int, list[tuple[str, str]]]
"""On which day it was fetched, and its (day, value) items."""

JANUARY, FEBRUARY, MARCH = "01/01/2024", "01/02/2024", "01/03/2024"
FIRST: Answer = (1, [(JANUARY, "0.42"), (FEBRUARY, "0.83"), (JANUARY, "0.42")])  # a row stands twice
CORRECTED: Answer = (3, [(JANUARY, "0.43"), (FEBRUARY, "0.83"), (MARCH, "0.16")])
LATE: Answer = (2, [(JANUARY, "0.40"), (FEBRUARY, "0.83")])  # fetched before the correction, published after it
EMPTY: Answer = (4, [])
REPEATED: Answer = (5, [(JANUARY, "0.44"), (JANUARY, "0.44")])


def publish(pipeline: Pipeline, *answers: Answer) -> None:
    """Answers of the source as its producer publishes them: parsed, encoded, a transaction and a manifest each."""
    if not pipeline.ids:
        pipeline.declare(*TOPICS)
    source = sources.load(SOURCE)
    publisher = Publisher(pipeline.broker.bootstrap, pipeline.broker.prefix, SOURCE)
    publisher.start()
    for day, items in answers:
        fetched = NOVEMBER + timedelta(days=day)
        body = json.dumps([{"data": on, "valor": value} for on, value in items]).encode()
        part = Part("433", f"window-{day}", f"window-{day}", fetched)
        state = PartState(part.name, f"{day:064}", 1, 0, False, False, fetched)
        for parsed in source.parse([body], part):
            rows = chunk.rows(source, part, state, parsed, schema_ids=pipeline.ids)
            made = chunk.seal(
                source,
                part,
                state,
                rows,
                chunk.Taken({}),
                first_row=parsed.first_row,
                is_last=True,
                slot_id="s",
                payload_bytes=len(body),
                schema_ids=pipeline.ids,
            )
            publisher.publish(made, (b"bcb_sgs|433", b"cursor"))


def stream(pipeline: Pipeline) -> None:
    """Everything there is, to silver."""
    pipeline.run(*(pipeline.bronze(name) for name in VERIFIED), pipeline.silver(SOURCE))


def expected(answers: Iterable[Answer]) -> tuple[dict[str, Decimal], list[tuple[str, int, Decimal]]]:
    """Current, and (day, fetched, value) of every version: by the newest clock, whatever came first."""
    history: dict[str, dict[int, Decimal]] = defaultdict(dict)
    for fetched, items in answers:
        for on, value in items:
            history[on].setdefault(fetched, Decimal(value))
    current = {on: versions[max(versions)] for on, versions in history.items()}
    revisions = []
    for on, versions in history.items():
        before = None
        for fetched, value in sorted(versions.items()):
            if value != before:
                revisions.append((on, fetched, value))
            before = value
    return current, sorted(revisions)


def held(pipeline: Pipeline) -> tuple[dict[str, Decimal], list[tuple[str, int, Decimal]]]:
    """The same of the tables."""
    current = pipeline.rows(f"silver.{SOURCE}")
    versions = [
        (f"{row['reference_on']:%d/%m/%Y}", (row["known_from"] - NOVEMBER).days, row["value"])
        for row in pipeline.rows(f"silver.{SOURCE}_revisions")
    ]
    return {f"{row['reference_on']:%d/%m/%Y}": row["value"] for row in current}, sorted(versions)


@pytest.mark.parametrize(
    "at_once",
    [pytest.param(True, id="in one batch"), pytest.param(False, id="one after the other", marks=pytest.mark.slow)],
)
def test_f15_bronze_keeps_everything_and_the_newest_clock_wins_in_silver(pipeline, at_once):
    answers = [FIRST, CORRECTED, LATE, CORRECTED]  # the last one again: its slot was repeated
    for group in [answers] if at_once else [[each] for each in answers]:
        publish(pipeline, *group)
        stream(pipeline)

    assert len(pipeline.rows(f"bronze.{SOURCE}")) == sum(len(items) for _, items in answers)
    assert pipeline.offsets(f"bronze.{SOURCE}") == pipeline.committed(SOURCE)
    assert held(pipeline) == expected(answers)
    wrong = pipeline.contradictions(*VERIFIED)
    # The producer never publishes a chunk twice; here one was, and the oracle says so, but nothing else is wrong.
    assert {check: len(found) for check, found in wrong.items()} == {
        "manifests = rows": 2,
        "nothing twice in bronze": 1,
    }


def findings(pipeline: Pipeline) -> list[str]:
    """The findings of `verify`, in the form of an oracle."""
    found = pipeline.contradictions(*VERIFIED)
    return [f"{check}: {each}" for check, every in found.items() for each in every]


def test_f15_control_rows_that_stand_twice_would_be_versions_without_a_look_at_each_other(
    pipeline, monkeypatch, control
):
    """A repetition of a version at its own clock counts as a new one."""
    lake, classify = pipeline.settings.lake_root, apply_changes.classify

    def blind(*arguments: Any, **named: Any) -> pa.Table:
        outcome = "replace(outcome, 'duplicate', 'new') AS outcome"
        return sql.table(f"SELECT * REPLACE ({outcome}) FROM judged", judged=classify(*arguments, **named))

    publish(pipeline, FIRST)
    stream(pipeline)
    control.holds(findings, pipeline)
    control.holds(silver_oracles.silver_keys, lake, SOURCE)
    monkeypatch.setattr(apply_changes, "classify", blind)
    publish(pipeline, REPEATED)
    stream(pipeline)
    control.objects(silver_oracles.silver_keys, lake, SOURCE, damage="stands 2 times")
    control.objects(findings, pipeline, damage="silver current = newest: ")


def test_f15_control_a_late_answer_would_overwrite_without_the_guard_on_its_clock(pipeline, monkeypatch, control):
    """No row is late, each is the newest, and current takes whatever comes last."""
    lake, classify = pipeline.settings.lake_root, apply_changes.classify

    def newest_by_arrival(*arguments: Any, **named: Any) -> pa.Table:
        is_newest = "outcome IN ('new', 'stored') AS is_newest"
        return sql.table(f"SELECT * REPLACE ({is_newest}) FROM judged", judged=classify(*arguments, **named))

    publish(pipeline, CORRECTED)
    stream(pipeline)
    control.holds(findings, pipeline)
    control.holds(silver_oracles.silver_keys, lake, SOURCE)
    monkeypatch.setattr(late, "late_keys", lambda *_: None)
    monkeypatch.setattr(apply_changes, "classify", newest_by_arrival)
    monkeypatch.setattr(current, "IS_NEWER", "true")
    publish(pipeline, LATE)
    stream(pipeline)

    assert held(pipeline)[0][JANUARY] == Decimal("0.40") != expected([CORRECTED, LATE])[0][JANUARY]
    control.objects(silver_oracles.silver_keys, lake, SOURCE, damage="is not the newest of its revisions")
    control.objects(findings, pipeline, damage="silver current = newest: ")


def test_f15_control_a_row_that_bronze_dropped_would_be_missed(pipeline, control):
    """A bronze that keeps one of two equal rows."""
    settings = pipeline.settings
    asked = (settings.bootstrap, settings.topic_prefix, settings.lake_root, [SOURCE])
    publish(pipeline, FIRST)
    stream(pipeline)
    control.holds(findings, pipeline)
    control.holds(lake_oracles.coverage, *asked)
    DeltaTable(pipeline.places.table(f"bronze.{SOURCE}")).delete('"offset" = 2')
    control.objects(findings, pipeline, damage=("bronze = topic: ", "manifests = rows: "))
    control.objects(lake_oracles.coverage, *asked, damage=f"bronze.{SOURCE} lacks 1 records: 0/2")


def test_f15_an_answer_without_rows_is_counted_and_makes_the_data_older_but_nothing_late(pipeline):
    publish(pipeline, FIRST)
    stream(pipeline)
    before = lines(pipeline)

    publish(pipeline, EMPTY)
    assert lines(pipeline)["bronze.ingest_manifests"].records_behind  # its manifest is on its way
    stream(pipeline)

    after = lines(pipeline)
    for table in (f"bronze.{SOURCE}", f"silver.{SOURCE}"):
        assert (after[table].state, after[table].records_behind, after[table].seconds_behind) == ("ok", 0, 0.0)
        assert after[table].newest_event_at == before[table].newest_event_at
    assert after["bronze.ingest_manifests"].newest_event_at > before["bronze.ingest_manifests"].newest_event_at
    manifests = [row["record"] for row in pipeline.rows("bronze.ingest_manifests")]
    assert sorted(each["rows_published"] for each in manifests) == [0, 3]
    assert pipeline.contradictions(*VERIFIED) == {}

    # Negative control: rows that nobody has read yet are lag, and once read they move the newest event.
    publish(pipeline, CORRECTED)
    assert lines(pipeline)[f"bronze.{SOURCE}"].records_behind
    stream(pipeline)
    assert lines(pipeline)[f"silver.{SOURCE}"].newest_event_at > before[f"silver.{SOURCE}"].newest_event_at


def lines(pipeline: Pipeline) -> dict[str, Line]:
    """Table → its line of `status`."""
    settings = pipeline.settings
    places = Places(settings.lake_root, settings.checkpoints, settings.topic_prefix, {})
    found = status(places, lambda: Cluster(settings.bootstrap), [load(name) for name in VERIFIED], now=time.time())
    return {f"{line.layer}.{line.table}": line for line in found.lines}


STATIONS = "anatel_base_stations"
HEAP_BYTES = 1 << 30
LONGEST = MAX_RECORD_BYTES - chunk.BATCH_HEADER_BYTES
"""Key and value of the longest record that a producer lets out."""


def long_record(number: int, length: int) -> dict[str, Any]:
    """A text of random digits, which compresses least."""
    digits = random.Random(number).randbytes(length // 2 + 1).hex()[:length]
    return {"license_row_id": f"{number:04}", "station_number": "1", "attributes": {"Observação": digits}}


def fit(build: Callable[[dict[str, Any]], tuple[bytes | None, bytes | None]], number: int) -> dict[str, Any]:
    """A record that is as long as can be: the text's own length is written in as many bytes either way."""
    key, value = build(long_record(number, LONGEST - 1000))
    return long_record(number, 2 * LONGEST - 1000 - len(key or b"") - len(value or b""))


def test_f16_one_limit_holds_from_the_producer_to_the_reader(pipeline):
    pipeline.declare(STATIONS)
    topic = ConfigResource(ResourceType.TOPIC, pipeline.topic(STATIONS))
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap, "log_level": 0})
    broker = int(admin.describe_configs([topic])[topic].result()["max.message.bytes"].value)

    assert LONGEST < broker == MAX_RECORD_BYTES
    assert int(KAFKA["kafka.max.partition.fetch.bytes"]) >= broker
    assert int(KAFKA["kafka.fetch.max.bytes"]) >= broker
    limits = {name.split(".")[-2]: int(value) for name, value in session.AVRO_LIMITS.items()}
    assert limits["string"] == limits["bytes"] == MAX_RECORD_BYTES


def test_f16_the_longest_record_is_whole_in_silver(pipeline):
    pipeline.declare(STATIONS)
    longest = fit(lambda record: message(load(STATIONS), pipeline.ids[STATIONS], record), 1)
    key, value = message(load(STATIONS), pipeline.ids[STATIONS], longest)
    assert len(key or b"") + len(value or b"") == LONGEST
    pipeline.publish(STATIONS, longest, long_record(2, 10))

    pipeline.run(pipeline.bronze(STATIONS), pipeline.silver(STATIONS))

    assert [row["decode_status"] for row in pipeline.rows(f"bronze.{STATIONS}")] == ["ok", "ok"]
    found = {row["license_row_id"]: dict(row["attributes"]) for row in pipeline.rows(f"silver.{STATIONS}")}
    assert found == {"0001": longest["attributes"], "0002": long_record(2, 10)["attributes"]}


LIMITED = """
import sys
from pathlib import Path
from stream_jobs.running import session
if sys.argv[4] == "own":
    session.AVRO_LIMITS |= {name: str(1 << 20) for name in session.AVRO_LIMITS}
    session.JVM_OPTIONS = tuple(f"-D{name}={value}" for name, value in session.AVRO_LIMITS.items())
spark = session.start(sorted(Path(sys.argv[1]).glob("*.jar")), driver_memory="512m", scratch=Path(sys.argv[2]))
from schemas.contracts import load, load_all
from stream_jobs.bronze.decode import Schemas, Writer, decoded
contract = load("anatel_base_stations")
value = Path(sys.argv[3]).read_bytes()
kafka = "topic string, partition int, offset long, timestamp timestamp, key binary, value binary"
rows = spark.createDataFrame([("t", 0, 0, None, b"k", bytearray(value))], kafka)
schemas = Schemas((Writer(1, contract.schema_text, True),))
print(decoded(rows, contract, schemas, topic_id="t").select("decode_status").first()[0])
"""


def test_f16_control_a_reader_with_a_tighter_limit_would_file_it_as_corrupt(settings, tmp_path, control):
    """The reader's limit is one of its own, half the producer's."""
    record = tmp_path / "record"
    record.write_bytes(message(load(STATIONS), 1, long_record(1, LONGEST - 1000))[1] or b"")

    def misfiled(done: "subprocess.CompletedProcess[str]") -> list[str]:
        return [] if done.stdout.split() == ["ok"] else [f"filed as {done.stdout!r}: {done.stderr[-500:]}"]

    shared, own = in_jvms_apart(settings, tmp_path, LIMITED, ("shared", "own"), record)
    control.holds(misfiled, shared)
    control.objects(misfiled, own, damage=r"filed as 'corrupt\n'")


@pytest.mark.slow
def test_f16_a_backlog_of_long_records_larger_than_the_heap_is_read_in_one_batch(pipeline, cli):
    """Twice as much in one batch as the driver's heap holds. What it needs is a row group per core, whatever comes.

    With Parquet's own defaults, without the two settings of `running.session`, it ends in an OutOfMemoryError.
    """
    pipeline.declare(*load_all())
    records = 2 * HEAP_BYTES // LONGEST
    for first in range(0, records, 50):
        pipeline.publish(STATIONS, *(long_record(n, LONGEST - 1000) for n in range(first, min(first + 50, records))))

    done = cli("run", "bronze", "--once", "--json", CORRENTEZA_SPARK_DRIVER_MEMORY=str(HEAP_BYTES))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["rows"][f"bronze.{STATIONS}"] == records
    assert pipeline.offsets(f"bronze.{STATIONS}") == pipeline.committed(STATIONS)

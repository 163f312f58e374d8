"""F32: a backlog met with little memory. No batch is larger than the cap, the JVM stays within its bound, and a driver
killed in the middle of catching up leaves nothing out and reads nothing twice.
"""

import json
import os
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition
from deltalake import DeltaTable

from schemas.contracts import load, load_all
from stream_jobs import bronze
from tests.helpers import Command, environment, wait_for
from tests.pipeline import Pipeline, pipeline
from tests.records import message
from tests.spark_fixtures import spark

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]

DATASET = "inmet_stations"
TABLE = f"bronze.{DATASET}"
CAP = 50_000
HEAP = "640m"
MOST_RESIDENT_BYTES = (640 + 900) << 20
"""The heap, and beside it what a JVM of Spark takes: classes, compiled code, threads, network buffers."""

CAPPED = f"""
from stream_jobs import bronze
bronze.MOST_OFFSETS_PER_BATCH = {CAP}
from correnteza.cli import main
main()
"""
"""The command line, with a smaller cap: two million fit into one batch, and nothing could be killed between two."""


class CappedDriver(Command):
    """`correnteza run bronze` with the small cap, and the peak of what its JVM holds in memory."""

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self.peak = 0
        variables = {"CORRENTEZA_BRONZE_INTERVAL_SECONDS": "1", "CORRENTEZA_SPARK_DRIVER_MEMORY": HEAP}
        told = environment(pipeline.settings, variables)
        super().__init__(("run", "bronze"), folder, told, folder / "driver.out", ("-c", CAPPED))

    def look(self) -> None:
        """Note the memory of the JVM."""
        for each in psutil.Process(self.pid).children(recursive=True):
            try:
                if "java" in each.name():
                    self.peak = max(self.peak, each.memory_info().rss)
            except psutil.NoSuchProcess:
                continue


def preload(pipeline: Pipeline, count: int) -> None:
    """So many small records, over all partitions."""
    pipeline.declare(*load_all())
    contract = load(DATASET)
    day = {"valid_from_on": date(2024, 1, 1)}
    some = [message(contract, pipeline.ids[DATASET], {"station_code": f"A{n:03}", **day}) for n in range(100)]
    pipeline.send(DATASET, (some[number % 100] for number in range(count)))


def batches(pipeline: Pipeline) -> list[int]:
    """Rows that each version of the table added, by the statistics in its log: no checkpoint, no Spark."""
    log = Path(pipeline.places.table(TABLE)) / "_delta_log"
    found = []
    for file in sorted(log.glob("*.json")):
        actions = [json.loads(line) for line in file.read_text().splitlines()]
        added = [json.loads(each["add"]["stats"])["numRecords"] for each in actions if "add" in each]
        found += [sum(added)] if added else []
    return found


def assert_each_offset_once(pipeline: Pipeline) -> None:
    """O1, O3, without holding ten million rows: no transaction wrote here, so the offsets have no gaps."""
    consumer = Consumer({"bootstrap.servers": pipeline.broker.bootstrap, "group.id": "oracle", "log_level": 0})
    topic = pipeline.topic(DATASET)
    places = [TopicPartition(topic, each) for each in consumer.list_topics(topic, timeout=30).topics[topic].partitions]
    ends = {each.partition: consumer.get_watermark_offsets(each, timeout=30)[1] for each in places}
    consumer.close()
    rows = DeltaTable(pipeline.places.table(TABLE)).to_pyarrow_table(columns=["partition", "offset"])
    found = rows.group_by("partition").aggregate(
        [("offset", "count"), ("offset", "count_distinct"), ("offset", "min"), ("offset", "max")]
    )
    for row in found.to_pylist():
        end = ends[row["partition"]]
        assert [row[f"offset_{name}"] for name in ("count", "count_distinct", "min", "max")] == [end, end, 0, end - 1]
    assert {row["partition"] for row in found.to_pylist()} == {each for each, end in ends.items() if end}


def catch_up(pipeline: Pipeline, folder: Path, count: int, monkeypatch: Any) -> None:
    preload(pipeline, count)
    driver = CappedDriver(pipeline, folder)
    try:

        def has_begun() -> bool:
            driver.look()
            assert driver.poll() is None, driver.said
            return (Path(pipeline.places.table(TABLE)) / "_delta_log").exists() and len(batches(pipeline)) >= 3

        wait_for(has_begun, "three batches", 180)
    finally:
        driver.kill_tree()
    half = sum(batches(pipeline))
    assert 0 < half < count, "killed too late: all of it had been read"
    assert 0 < driver.peak < MOST_RESIDENT_BYTES, f"{driver.peak >> 20} MiB"
    monkeypatch.setattr(bronze, "MOST_OFFSETS_PER_BATCH", CAP)
    pipeline.run(pipeline.bronze(DATASET))
    assert max(batches(pipeline)) <= CAP
    assert sum(batches(pipeline)) == count
    assert_each_offset_once(pipeline)
    print(f"peak of the JVM {driver.peak >> 20} MiB, {len(batches(pipeline))} batches, load {os.getloadavg()[0]:.1f}")


def test_f32_a_backlog_is_read_in_capped_batches_with_little_memory_and_a_kill_half_way_changes_nothing(
    pipeline, tmp_path, monkeypatch
):
    catch_up(pipeline, tmp_path, 500_000, monkeypatch)


@pytest.mark.long
def test_f32_a_backlog_of_ten_million_is_read_in_capped_batches_with_little_memory(pipeline, tmp_path, monkeypatch):
    if shutil.disk_usage(tmp_path).free < 5 << 30:
        pytest.skip("less than 5 GiB are free for ten million records, in Kafka and in bronze")
    catch_up(pipeline, tmp_path, 10_000_000, monkeypatch)


def over_the_cap(pipeline: Pipeline) -> list[str]:
    """The oracle: what each batch added, by the table's log."""
    return [f"a batch of {rows} rows, {CAP} are allowed" for rows in batches(pipeline) if rows > CAP]


def test_f32_control_without_a_cap_one_batch_takes_the_whole_backlog(pipeline, monkeypatch, control):
    """The same backlog twice: read in capped batches, and by a query that asks Kafka for no limit."""
    monkeypatch.setattr(bronze, "MOST_OFFSETS_PER_BATCH", CAP)
    preload(pipeline, 3 * CAP)
    pipeline.run(pipeline.bronze(DATASET))
    assert len(batches(pipeline)) >= 3
    control.holds(over_the_cap, pipeline)

    monkeypatch.setattr(bronze, "MOST_OFFSETS_PER_BATCH", 1 << 40)  # more than any topic holds
    preload(pipeline, 3 * CAP)
    pipeline.run(pipeline.bronze(DATASET))
    control.objects(over_the_cap, pipeline, damage=f"a batch of {3 * CAP} rows")

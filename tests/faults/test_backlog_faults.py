"""F32: a backlog with little memory. A driver that reads the backlog takes no batch larger than the limit and stays
within its memory; a driver that is killed during it loses nothing and reads nothing twice.
"""

import json
import os
import re
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition
from deltalake import DeltaTable

from correnteza.settings import Settings
from schemas.contracts import load, load_all
from stream_jobs.bronze import job as bronze
from tests.helpers import UNMODIFIED, Command, environment, wait_for
from tests.pipeline import Pipeline, pipeline
from tests.records import message
from tests.spark_fixtures import spark

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(2400)]

DATASET = "inmet_stations"
TABLE = f"bronze.{DATASET}"
CAP = bronze.MOST_OFFSETS_PER_BATCH
BACKLOG = CAP + CAP // 4
"""As shipped, two batches."""

HEAP, LARGE_HEAP = "640m", "4g"
MOST_HELD = (640 + 1000) << 20
"""The heap, and beside it what a JVM of Spark takes (classes, compiled code, threads, network buffers), and Python."""

SMALL_CAP = 50_000


def with_cap(rows: int) -> tuple[str, str]:
    """How Python is started with the command line and another cap."""
    return (
        "-c",
        f"""
from stream_jobs.bronze import job as bronze
bronze.MOST_OFFSETS_PER_BATCH = {rows}
from correnteza.cli import main
main()
""",
    )


class Driver(Command):
    """`correnteza run bronze`, and the most memory that it held."""

    def __init__(self, settings: Settings, folder: Path, start: Sequence[str], heap: str) -> None:
        variables = {"CORRENTEZA_BRONZE_INTERVAL_SECONDS": "1", "CORRENTEZA_SPARK_DRIVER_MEMORY": heap}
        variables["SPARK_SUBMIT_OPTS"] = ""  # what it holds is a figure: the JVM is the one that users start
        super().__init__(("run", "bronze"), folder, environment(settings, variables), folder / "driver.out", start)

    def held(self) -> int:
        """The most bytes that Python and the JVM ever held, each by the kernel's own count: no moment is missed."""
        below = psutil.Process(self.pid).children(recursive=True)
        # The oldest: a JVM that forks to run a command is there twice for an instant.
        jvm = min((each for each in below if "java" in each.name()), key=lambda each: each.create_time())
        return most_held(self.pid) + most_held(jvm.pid)


def most_held(pid: int) -> int:
    """Most bytes that a process held since its program began."""
    (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kibibytes) << 10


def preload(pipeline: Pipeline, count: int) -> None:
    """So many small records, over all partitions."""
    pipeline.declare(*load_all())
    contract = load(DATASET)
    day = {"valid_from_on": date(2024, 1, 1)}
    some = [message(contract, pipeline.ids[DATASET], {"station_code": f"A{n:03}", **day}) for n in range(100)]
    pipeline.send(DATASET, (some[number % 100] for number in range(count)))


def batches(settings: Settings) -> list[int]:
    """Rows that each version of the table added, by the statistics in its log: no checkpoint, no Spark."""
    log = settings.lake_root / "bronze" / DATASET / "_delta_log"
    found = []
    for file in sorted(log.glob("*.json")):
        actions = [json.loads(line) for line in file.read_text().splitlines()]
        added = [json.loads(each["add"]["stats"])["numRecords"] for each in actions if "add" in each]
        found += [sum(added)] if added else []
    return found


def assert_each_offset_once(settings: Settings) -> None:
    """O1, O3, without holding ten million rows: no transaction wrote here, so the offsets have no gaps."""
    consumer = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": "oracle", "log_level": 0})
    topic = settings.topic_prefix + load(DATASET).topic
    places = [TopicPartition(topic, each) for each in consumer.list_topics(topic, timeout=30).topics[topic].partitions]
    ends = {each.partition: consumer.get_watermark_offsets(each, timeout=30)[1] for each in places}
    consumer.close()
    rows = DeltaTable(settings.lake_root / "bronze" / DATASET).to_pyarrow_table(columns=["partition", "offset"])
    found = rows.group_by("partition").aggregate(
        [("offset", "count"), ("offset", "count_distinct"), ("offset", "min"), ("offset", "max")]
    )
    for row in found.to_pylist():
        end = ends[row["partition"]]
        assert [row[f"offset_{name}"] for name in ("count", "count_distinct", "min", "max")] == [end, end, 0, end - 1]
    assert {row["partition"] for row in found.to_pylist()} == {each for each, end in ends.items() if end}


def read_until(settings: Settings, folder: Path, start: Sequence[str], rows: int, heap: str = HEAP) -> int:
    """A driver that begins where its home's checkpoint ends, killed once so many rows are in bronze.

    Returns: the most bytes that it held until then.
    """
    driver = Driver(settings, folder, start, heap)
    try:

        def has_read() -> bool:
            assert driver.poll() is None, driver.said
            return sum(batches(settings)) >= rows

        wait_for(has_read, f"{rows} rows in bronze", 300 + rows / 5_000)
        held = driver.held()
        print(f"held {held >> 20} MiB, batches of {batches(settings)}, load {os.getloadavg()[0]:.1f}")
        return held
    finally:
        driver.kill_tree()


def too_much(settings: Settings, held: int) -> list[str]:
    """The oracle: what each batch added, by the table's log, and what the driver held, by the kernel."""
    found = [f"a batch of {rows} rows, {CAP} are allowed" for rows in batches(settings) if rows > CAP]
    return found + ([f"{held >> 20} MiB held, {MOST_HELD >> 20} are allowed"] if held > MOST_HELD else [])


def read_back(pipeline: Pipeline, folder: Path, count: int) -> None:
    """A driver as shipped, but for its heap, reads all of a topic from its first offset on."""
    preload(pipeline, count)
    held = read_until(pipeline.settings, folder, UNMODIFIED, count)
    found = batches(pipeline.settings)
    assert too_much(pipeline.settings, held) == []
    assert sum(found) == count
    assert len(found) >= count / CAP
    assert_each_offset_once(pipeline.settings)


def test_f32_a_backlog_is_read_back_whole_in_capped_batches_with_little_memory(pipeline, tmp_path):
    read_back(pipeline, tmp_path, BACKLOG)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_f32_a_backlog_of_ten_million_is_read_back_whole_in_capped_batches_with_little_memory(pipeline, tmp_path):
    if shutil.disk_usage(tmp_path).free < 5 << 30:
        pytest.skip("less than 5 GiB are free for ten million records, in Kafka and in bronze")
    read_back(pipeline, tmp_path, 10_000_000)


def test_f32_a_driver_killed_half_way_through_a_backlog_leaves_nothing_out_and_reads_nothing_twice(
    pipeline, tmp_path, monkeypatch
):
    """With a small cap: else so few records were one batch, and nothing could be killed between two."""
    settings, count = pipeline.settings, 10 * SMALL_CAP
    preload(pipeline, count)
    read_until(settings, tmp_path, with_cap(SMALL_CAP), 3 * SMALL_CAP)
    assert sum(batches(settings)) < count, "killed too late: all of it had been read"
    monkeypatch.setattr(bronze, "MOST_OFFSETS_PER_BATCH", SMALL_CAP)
    pipeline.run(pipeline.bronze(DATASET))
    assert sum(batches(settings)) == count
    assert max(batches(settings)) <= SMALL_CAP
    assert_each_offset_once(settings)


def test_f32_control_without_a_cap_a_batch_takes_all_and_without_a_small_heap_the_driver_holds_more(
    pipeline, tmp_path, control
):
    """The same backlog read back three times, each time into a lake of its own."""
    preload(pipeline, BACKLOG)

    def read_into(lake: str, start: Sequence[str], heap: str = HEAP) -> tuple[Settings, int]:
        settings = pipeline.settings.model_copy(update={"home": tmp_path / lake})
        return settings, read_until(settings, tmp_path, start, BACKLOG, heap)

    control.holds(too_much, *read_into("capped", UNMODIFIED))
    control.objects(too_much, *read_into("whole", with_cap(1 << 40)), damage=f"a batch of {BACKLOG} rows")
    control.objects(too_much, *read_into("roomy", UNMODIFIED, LARGE_HEAP), damage="MiB held")

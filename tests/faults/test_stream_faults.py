"""The stream driver is killed, started twice, or loses its checkpoint: F17, F18, F22, F25, F30, with real processes."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from foundation.errors import UnsafeState
from schemas.contracts import load_all
from sinks.locks import TableLocks
from stream_jobs.running import guards
from stream_jobs.running.jobs import Driver
from tests.helpers import wait_at_gate, wait_for
from tests.pipeline import Pipeline, astray, pipeline
from tests.spark_fixtures import in_jvms_apart, spark
from tests.stations import DATASET, stations

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

TABLE = f"bronze.{DATASET}"


def declare_all(pipeline: Pipeline) -> None:
    """A driver of its own process reads every topic."""
    pipeline.declare(*load_all())


def transactions(pipeline: Pipeline) -> list[tuple[str, int]]:
    """(app id, version) of every commit to the bronze table."""
    log = Path(pipeline.places.table(TABLE)) / "_delta_log"
    actions = [json.loads(line) for file in sorted(log.glob("*.json")) for line in file.read_text().splitlines()]
    return [(each["txn"]["appId"], each["txn"]["version"]) for each in actions if "txn" in each]


@pytest.mark.slow  # test_job.py has both deaths without processes
def test_f17_a_driver_killed_between_delta_commit_and_checkpoint_commit_doubles_nothing(
    pipeline, cli_process, tmp_path
):
    declare_all(pipeline)
    gate = tmp_path / "gate"
    held = {"CORRENTEZA_BRONZE_INTERVAL_SECONDS": "1", "CORRENTEZA_FAILPOINT": f"after_bronze@2:wait={gate}"}
    driver = cli_process("run", "bronze", **held)
    log = Path(pipeline.places.table(TABLE)) / "_delta_log"
    pipeline.publish(DATASET, *stations(0, 5))
    wait_for(lambda: (log / f"{1:020}.json").exists() or driver.poll(), "the first batch")
    commits = pipeline.checkpoint(TABLE) / "commits"
    wait_for((commits / "0").exists, "the first batch is noted")

    pipeline.publish(DATASET, *stations(5, 10))
    wait_at_gate(gate, driver, "the second batch is about to be noted")
    driver.kill_tree()

    assert len(transactions(pipeline)) == 2, "killed too early: the batch was not written"
    assert not (commits / "1").exists(), "killed too late: the batch was noted already"
    pipeline.publish(DATASET, *stations(10, 12))
    job = pipeline.bronze(DATASET)
    pipeline.run(job)

    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)
    seen = transactions(pipeline)
    assert len(set(seen)) == len(seen) == 3


def test_f18_a_driver_killed_between_revisions_and_current_loses_nothing(pipeline, cli):
    """Its JVM outlives it; the next driver waits for the locks, repeats the batch, and completes it."""
    pipeline.publish(DATASET, *stations(0, 5))
    pipeline.run(pipeline.bronze(DATASET))
    pipeline.driver.locks.release()

    killed = cli("run", "silver", "--once", CORRENTEZA_FAILPOINT="after_revisions:kill")

    assert killed.returncode == -9, killed.stderr
    assert len(pipeline.rows(f"silver.{DATASET}_revisions")) == 5
    assert pipeline.rows(f"silver.{DATASET}") == []
    pipeline.run(pipeline.silver(DATASET))
    assert len(pipeline.rows(f"silver.{DATASET}_revisions")) == 5
    assert len(pipeline.rows(f"silver.{DATASET}")) == 5


def test_f22_a_lost_checkpoint_stops_the_driver_and_adopting_the_table_goes_on_without_gap_or_double(
    pipeline, cli, here
):
    declare_all(pipeline)
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.driver.locks.release()
    shutil.rmtree(pipeline.places.checkpoint(TABLE))
    pipeline.publish(DATASET, *stations(5, 7))

    refused = cli("run", "bronze", "--once")
    assert refused.returncode == 3, refused.stderr
    assert f"correnteza checkpoint adopt {TABLE}" in refused.stderr.splitlines()[-1]
    assert len(pipeline.rows(TABLE)) == 5

    assert here("checkpoint", "adopt", TABLE).returncode == 2  # it asks, and there is no terminal
    adopted = here("checkpoint", "adopt", TABLE, "--yes")
    assert adopted.returncode == 0, adopted.stderr
    described = json.loads(here("checkpoint", "inspect", TABLE).stdout)
    assert (described["generation"], described["starting_offsets"]) == (
        1,
        json.dumps({pipeline.topic(DATASET): {"0": 5}}),
    )

    pipeline.run(pipeline.bronze(DATASET))
    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)


def test_f22_control_without_the_guard_a_lost_checkpoint_doubles_every_row(pipeline, monkeypatch, control):
    """The query takes its table for an empty one, and reads from the start."""
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    shutil.rmtree(pipeline.places.checkpoint(TABLE))
    with pytest.raises(UnsafeState):
        pipeline.run(job)
    control.holds(astray, pipeline, DATASET)
    monkeypatch.setattr(guards.tables, "has_rows", lambda _: False)
    pipeline.run(job)
    control.objects(astray, pipeline, DATASET, damage="stands 2 times")


def test_f25_a_second_driver_ends_with_code_3_before_it_touches_anything(pipeline, cli):
    declare_all(pipeline)
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.publish(DATASET, *stations(5, 7))
    before = everything_below(pipeline.places.checkpoint(TABLE)), pipeline.version(TABLE)

    second = cli("run", "bronze", "--once")

    assert second.returncode == 3, second.stderr
    assert TABLE in second.stderr
    assert "is being written by process" in second.stderr
    assert (everything_below(pipeline.places.checkpoint(TABLE)), pipeline.version(TABLE)) == before


def test_f25_control_without_the_lock_the_second_driver_writes(pipeline, monkeypatch, control):
    """Locks that never refuse."""
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.publish(DATASET, *stations(5, 7))
    before = everything_below(pipeline.places.checkpoint(TABLE))
    second = Driver(pipeline.spark, pipeline.places, TableLocks(pipeline.spark, pipeline.places.locks))

    def touched() -> list[str]:
        now = everything_below(pipeline.places.checkpoint(TABLE))
        return [f"{path} was written by the second driver" for path in now.keys() - before.keys()]

    with pytest.raises(UnsafeState):
        pipeline.run(pipeline.bronze(DATASET, driver=second))
    control.holds(touched)

    monkeypatch.setattr(TableLocks, "acquire", lambda *_: None)
    pipeline.run(pipeline.bronze(DATASET, driver=second))
    control.objects(touched, damage="offsets/1 was written by the second driver")


HOSTILE = """
import sys
from pathlib import Path
from stream_jobs.running import session
if sys.argv[3] == "unlimited":
    session.require_avro_limits = lambda _: None
    session.JVM_OPTIONS = tuple(each for each in session.JVM_OPTIONS if "avro.limits" not in each)
session.JVM_OPTIONS += ("-XX:+ExitOnOutOfMemoryError",)
spark = session.start(sorted(Path(sys.argv[1]).glob("*.jar")), driver_memory="512m", scratch=Path(sys.argv[2]))
from schemas.contracts import load
from stream_jobs.bronze.decode import Schemas, Writer, decoded
contract = load("inmet_stations")
value = b"\\x00\\x00\\x00\\x00\\x01" + b"\\x80\\xca\\xb5\\xee\\x03" + b"xyz"
kafka = "topic string, partition int, offset long, timestamp timestamp, key binary, value binary"
rows = spark.createDataFrame([("t", 0, 0, None, b"k", bytearray(value))], kafka)
schemas = Schemas((Writer(1, contract.schema_text, True),))
print(decoded(rows, contract, schemas, topic_id="t").collect()[0].decode_status)
"""


def result_of(reading: subprocess.CompletedProcess[str]) -> list[str]:
    """The record is filed as corrupt, and the process ends well; if not, what the JVM said last."""
    found = [line for line in (reading.stdout + reading.stderr).splitlines() if "OutOfMemoryError" in line]
    if reading.returncode != 0:
        found.append(f"the process ended with {reading.returncode}")
    return found if reading.stdout.split() == ["corrupt"] or found else [f"it was filed as {reading.stdout!r}"]


def test_f30_control_without_the_avro_limits_one_hostile_record_kills_the_jvm(settings, tmp_path, control):
    """13 bytes that claim a string of half a gigabyte, in a heap of that size."""
    limited, unlimited = in_jvms_apart(settings, tmp_path, HOSTILE, ("limited", "unlimited"))
    control.holds(result_of, limited)
    control.objects(result_of, unlimited, damage="java.lang.OutOfMemoryError: Java heap space")


def everything_below(folder: Path) -> dict[str, int]:
    """File → time of its last change."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}

"""The checksum file beside a commit: Spark reads a version's schema from it, and runs no query over the log."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from sinks import arrow_commit, checksum, commit, tables
from sinks.arrow_frames import frame_of_tuples, struct_of
from sinks.checksum import checksum_of, write_checksum
from sinks.commit import append
from tests.helpers import wait_for

SCHEMA = "number int, kind string"


@pytest.fixture
def path(spark: SparkSession, tmp_path: Path) -> str:
    """An empty table, partitioned by kind."""
    made = str(tmp_path / "numbers")
    tables.ensure(spark, made, struct_of(SCHEMA), partition_by=("kind",), statistics_on=("number",))
    return made


def rows(spark: SparkSession, number: int) -> DataFrame:
    return frame_of_tuples(spark, [(number, "a")], SCHEMA)


def file_of(path: str, version: int) -> Path:
    return Path(path) / "_delta_log" / f"{version:020}.crc"


def test_it_says_what_spark_says_of_its_own_commit(spark, path):
    append(rows(spark, 1), path, rows=1)
    rows(spark, 2).write.format("delta").mode("append").save(path)

    table = DeltaTable(path)
    ours, sparks = checksum_of(table), json.loads(file_of(path, table.version()).read_text())
    assert ours["numFiles"] == sparks["numFiles"] == 2
    assert ours["tableSizeBytes"] == sparks["tableSizeBytes"]
    assert ours["protocol"] == sparks["protocol"]
    columns = [json.loads(each["metadata"].pop("schemaString")) for each in (ours, sparks)]
    assert columns[0] == columns[1]
    told = {name: value for name, value in ours["metadata"].items() if value is not None}
    assert told == sparks["metadata"]


def test_one_that_is_there_stays_and_nothing_else_is_left(spark, path):
    append(rows(spark, 1), path, rows=1)
    file_of(path, 1).write_text("as it was")
    write_checksum(path, DeltaTable(path))
    assert file_of(path, 1).read_text() == "as it was"
    log = [entry.name for entry in file_of(path, 1).parent.iterdir()]
    assert sorted(log) == [f"{0:020}.json", f"{1:020}.crc", f"{1:020}.json"]


def test_it_describes_a_table_that_was_restored_or_made_again_in_its_place(path):
    def add() -> None:
        arrow_commit.append(pa.table({"number": [1], "kind": ["a"]}), path)

    def told() -> tuple[int, str]:
        table = DeltaTable(path)
        file = json.loads(file_of(path, table.version()).read_text())
        assert file == checksum_of(table)
        return table.version(), file["metadata"]["id"]

    add()
    shutil.copytree(path, f"{path}.copy")
    add(), add()
    first = told()
    shutil.rmtree(path)
    shutil.copytree(f"{path}.copy", path)
    add()
    assert told() == (2, first[1])

    columns = DeltaTable(path).schema()
    shutil.rmtree(path)
    DeltaTable.create(path, columns, partition_by=["kind"])
    for _ in range(4):
        add()
    version, made_again = told()
    assert (version, made_again != first[1]) == (4, True)


def test_only_those_of_the_newest_versions_stay(spark, path, monkeypatch):
    monkeypatch.setattr(checksum, "KEPT", 2)
    for number in range(4):
        arrow_commit.append(pa.table({"number": [number], "kind": ["a"]}), path)
    assert [version for version in range(5) if file_of(path, version).exists()] == [3, 4]


def test_a_commit_stands_whether_it_could_be_written_or_not(spark, path):
    file_of(path, 1).mkdir()  # no file can take this name
    append(rows(spark, 1), path, rows=1)
    assert DeltaTable(path).version() == 1


class StreamWithCommits:
    """A stream that reads a table, asks for no rows, and commits the next version itself as long as some are wanted:
    so it never looks at the table between a commit and its checksum.

    Attributes:
        read: how many versions it has read.
        wanted: how many versions it has yet to commit.
    """

    def __init__(self, spark: SparkSession, path: str, checkpoint: Path, wanted: int) -> None:
        self.read, self.wanted = 0, wanted
        self._path = path
        self._tracker = spark.sparkContext.statusTracker()
        self.query: StreamingQuery = (
            spark.readStream.format("delta")
            .load(path)
            .writeStream.option("checkpointLocation", str(checkpoint))
            .trigger(processingTime="0 seconds")
            .foreachBatch(self._commit_next)
            .start()
        )

    def _commit_next(self, _batch: DataFrame, _id: int) -> None:
        self.read += 1
        if self.wanted:
            self.wanted -= 1
            arrow_commit.append(pa.table({"number": [self.wanted], "kind": ["a"]}), self._path)

    def jobs(self) -> int:
        """Spark's jobs for this stream so far."""
        return len(self._tracker.getJobIdsForGroup(str(self.query.runId)))


def queries_over_the_log(spark: SparkSession, path: str, checkpoint: Path) -> Iterable[str]:
    arrow_commit.append(pa.table({"number": [0], "kind": ["a"]}), path)
    jobs = []
    for versions in (2, 7):
        stream = StreamWithCommits(spark, path, checkpoint / str(versions), versions)
        wait_for(lambda: stream.read > versions, "the stream has read its versions")  # noqa: B023
        jobs.append(stream.jobs())
        stream.query.stop()
    if more := jobs[1] - jobs[0]:
        yield f"{more} jobs for five more versions, of whose rows nobody asked for any"


def test_control_a_stream_costs_no_query_over_the_log_for_a_version_that_has_one(
    spark, path, tmp_path, monkeypatch, control
):
    control.holds(queries_over_the_log, spark, path, tmp_path / "with")
    monkeypatch.setattr(commit, "write_checksum", lambda path, before: None)
    control.objects(queries_over_the_log, spark, path, tmp_path / "without", damage="jobs for five more versions")

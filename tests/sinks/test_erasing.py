"""Rows leave a table for good: its files, its former files, the statistics in its log and in the log's checkpoints."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import Schema, write_deltalake

from sinks.erasing import Held, Matching, former_files, held, purge, take_out
from sinks.tables import PROPERTIES
from storage import delta, files
from storage.location import Remote, location
from tests import byte_search

TEXT = "canario7f3a91c0e5"
MATCHING = Matching(("name",), lambda rows: pc.equal(rows["name"].combine_chunks().cast(pa.string()), TEXT), {})
OF_A = Matching(MATCHING.columns, MATCHING.of, {"kind": "a"})


@pytest.fixture
def path(tmp_path) -> str:
    return made(str(tmp_path / "some" / "table"))


def made(path: str) -> str:
    """A table of three versions: the text stands in two files of two partitions, and in one that left the table."""
    columns = pa.schema([("name", pa.string()), ("kind", pa.string()), ("number", pa.int64())])
    statistics = {"delta.dataSkippingStatsColumns": "name,number"}
    delta.create(path, Schema.from_arrow(columns), partition_by=["kind"], configuration={**PROPERTIES, **statistics})
    for kind, names in (("a", [TEXT, "x"]), ("b", [TEXT]), ("a", ["y"])):
        rows = {"name": names, "kind": [kind] * len(names), "number": list(range(len(names)))}
        write_deltalake(delta.table(path), pa.table(rows, columns), mode="append")
    delta.table(path).create_checkpoint()
    delta.table(path).optimize.compact(partition_filters=[("kind", "=", "a")])
    return path


def names(path: str) -> list[str]:
    return sorted(row["name"] for row in delta.table(path).to_pyarrow_table().to_pylist())


def found(path: str) -> list[str]:
    """The oracle: every place below the table's folder where the text stands."""
    place = location(path)
    search = byte_search.in_objects if isinstance(place, Remote) else byte_search.in_files
    return search(place, TEXT.encode())


def erased(path: str) -> None:
    take_out(path, MATCHING)
    purge(path, held(path, MATCHING).former)


def test_rows_leave_the_table_and_all_that_held_them(path):
    before = delta.table(path).version()
    there = held(path, MATCHING)
    assert (there.rows, len(there.live), len(there.former)) == (2, 2, 1)
    assert held(path, OF_A).rows == 1

    assert take_out(path, MATCHING) == 2
    assert names(path) == ["x", "y"]
    assert delta.table(path).version() == before + 2
    assert take_out(path, MATCHING) == 0
    assert purge(path, held(path, MATCHING).former) == 3
    assert found(path) == []
    assert names(path) == ["x", "y"]
    assert held(path, MATCHING) == Held({}, [])
    for version in range(before + 3):
        delta.table(path, version)  # the log reads from every version on, as a stream needs it


def test_control_without_the_vacuum_and_without_the_log_the_text_is_found(path, monkeypatch, control):
    assert found(path)
    take_out(path, MATCHING)
    kept = found(path)
    assert [each for each in kept if ".parquet" in each]
    assert [each for each in kept if ".json" in each]
    assert [each for each in kept if "checkpoint" in each]
    with monkeypatch.context() as patch:
        patch.setattr("sinks.erasing.forget_statistics", lambda path: None)
        purge(path, held(path, MATCHING).former)
        in_the_log = found(path)
    erased(path)
    control.holds(found, path)

    def before(places: list[str]) -> list[str]:
        return places

    control.holds(before, found(path))
    control.objects(before, in_the_log, damage=(".checkpoint.parquet holds the text", ".json holds the text"))
    control.objects(before, kept, damage="parquet holds the text")


def test_spark_reads_the_table_through_a_checkpoint_without_statistics_and_a_stream_goes_on_from_before(
    spark, path, tmp_path
):
    def read_on() -> list[str]:
        stream = spark.readStream.format("delta").option("skipChangeCommits", "true").load(path)
        query = stream.writeStream.format("parquet").option("path", str(tmp_path / "out"))
        query.option("checkpointLocation", str(tmp_path / "checkpoint")).trigger(
            availableNow=True
        ).start().awaitTermination()
        return sorted(row["name"] for row in spark.read.parquet(str(tmp_path / "out")).collect())

    assert read_on() == sorted([TEXT, TEXT, "x", "y"])
    erased(path)
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    assert sorted(row["name"] for row in spark.read.format("delta").load(path).collect()) == ["x", "y"]
    rows = pa.table({"name": ["z"], "kind": ["a"], "number": [7]})
    write_deltalake(delta.table(path), rows, mode="append")
    assert read_on() == sorted([TEXT, TEXT, "x", "y", "z"])


def test_only_files_that_hold_the_rows_are_written_anew_and_deleted(path):
    other = [name for name in delta.table(path).file_uris() if "kind=b" not in name]
    take_out(path, Matching(MATCHING.columns, MATCHING.of, {"kind": "b"}))
    assert set(other) <= set(delta.table(path).file_uris())
    gone = held(path, MATCHING).former
    purge(path, gone)
    assert [name for name in former_files(path) if name not in gone] == former_files(path)
    assert former_files(path), "a file of other rows that left the table stays for maintenance"
    assert not [name for name in gone if files.exists(location(path) / name)]


def test_a_table_that_is_not_there_holds_nothing(tmp_path):
    path = str(tmp_path / "none")
    assert (held(path, MATCHING), take_out(path, MATCHING), purge(path, ["x"]), former_files(path)) == (
        Held({}, []),
        0,
        0,
        [],
    )

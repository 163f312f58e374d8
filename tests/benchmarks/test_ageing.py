"""A table that is aged for a benchmark: the same rows in more files and commits, and no new rows."""

from datetime import date

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from benchmarks.ageing import age_table
from monitoring.lag import delta_log
from monitoring.lag.spark_checkpoints import DeltaPosition
from monitoring.snapshot import Snapshot

DAYS = [date(2024, 1, 1), date(2024, 1, 2), None]
ROWS = 100


@pytest.fixture(params=[[], ["day"], ["day", "half"]], ids=["whole", "by day", "by day and half"])
def table(tmp_path, request):
    """Two commits, of a row for each number below 100."""
    path = tmp_path / "1 year, aged" / "table"
    for begin in (0, 70):
        numbers = list(range(begin, 70 if begin == 0 else ROWS))
        rows = {
            "number": numbers,
            "day": pa.array([DAYS[number % 3] for number in numbers], pa.date32()),
            "half": [number < 50 for number in numbers],
            "record": [{"value": number} for number in numbers],
        }
        configuration = {"delta.dataSkippingStatsColumns": "number"}
        write_deltalake(path, pa.table(rows), mode="append", partition_by=request.param, configuration=configuration)
    return path


def held(path):
    return sorted(DeltaTable(path).to_pyarrow_table().to_pylist(), key=lambda row: row["number"])


def test_an_aged_table_holds_the_same_rows_in_many_files(table):
    before, identity = held(table), DeltaTable(table).metadata().id
    age_table(table, 50)
    now = DeltaTable(table)
    assert held(table) == before
    assert now.metadata().id == identity
    assert len(now.file_uris()) >= 50
    assert now.version() == 1 + len(now.file_uris())
    assert sum(pa.table(now.get_add_actions())["num_records"].to_pylist()) == ROWS


def test_its_files_are_whole_and_have_their_statistics(table):
    age_table(table, 50)
    snapshot = Snapshot("gold.table", table)
    assert snapshot.damaged_files == []
    assert snapshot.greatest("number") == ROWS - 1
    assert not list(table.parent.glob(".*")), "what was written beside is left"


def test_a_query_that_had_read_the_table_finds_nothing_new_and_verify_sees_that_it_only_grew(table):
    before = DeltaTable(table)
    age_table(table, 50)
    position = DeltaPosition(str(before.metadata().id), before.version() + 1, 0, is_snapshot=False)
    assert delta_log.unread(table, position).records == 0
    assert delta_log.has_only_grown(table, before.version(), DeltaTable(table).version())


def test_a_table_never_gets_more_files_than_rows(table):
    age_table(table, 10 * ROWS)
    assert len(DeltaTable(table).file_uris()) == ROWS

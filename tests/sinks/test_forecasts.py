"""A forecast file is loaded once and whole, or refused whole with the reason."""

from datetime import UTC, date, datetime, timedelta

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from foundation.errors import InvalidContent, UsageError
from sinks import forecasts

NOW = datetime(2025, 11, 12, 12, tzinfo=UTC)
GENERATED_AT = datetime(2025, 11, 11, 6, tzinfo=UTC)


def drop(**columns):
    """Three days of one part, with some columns replaced; None leaves one out."""
    rows = {
        "dataset_id": ["parts-2025"] * 3,
        "model_version": ["v1"] * 3,
        "source": ["notebook"] * 3,
        "generated_at": [GENERATED_AT] * 3,
        "series_id": ["BA|connector"] * 3,
        "date_on": [date(2025, 11, 12) + timedelta(days=n) for n in range(3)],
        "value": [1.0, 2.0, 3.0],
        "lower": [0.5, None, 2.5],
        "upper": [1.5, None, 3.5],
    } | columns
    kinds = {"generated_at": pa.timestamp("us", "UTC"), "lower": pa.float64(), "upper": pa.float64()}
    return pa.table(
        {
            name: values if isinstance(values, pa.Array) else pa.array(values, kinds.get(name))
            for name, values in rows.items()
            if values is not None
        }
    )


@pytest.fixture
def load(tmp_path):
    def loading(table, name="drop.parquet"):
        file = tmp_path / name
        pq.write_table(table, file)
        return forecasts.load(file, str(tmp_path / "forecasts"), now=NOW)

    return loading


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "forecasts")


def test_a_drop_is_loaded_with_its_horizon_and_every_reader_opens_it(load, path):
    forecast_id, rows = load(drop())
    assert rows == 3
    seen = pl.read_delta(path).sort("date_on")
    assert seen["horizon_days"].to_list() == [1, 2, 3]
    assert seen["forecast_id"].unique().to_list() == [forecast_id]
    rows = duckdb.from_arrow(DeltaTable(path).to_pyarrow_dataset())
    assert rows.aggregate("sum(value), count(lower)").fetchall() == [(6.0, 2)]


def test_the_same_bytes_again_change_nothing(load, path):
    load(drop())
    version = DeltaTable(path).version()
    assert load(drop(), "again.parquet")[1] == 0
    assert DeltaTable(path).version() == version


def test_other_bytes_of_the_same_run_are_refused_and_a_new_run_is_not(load, path):
    first, _ = load(drop())
    with pytest.raises(InvalidContent, match=first):
        load(drop(value=[1.0, 2.0, 3.1]))
    later = drop(generated_at=[GENERATED_AT + timedelta(hours=1)] * 3, lower=None, upper=None)
    assert load(later)[1] == 3
    assert pl.read_delta(path).height == 6


BAD = {
    "column value is missing": {"value": None},
    "column mood is not one of a drop's": {"mood": ["good"] * 3},
    "column value is string": {"value": ["1", "2", "3"]},
    "column generated_at is timestamp": {"generated_at": pa.array([datetime(2025, 11, 11)] * 3)},
    "1 rows lack": {"value": [1.0, None, 3.0]},
    "have no text": {"series_id": ["BA|connector", " ", "BA|connector"]},
    "have a dataset_id other than": {"dataset_id": ["Parts 2025"] * 3},
    "not a finite number, the first is row 2": {"value": [1.0, float("nan"), 3.0], "lower": None, "upper": None},
    "bounds that do not hold": {"upper": [0.9, None, 3.5]},
    "generated in the future": {"generated_at": [NOW + timedelta(seconds=1)] * 3},
    "not ahead when they were generated": {"date_on": [date(2025, 11, 11), date(2025, 11, 12), date(2025, 11, 13)]},
    "2 rows repeat": {"date_on": [date(2025, 11, 12)] * 2 + [date(2025, 11, 13)]},
    "2 different model_version": {"model_version": ["v1", "v1", "v2"]},
    "column value holds values that double cannot hold": {"value": pa.array([1, 2**53 + 1, 3])},
    "column upper holds values that double cannot hold": {"upper": pa.array([1, None, 2**64 - 1], pa.uint64())},
    "series_id holds values that string": {"series_id": pa.array([b"BA", b"\xff", b"BA"]).view(pa.string())},
    "column date_on is timestamp": {"date_on": pa.array([datetime(2025, 11, 12 + n) for n in range(3)])},
    "column __index_level_0__ is not .* index=False": {"__index_level_0__": [0, 1, 2]},
    "column value is dictionary": {"value": pa.array(["1", "2", "3"]).dictionary_encode()},
    "3 rows lack": {"value": pa.nulls(3)},
    "3 rows have no text": {"series_id": pa.nulls(3)},
    "3 rows have a generated_at or date_on outside": {
        "generated_at": pa.array([-(2**62)] * 3).cast(pa.timestamp("us", "UTC"))
    },
    "1 rows have a generated_at or date_on outside": {
        "date_on": pa.array([20_500, 20_501, 2**31 - 1], pa.int32()).cast(pa.date32())
    },
}  # fmt: skip

# What pandas writes, by what it is.
GOOD = {
    "nanoseconds": {"generated_at": pa.array([1_762_840_800_123_456_789] * 3).cast(pa.timestamp("ns", "UTC"))},
    "nanoseconds of another zone": {
        "generated_at": pa.array([1_762_840_800_123_456_789] * 3).cast(pa.timestamp("ns", "America/Sao_Paulo"))
    },
    "categories": {"series_id": pa.array(["BA|connector"] * 3).dictionary_encode()},
    "bounds that are all null": {"lower": pa.nulls(3), "upper": pa.nulls(3)},
    "no bounds": {"lower": None, "upper": None},
    "whole numbers": {"value": pa.array([1, 2, 3]), "lower": None, "upper": None},
}


@pytest.mark.parametrize(("reason", "columns"), BAD.items(), ids=list(BAD))
def test_a_bad_drop_is_refused_whole_with_the_reason(load, path, reason, columns):
    load(drop(generated_at=[GENERATED_AT - timedelta(hours=1)] * 3))
    before = DeltaTable(path).version()
    with pytest.raises(InvalidContent, match=reason):
        load(drop(**columns))
    assert DeltaTable(path).version() == before
    assert load(drop())[1] == 3, "the control: without the fault it is loaded"


@pytest.mark.parametrize("columns", GOOD.values(), ids=GOOD)
def test_the_types_that_pandas_writes_are_read(load, path, columns):
    assert load(drop(**columns))[1] == 3
    seen = pl.read_delta(path).sort("date_on")
    assert (seen["value"].to_list(), seen["series_id"].to_list()) == ([1.0, 2.0, 3.0], ["BA|connector"] * 3)
    generated = 123_456 if "generated_at" in columns else 0
    assert seen["generated_at"][0] == GENERATED_AT.replace(microsecond=generated), "below a microsecond it is cut"
    if "lower" in columns:
        assert seen["lower"].null_count() == seen["upper"].null_count() == 3


def test_a_column_that_stands_twice_is_refused(load):
    table = drop()
    with pytest.raises(InvalidContent, match="column value stands twice"):
        load(table.append_column("value", table["value"]))


def test_what_is_no_parquet_is_refused(tmp_path, path, monkeypatch):
    with pytest.raises(UsageError, match="no file"):
        forecasts.load(tmp_path / "absent", path, now=NOW)
    (tmp_path / "page.parquet").write_text("<html>")
    with pytest.raises(InvalidContent, match="not a Parquet file"):
        forecasts.load(tmp_path / "page.parquet", path, now=NOW)
    pq.write_table(drop(), tmp_path / "big.parquet")
    for limit, reason in (("MOST_ROWS", "rows"), ("MOST_BYTES", "MiB")):
        with monkeypatch.context() as patch:
            patch.setattr(forecasts, limit, 2)
            with pytest.raises(InvalidContent, match=reason):
                forecasts.load(tmp_path / "big.parquet", path, now=NOW)

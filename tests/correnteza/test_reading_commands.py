"""The verbs that read the lake: what they print, what they refuse."""

import json
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from correnteza.cli import app
from foundation.errors import UnsafeState, UsageError
from monitoring.lake import Lake
from tests.monitoring.kit import BEGIN, Kit, small_lake
from tests.spark_fixtures import spark

__all__ = ["spark"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    small_lake(tmp_path)
    monkeypatch.setenv("CORRENTEZA_HOME", str(tmp_path))
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_revisions_prints_every_version_and_what_each_changed(home):
    key = ["station_code=A401", "observed_at=2024-03-04 03:00:00+00"]
    versions = json.loads(run("revisions", "inmet_hourly", *key, "--json").stdout)
    assert [row["air_temperature_celsius"] for row in versions] == [25.0, 36.5]
    assert "air_temperature_celsius" in versions[1]["changed"]
    assert "(2 rows)" in run("revisions", "inmet_hourly", *key).stdout
    assert isinstance(run("revisions", "inmet_hourly", "A401").exception, UsageError)
    assert isinstance(run("revisions", "weather", "a=b").exception, UsageError)


def test_explain_row_walks_to_offsets_chunks_and_payloads(home):
    shown = run("explain-row", "gold.fact_weather_daily", "station_code=A401", "date_on=2024-03-04").stdout
    payload = f"payload sha256 {'0' * 64} ◄─ the archive does not hold it"
    for expected in ("inmet_hourly_revisions: 24 versions", "and 12 more", "inmet_hourly.v1/0/", "chunk-2", payload):
        assert expected in shown
    found = json.loads(
        run("explain-row", "fact_weather_daily", "station_code=A401", "date_on=2024-03-04", "--json").stdout
    )
    assert [(step["dataset"], step["versions"]) for step in found["inputs"]] == [
        ("inmet_hourly", 24),
        ("inmet_stations", 1),
    ]
    assert found["row"]["hours_observed"] == 24


def test_quality_exits_3_when_a_score_does_not_meet_the_bar(home):
    def scored(flawed):
        row = {"dataset": "bcb_sgs", "expectation": "*", "rows": 100, "broken": flawed, "evaluated_at": BEGIN}
        write_deltalake(str(home / "lake" / "ops" / "expectations"), pa.Table.from_pylist([row]), mode="overwrite")
        return run("quality", "--json")

    good = scored(4)
    assert good.exit_code == 0
    assert json.loads(good.stdout)["scores"][0]["score_percent"] == 96.0
    assert set(json.loads(good.stdout)) == {"scores", "anomalies", "reconciliation", "publication lags"}
    bad = scored(5)
    assert isinstance(bad.exception, UnsafeState)
    assert "bcb_sgs" in str(bad.exception)
    assert "96" not in run("quality").stdout


@pytest.mark.parametrize(
    "verb",
    [
        ["query", "select series_code from silver.bcb_sgs order by 1"],
        ["as-of", "bcb_sgs", "2024-03-20"],
        ["revisions", "inmet_hourly", "station_code=A401", "observed_at=2024-03-04 03:00:00+00"],
        ["dead-letters", "list"],
        ["maintain", "--dry-run"],
    ],
)
def test_a_verb_gives_the_same_rows_on_stdout_and_in_a_file(home, tmp_path, verb):
    printed = run(*verb, "--csv")
    assert printed.exit_code == 0, printed.exception
    written = run(*verb, "--output", str(tmp_path / "rows.csv"))
    assert written.exit_code == 0, written.exception
    assert written.stdout == ""
    assert (tmp_path / "rows.csv").read_text() == printed.stdout
    assert len(printed.stdout.splitlines()) > 1
    assert isinstance(run(*verb, "--output", str(tmp_path / "rows.csv")).exception, UsageError)
    assert isinstance(run(*verb, "--json", "--csv").exception, UsageError)


def test_quality_as_one_csv_is_refused_with_the_query_that_gives_one_table(home):
    found = run("quality", "--csv").exception
    assert isinstance(found, UsageError)
    assert "correnteza query" in str(found.hint)


def test_query_reads_the_views_of_quality(home):
    assert run("query", "select count(*) from ops.reconciliation").exit_code == 0


def test_folders_of_any_name_among_the_tables_stop_no_verb(home):
    """Somebody's copies beside the tables can be queried under their names in quotes, and are among those in a hint."""
    names = ("my-copy", "bcb_sgs.old", "order", 'a"b', "two words")
    for name in names:
        write_deltalake(str(home / "lake" / "gold" / name), pa.table({"x": [1, 2]}))
    assert run("query", "select count(*) from gold.fact_weather_daily").exit_code == 0
    assert isinstance(run("quality").exception, (UnsafeState, type(None)))
    refused = run("query", "select * from gold.nonsense").exception
    assert isinstance(refused, UsageError)
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        assert json.loads(run("query", f"select sum(x)::INT as x from gold.{quoted}", "--json").stdout) == [{"x": 3}]
        assert f"gold.{name if name.isidentifier() else quoted}" in str(refused.hint)


def test_two_tables_whose_names_differ_in_capitals_only_are_refused(home):
    for name in ("copy", "Copy"):
        write_deltalake(str(home / "lake" / "gold" / name), pa.table({"x": [1]}))
    assert isinstance(found := run("query", "select 1").exception, UsageError)
    assert "gold.Copy and gold.copy" in str(found)


def test_explain_row_prints_json_that_every_reader_takes(home):
    """Python writes NaN, which JSON has not."""
    shown = run("explain-row", "fact_weather_daily", "station_code=A401", "date_on=2024-03-04", "--json").stdout
    found = json.loads(shown, parse_constant=pytest.fail)
    assert found["row"]["date_on"] == "2024-03-04"


def test_forecasts_loads_the_good_drops_of_several_and_says_why_it_refused_the_others(home, tmp_path):
    rows = {
        "dataset_id": ["parts"],
        "model_version": ["v1"],
        "source": ["notebook"],
        "generated_at": pa.array([BEGIN], pa.timestamp("us", "UTC")),
        "series_id": ["BA"],
        "date_on": [date(2030, 1, 1)],
        "value": [1.0],
    }
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    pq.write_table(pa.table(rows), good)
    pq.write_table(pa.table(rows | {"date_on": [date(2020, 1, 1)]}), bad)
    assert json.loads(run("forecasts", "list", "--json").stdout) == []
    loaded = run("forecasts", "load", str(bad), str(good))
    assert loaded.exit_code == 1
    assert "1 rows, forecast" in loaded.stdout
    assert "bad.parquet: 1 rows forecast a day that was not ahead" in loaded.stderr
    assert run("forecasts", "load", str(good)).stdout.count("already loaded") == 1
    (listed,) = json.loads(run("forecasts", "list", "--json").stdout)
    assert (listed["model_version"], listed["rows"]) == ("v1", 1)


def test_features_writes_what_each_origin_knew(home, tmp_path, spark, monkeypatch):
    monkeypatch.setattr("correnteza.commands.features.sessions.start", lambda *_, **__: spark)
    file = tmp_path / "train.parquet"
    of_salvador = ["--capital", "2927408", "--days"]
    assert "origins in" in run("features", "2024-03-01", "2024-03-06", *of_salvador, "30", "--output", str(file)).stdout
    rows = pq.read_table(file).to_pylist()
    assert {row["origin_at"].day for row in rows} == {1, 6}
    assert all(row["known_from"] <= row["origin_at"] for row in rows)
    assert isinstance(run("features", "2024-03-06", "--output", str(file)).exception, UsageError)

    # The hours came years later: the origin does not know them, and the table as it is now does.
    (row,) = json.loads(run("features", "2024-03-04", *of_salvador, "1", "--json").stdout)
    assert (row["date_on"], row["weather_source"]) == ("2024-03-04", None)
    now = "select weather_source from gold.external_factors_daily where date_on = '2024-03-04' and uf = 'BA'"
    assert Lake(home / "lake").value(now) == "inmet_hourly"


def test_features_without_silver_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("CORRENTEZA_HOME", str(tmp_path))
    Kit(tmp_path)
    assert isinstance(run("features", "2024-03-06").exception, UsageError)

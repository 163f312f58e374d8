"""Suites of the real Great Expectations in Spark count what the pipeline counted, on what changed alone."""

import json
import shutil
from datetime import date, timedelta

import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from correnteza.cli import app
from correnteza.suites.changed import WHOLE, files_since
from correnteza.suites.export import shape, suites
from foundation.errors import UnsafeState
from monitoring.lake import Lake
from schemas.contracts import load
from stream_jobs.columns import silver_schema
from stream_jobs.gold import model as gold
from stream_jobs.gold.tables import dim_operator
from stream_jobs.silver.tables import model as silver
from tests.company.lake import lake_of_marts
from tests.controls import complaint
from tests.monitoring.kit import at, hour, small_lake
from tests.stream_jobs.gold.lake_silver import LakeSilver

pytestmark = pytest.mark.company

HOURS = "silver.inmet_hourly"


@pytest.fixture(scope="module")
def judge(spark):
    """Run the suites of some tables of a lake. Returns: their results by expectation."""
    from correnteza.suites import run

    def judging(root, *names):
        found = run.run(spark, str(root / "lake"), names, f"sqlite:///{root}/results.db")
        return {each.expectation: each for each in found}

    return judging


def operators(lake: LakeSilver, first: int, last: int) -> None:
    """Operators with one month each; every third has no name."""
    month = {"reference_month_on": date(2024, 1, 1), "accesses": 5}
    lake.add(
        "anatel_mobile_accesses",
        *(month | {"cnpj": f"{n:014}", "company": f"op {n}" if n % 3 else None} for n in range(first, last)),
    )
    lake.follow(dim_operator.TABLE)


def other_counts(lake: LakeSilver, results, batch: int) -> list[str]:
    """Expectations that `ops.expectations` counted differently for a batch, and those that it does not have."""
    counted = {row["expectation"]: row for row in lake.stored("ops.expectations") if row["batch_id"] == batch}
    return [
        f"{name}: {result.broken} of {result.rows}, the pipeline counted {row and (row['broken'], row['rows'])}"
        for name, result in results.items()
        if name != "key_is_unique"
        for row in [counted.get(name)]
        if row is None or (row["broken"], row["rows"]) != (result.broken, result.rows)
    ]


def test_control_the_same_rows_give_the_counts_of_the_pipeline(spark, tmp_path, judge, control):
    """Gold's query checked them in DuckDB; the second time only the rows that came since are checked."""
    lake = LakeSilver(spark, tmp_path)
    operators(lake, 0, 10)
    first = judge(tmp_path, "gold.dim_operator")
    assert (first["company_is_named"].broken, first["company_is_named"].base_version) == (4, WHOLE)
    control.holds(other_counts, lake, first, 0)
    operators(lake, 10, 17)
    second = judge(tmp_path, "gold.dim_operator")
    assert (second["company_is_named"].rows, second["company_is_named"].broken) == (7, 2)
    control.holds(other_counts, lake, second, 1)
    control.objects(other_counts, lake, second, 0, damage="company_is_named: 2 of 7, the pipeline counted (4, 10)")

    assert judge(tmp_path, "gold.dim_operator") == second, "a version is judged once"


@pytest.fixture(scope="module")
def hours(tmp_path_factory):
    """The small lake with hours that break rules of several shapes, among them one that quarantine would have kept."""
    kit = small_lake(tmp_path_factory.mktemp("hours"))
    begin = at("2024-03-08T03:00:00")
    kit.publish(
        "inmet_hourly",
        hour(begin, 55.0),
        hour(begin + timedelta(hours=1), 20.0, rain=300.0, pressure_hpa=500.0),
        hour(begin + timedelta(hours=2), 20.0, dew_point_celsius=30.0, wind_gust_m_s=1.0, wind_speed_m_s=9.0),
        hour(begin + timedelta(hours=3, minutes=7), 20.0),
    )
    kit.write_silver("inmet_hourly")
    return kit


def test_every_shape_of_a_rule_counts_in_spark_what_its_predicate_counts_in_duckdb(hours, judge):
    """Then a critical failure: the next run reads the whole table, because what broke it may still be there."""
    results = judge(hours.lake.parent, HOURS)
    lake = Lake(hours.lake)
    rules = silver.discover()["inmet_hourly"].expectations
    expected = {rule.name: lake.value(f"SELECT count(*) FROM {HOURS} WHERE NOT ({rule.sql})") for rule in rules}
    assert {name: results[name].broken for name in expected} == expected
    assert {results[name].broken for name in ("on_the_hour", "rain_in_range", "dew_point_at_most_temperature")} == {1}
    assert {shape(rule.sql)[0] for rule in rules} >= {
        "expect_column_values_to_be_between",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "unexpected_rows_expectation",
    }


def test_after_a_critical_failure_the_whole_table_is_checked_again(hours, judge, tmp_path):
    kit = hours.copy_to(tmp_path)
    before = judge(tmp_path, HOURS)
    assert before["on_the_hour"].severity == "critical"
    write_deltalake(str(kit.path(HOURS)), kit.rows(HOURS, "observed_at = '2024-03-08 03:00Z'"), mode="append")
    after = judge(tmp_path, HOURS)
    assert after["on_the_hour"].base_version == WHOLE
    assert after["on_the_hour"].broken == 1
    assert after["key_is_unique"].broken == 2, "the row and its double"


def test_control_a_critical_failure_stops_the_marts_before_any_is_made(spark, judge, tmp_path, monkeypatch, control):
    from correnteza.suites.run import require_sound

    kit = lake_of_marts(tmp_path)
    for other in ("external_factors_daily", "fact_5g_municipality", "dim_operator"):
        shutil.rmtree(kit.path(f"gold.{other}"))  # one table that the marts read is enough
    monkeypatch.setenv("CORRENTEZA_HOME", str(tmp_path))
    monkeypatch.setattr("correnteza.commands.marts.sessions.start", lambda *_, **__: spark)
    monkeypatch.setattr(spark, "stop", lambda: None)
    table = "silver.anatel_mobile_accesses"

    def gate() -> list[str]:
        return complaint(lambda: require_sound([*judge(tmp_path, table).values()]))

    control.holds(gate)
    kit.change(table, accesses="-5", where="accesses = 50")
    control.objects(gate, damage="rows break accesses_not_negative")
    told = CliRunner().invoke(app, ["marts", "build"]).exception
    assert isinstance(told, UnsafeState)
    assert "accesses_not_negative" in str(told)
    assert not (kit.lake / "marts").exists()


def test_every_exported_suite_is_read_by_great_expectations_and_every_query_by_spark(spark, tmp_path):
    from great_expectations.core.expectation_suite import ExpectationSuite

    told = CliRunner().invoke(app, ["quality", "export-gx", str(tmp_path / "suites")]).stdout
    files = sorted((tmp_path / "suites").glob("*.json"))
    assert told.startswith(f"{len(files)} suites")
    assert {file.stem for file in files} == set(suites())
    declared = gold.discover()
    for file in files:
        suite = ExpectationSuite(**json.loads(file.read_text(encoding="utf-8")))
        layer, _, name = suite.name.partition(".")
        columns = silver_schema(load(name), revisions=False) if layer == "silver" else declared[name].schema
        spark.createDataFrame([], columns).createOrReplaceTempView("rows_of_a_suite")
        for each in suite.expectations:
            query = getattr(each, "unexpected_rows_query", None)
            if query:
                spark.sql(query.replace("{batch}", "rows_of_a_suite")).schema  # noqa: B018 - it is analysed


def test_with_a_commit_lost_from_the_log_what_changed_is_unknown(hours, tmp_path):
    kit = hours.copy_to(tmp_path)
    path = str(kit.path(HOURS))
    version = DeltaTable(path).version()
    assert files_since(path, version - 1, version)
    (kit.path(HOURS) / "_delta_log" / f"{version:020}.json").unlink()
    assert files_since(path, version - 1, version) is None

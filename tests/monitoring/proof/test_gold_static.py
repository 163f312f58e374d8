"""The static dimensions hold as the jobs declare them, and fail, naming the key, when a row differs."""

import calendar
from dataclasses import asdict
from datetime import date, timedelta

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from monitoring.lag.spark_checkpoints import Progress
from monitoring.proof.checks import gold_static
from stream_jobs.gold.holiday_calendar import holidays_of
from stream_jobs.gold.reference import copom_meetings, municipalities
from stream_jobs.gold.tables.dim_economic_series import SERIES
from tests.monitoring.kit import Kit


def days():
    day, holidays = date(2000, 1, 1), {each.on: each for each in holidays_of(range(2000, 2036))}
    while day < date(2036, 1, 1):
        yield {
            "date_on": day, "year": day.year, "quarter": (day.month + 2) // 3, "month": day.month, "day": day.day,
            "iso_week": day.isocalendar().week, "day_of_week": day.isoweekday(), "is_weekend": day.isoweekday() > 5,
            "month_start_on": day.replace(day=1),
            "is_month_end": day.day == calendar.monthrange(day.year, day.month)[1],
            "is_holiday": day in holidays and holidays[day].is_national,
            "is_optional_holiday": day in holidays and not holidays[day].is_national,
            "holiday_name": holidays[day].name if day in holidays else None,
        }  # fmt: skip
        day += timedelta(days=1)


@pytest.fixture
def kit(tmp_path):
    kit = Kit(tmp_path)
    names = ("series_code", "name", "unit", "frequency", "is_revised")
    tables = {
        "dim_date": days(),
        "dim_municipality": map(asdict, municipalities()),
        "dim_economic_series": (dict(zip(names, each, strict=True)) for each in SERIES),
        "dim_copom_meeting": (
            {name: value for name, value in asdict(each).items() if name != "year_end_id"} for each in copom_meetings()
        ),
    }
    for name, rows in tables.items():
        write_deltalake(str(kit.path(f"gold.{name}")), pa.Table.from_pylist(list(rows)))
    return kit


def outcomes(kit, **options):
    evidence = kit.evidence(**options)
    return {name: check(evidence) for name, check in gold_static.checks().items()}


def test_the_static_dimensions_hold_as_the_jobs_declare_them(kit):
    found = outcomes(kit)
    assert {name: (each.findings, each.rows) for name, each in found.items()} == {
        "gold.dim_date = reference": ([], 13149),
        "gold.dim_municipality = reference": ([], len(municipalities())),
        "gold.dim_economic_series = reference": ([], len(SERIES)),
        "gold.dim_copom_meeting = reference": ([], len(copom_meetings())),
    }


def test_a_series_of_the_settings_is_a_row_of_the_dimension(kit, choose):
    name = "the {bank's} credit"
    choose(polled={"bcb_sgs": {"20542": {"name": name, "unit": "R$", "frequency": "M", "lag_days": 30}}})
    (finding, *_) = outcomes(kit)["gold.dim_economic_series = reference"].findings
    assert "1 rows of the reference are missing" in finding.what
    row = {"series_code": 20542, "name": name, "unit": "R$", "frequency": "M", "is_revised": False}
    write_deltalake(str(kit.path("gold.dim_economic_series")), pa.Table.from_pylist([row]), mode="append")
    assert outcomes(kit)["gold.dim_economic_series = reference"].findings == []


@pytest.mark.parametrize(
    ("table", "change", "where", "key"),
    [
        ("dim_date", {"is_weekend": "false"}, "date_on = '2026-11-22'", "date_on=2026-11-22"),
        ("dim_date", {"is_holiday": "true"}, "date_on = '2023-11-20'", "date_on=2023-11-20"),
        ("dim_municipality", {"time_zone": "'UTC'"}, "municipality_code = '2927408'", "municipality_code=2927408"),
        ("dim_economic_series", {"unit": "'BRL'"}, "series_code = 1", "series_code=1"),
        ("dim_copom_meeting", {"decided_on": "'2026-01-29'"}, "meeting_id = 'R1/2026'", "meeting_id=R1/2026"),
    ],
)
def test_a_changed_row_is_named(kit, table, change, where, key):
    kit.change(f"gold.{table}", **change, where=where)
    findings = outcomes(kit)[f"gold.{table} = reference"].findings
    assert [each.what for each in findings] == [
        "1 rows of the reference are missing or different", "1 rows are not those of the reference",
    ]  # fmt: skip
    assert findings[0].examples == (key,)


def test_easter_is_the_one_of_the_almanac():
    """The earliest and the latest of the calendar's years, and some between."""
    found = [gold_static.easter(year) for year in (2000, 2008, 2011, 2024, 2026, 2035)]
    assert found == [
        date(2000, 4, 23), date(2008, 3, 23), date(2011, 4, 24), date(2024, 3, 31), date(2026, 4, 5), date(2035, 3, 25)
    ]  # fmt: skip


def test_a_lost_and_a_doubled_row_are_found(kit):
    kit.delete("gold.dim_date", "date_on = '2026-11-22'")
    kit.double("gold.dim_economic_series", "series_code = 1")
    found = outcomes(kit)
    assert found["gold.dim_date = reference"].findings
    assert [each.what for each in found["gold.dim_economic_series = reference"].findings] == [
        "1 keys stand more than once",
        "1 rows are not those of the reference",
    ]


def test_a_dimension_that_is_gone_is_found_once_gold_has_run(tmp_path):
    kit = Kit(tmp_path)
    name = "gold.dim_date = reference"
    assert (outcomes(kit)[name].findings, len(outcomes(kit)[name].notes)) == ([], 1)
    ran = Progress("gold.fact_weather_daily", 1, None, 3, in_flight=False, kafka={}, delta={})
    assert outcomes(kit, progress={ran.query: ran})[name].findings

"""Thresholds of the settings in gold: Spark's rows as from scratch by another engine, and what a change costs."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from schemas import choices
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.tables import external_factors_daily
from tests.stream_jobs.gold.batch_oracle import from_scratch, keyed
from tests.stream_jobs.gold.memory_silver import hours_of

TABLE = external_factors_daily.TABLE
DAY = date(2024, 6, 28)
SALVADOR = "2927408"
LOWER = {"extreme_heat_celsius": 25, "cold_celsius": 26, "heavy_rain_mm": 10, "devaluation_percent": 1}
FLAGS = ("is_extreme_heat", "is_cold", "is_heavy_rain", "is_intense_rain", "is_devaluation", "field_work_disruption")


def rows_of(silver: Any, frame: Any) -> dict[Any, dict[str, Any]]:
    """The city's rows of these days."""
    days = [DAY - timedelta(days=1), DAY]
    groups = frame("date_on DATE, municipality_code STRING", *((day, SALVADOR) for day in days))
    rows = TABLE.recompute(silver, Groups(silver.spark, groups.toArrow())).collect()
    return keyed(TABLE.keys, [row.asDict() for row in rows])


def differing(held: Any, silver: Any) -> list[str]:
    """Columns of the city's rows that the second definition, under the settings now, has otherwise."""
    wanted = from_scratch(TABLE.name, silver)
    return [
        f"{name} of {key} is {row[name]}, and from scratch {wanted[key][name]}"
        for key, row in held.items()
        for name in row
        if row[name] != wanted[key][name]
    ]


def test_control_a_changed_threshold_changes_the_flags_and_rows_from_before_are_named(choose, silver, frame, control):
    measured = {"air_temperature_max_celsius": [25.5], "air_temperature_min_celsius": [25.5], "rain_mm": [24.0]}
    silver.add("inmet_hourly", *hours_of("A401", DAY, **measured))
    for day, value in ((DAY - timedelta(days=30), "5.00"), (DAY, "5.10")):
        silver.add("bcb_sgs", {"series_code": 1, "reference_on": day, "value": Decimal(value)})
    before = rows_of(silver, frame)
    control.holds(differing, before, silver)
    today = next(row for key, row in before.items() if DAY in key)
    assert [today[name] for name in FLAGS] == [False, False, False, False, False, 0.0]

    choose(thresholds=LOWER)
    control.objects(differing, before, silver, damage=("is_extreme_heat of", "heavy_rain_days_30d of"))
    after = rows_of(silver, frame)
    control.holds(differing, after, silver)
    today = next(row for key, row in after.items() if DAY in key)
    assert [today[name] for name in FLAGS] == [True, True, True, False, True, 0.8]
    assert (today["heavy_rain_days_30d"], today["extreme_heat_days_30d"]) == (1, 1)

    choices.use({}, ())
    control.holds(differing, before, silver)

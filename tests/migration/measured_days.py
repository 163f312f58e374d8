"""Ninety measured days of Salvador in DuckDB: what the legacy's formulas and views are computed from."""

import math
from datetime import date, timedelta

import duckdb
import pyarrow as pa

from migration.views import SALVADOR

DAYS = 90
FIRST = date(2023, 12, 1)


class FakeLake:
    """DuckDB with the two gold tables that the formulas read; `Lake`'s own way to ask."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()

    def has(self, *names: str) -> bool:
        return True

    def rows(self, query: str) -> list[dict[str, object]]:
        return self.connection.sql(query).to_arrow_table().to_pylist()

    def value(self, query: str) -> object:
        return next(iter(self.rows(query)[0].values()))


def day(number: int) -> dict[str, object]:
    """A measured day; every seventh lacks its rain, every eleventh its temperatures."""
    on = FIRST + timedelta(days=number)
    heat = None if number % 11 == 5 else 24 + 12 * math.sin(number)
    rain = None if number % 7 == 3 else max(0.0, 90 * math.sin(number * 1.7))
    share = number // 30 * 7.0
    before = (number // 30 - 1) * 7.0
    return {
        "date_on": on,
        "municipality_code": SALVADOR,
        "is_forecast": False,
        "wind_speed_mean_m_s": 2.5,
        "ipca_monthly_percent": 0.42,
        "gdp_reference_on": date(2023, 7, 1),
        "gdp_index": 190.5,
        "selic_target_percent": 11.75,
        "stations_5g": 40 + number,
        "mobile_reference_on": date(2023, 11, 1),
        "temperature_mean_celsius": heat,
        "temperature_max_celsius": None if heat is None else heat + 4,
        "temperature_min_celsius": None if heat is None else heat - 5,
        "rain_mm": rain,
        "relative_humidity_mean_percent": 70 + 20 * math.cos(number),
        "usd_brl": 5 + number * number / 8000,
        "ipca_reference_on": date(on.year, on.month, 1) - timedelta(days=31),
        "ipca_12m_percent": 4.0 + number / 40,
        "share_5g_percent": share,
        "is_5g_active": share > 0,
        "is_5g_milestone": number >= 30 and share - before > 5,
        "expansion_rate_5g_percent": None if before <= 0 else (share / before - 1) * 100,
        "is_extreme_heat": None if heat is None else heat + 4 > 35,
        "is_cold": None if heat is None else heat - 5 < 20,
        "is_heavy_rain": None if rain is None else rain > 50,
        "is_intense_rain": None if rain is None else rain > 100,
        "is_no_rain": None if rain is None else rain == 0,
        "is_high_humidity": 70 + 20 * math.cos(number) > 80,
        "corrosion_risk": None if rain is None else (70 + 20 * math.cos(number)) / 100 * rain / 100,
        "field_work_disruption": None if rain is None or heat is None else 0.5 * (rain > 50) + 0.3 * (heat + 4 > 35),
        "is_high_inflation": 4.0 + number / 40 > 6,
        "fx_volatility_30d": 0.1,
        "is_devaluation": None if number < 30 else False,
    }


def lake_of_days() -> FakeLake:
    """The two gold tables that the formulas read."""
    made = FakeLake()
    made.connection.execute("CREATE SCHEMA gold")
    factors = pa.Table.from_pylist([day(number) for number in range(DAYS)])
    dates = pa.Table.from_pylist(
        [
            {
                "date_on": FIRST + timedelta(days=number),
                "is_holiday": number == 24,
                "is_optional_holiday": number in (73, 74),
                "holiday_name": {24: "Natal", 73: "Carnaval", 74: "Carnaval"}.get(number),
                "is_weekend": (FIRST + timedelta(days=number)).weekday() >= 5,
            }
            for number in range(DAYS)
        ]
    )
    made.connection.register("factors", factors)
    made.connection.register("dates", dates)
    made.connection.execute("CREATE TABLE gold.external_factors_daily AS FROM factors")
    made.connection.execute("CREATE TABLE gold.dim_date AS FROM dates")
    made.connection.execute(
        "CREATE TABLE gold.fact_5g_municipality AS FROM (VALUES (DATE '2023-11-01', 7), (DATE '2023-11-01', 0),"
        " (DATE '2023-11-01', 1)) t(reference_month_on, mobile_accesses_5g)"
    )
    return made

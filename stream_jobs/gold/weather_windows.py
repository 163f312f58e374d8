"""Weather of the thirty days that end on a day: rain, warmth, and how many of the days are known at all.

A day counts as its row shows it. A day that contains forecasts does not count: a window holds measured values only.
"""

from datetime import date

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from sinks import sql
from stream_jobs.gold import thresholds
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import Column
from stream_jobs.gold.thresholds import WEATHER_DAYS
from stream_jobs.gold.weather import Vintage
from stream_jobs.silver.asof import local_frame

_EITHER = "inmet_hourly, else openmeteo_archive"
_WINDOW = f"the {WEATHER_DAYS} days that end on the date, without days with forecasts"

COLUMNS = (
    Column("rain_30d_mm", "DOUBLE", "rain of thirty days", "mm", _EITHER, f"sum of rain_mm over {_WINDOW}"),
    Column(
        "temperature_mean_30d_celsius",
        "DOUBLE",
        "mean air temperature of thirty days",
        "°C",
        _EITHER,
        f"mean of temperature_mean_celsius over {_WINDOW}",
    ),
    Column(
        "heavy_rain_days_30d",
        "BIGINT",
        "days with heavy rain in thirty",
        "days",
        _EITHER,
        f"days with rain_mm > {thresholds.said('heavy_rain_mm')} of {_WINDOW}; null when no day has a value",
    ),
    Column(
        "extreme_heat_days_30d",
        "BIGINT",
        "days with extreme heat in thirty",
        "days",
        _EITHER,
        f"days with temperature_max_celsius > {thresholds.said('extreme_heat_celsius')} of {_WINDOW};"
        " null when none has a value",
    ),
    Column(
        "days_observed_30d",
        "BIGINT NOT NULL",
        "days of the thirty with a mean temperature",
        "days",
        _EITHER,
        f"count over {_WINDOW}",
    ),
    Column(
        "rain_days_observed_30d",
        "BIGINT NOT NULL",
        "days of the thirty with a value of rain",
        "days",
        _EITHER,
        f"count over {_WINDOW}",
    ),
)


def needed(groups: Groups, vintage: Vintage = ()) -> DataFrame:
    """The days (and places) whose weather the windows of the groups look at, and the rest of their months.

    Months keep the frame small: thirty days for each group would be thirty rows for each.
    """
    place = sql.listed([*vintage, "municipality_code"])
    rows = sql.table(
        f"""
        WITH months AS (
            SELECT DISTINCT {place},
                unnest([date_trunc('month', date_on), date_trunc('month', date_on - {WEATHER_DAYS - 1})]) AS month
            FROM groups
        )
        SELECT {place}, unnest(generate_series(month, last_day(month), INTERVAL 1 DAY))::DATE AS date_on FROM months
        """,
        groups=groups.rows,
    )
    return local_frame(groups.spark, rows)


def with_windows(days: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """Days of places with `COLUMNS`; weather_known_from and weather_is_assumed become those of the whole window.

    Args: days: one row per place and day that is wanted or has weather, with the columns of a day's weather.
    """
    in_order = F.datediff("date_on", F.lit(date(1970, 1, 1)))
    window = Window.partitionBy(*vintage, "municipality_code").orderBy(in_order).rangeBetween(1 - WEATHER_DAYS, 0)

    def past(name: str) -> Expression:
        return F.when(~F.col("is_forecast"), F.col(name))

    # Sums of decimals do not depend on the order of their terms: see `expressions.exact_sum`.
    rain, mean = past("rain_mm"), past("temperature_mean_celsius")
    warmth = F.sum(mean.try_cast("decimal(28,12)")).over(window).cast("double")
    computed = {
        "rain_30d_mm": F.sum(rain.try_cast("decimal(18,6)")).over(window).cast("double"),
        "temperature_mean_30d_celsius": F.try_divide(warmth, F.count(mean).over(window).cast("double")),
        "heavy_rain_days_30d": F.sum((rain > thresholds.of("heavy_rain_mm")).cast("bigint")).over(window),
        "extreme_heat_days_30d": F.sum(
            (past("temperature_max_celsius") > thresholds.of("extreme_heat_celsius")).cast("bigint")
        ).over(window),
        "days_observed_30d": F.count(mean).over(window),
        "rain_days_observed_30d": F.count(rain).over(window),
        "weather_known_from": F.max("weather_known_from").over(window),
        "weather_is_assumed": F.max("weather_is_assumed").over(window),
    }
    return days.withColumns(computed)

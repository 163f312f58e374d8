"""The calendar: every day of 2000 to 2035, and which of them are holidays."""

from dataclasses import astuple
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from schemas.classes import PUBLIC
from sinks.arrow_frames import frame_of_tuples
from stream_jobs.gold.holiday_calendar import holidays_of
from stream_jobs.gold.model import Column, StaticTable

FIRST_ON = date(2000, 1, 1)
LAST_ON = date(2035, 12, 31)


def build(spark: SparkSession) -> DataFrame:
    """One row per day."""
    numbers = spark.range(0, (LAST_ON - FIRST_ON).days + 1, 1, 1)
    days = numbers.select(F.date_add(F.lit(FIRST_ON), F.col("id").cast("int")).alias("date_on"))
    holidays = frame_of_tuples(
        spark,
        map(astuple, holidays_of(range(FIRST_ON.year, LAST_ON.year + 1))),
        "date_on DATE, holiday_name STRING, is_national BOOLEAN",
    )
    day, is_national = F.col("date_on"), F.col("is_national")
    return days.join(F.broadcast(holidays), "date_on", "left").select(
        "date_on",
        F.year(day).alias("year"),
        F.quarter(day).alias("quarter"),
        F.month(day).alias("month"),
        F.day(day).alias("day"),
        F.weekofyear(day).alias("iso_week"),
        (F.weekday(day) + 1).alias("day_of_week"),
        (F.weekday(day) >= 5).alias("is_weekend"),
        F.trunc(day, "month").alias("month_start_on"),
        (F.last_day(day) == day).alias("is_month_end"),
        F.coalesce(is_national, F.lit(False)).alias("is_holiday"),
        F.coalesce(~is_national, F.lit(False)).alias("is_optional_holiday"),
        "holiday_name",
    )


TABLE = StaticTable(
    name="dim_date",
    keys=("date_on",),
    about="One day of 2000 to 2035.",
    columns=(
        Column("date_on", "DATE", "the day"),
        Column("year", "INT", "calendar year"),
        Column("quarter", "INT", "1 to 4"),
        Column("month", "INT", "1 to 12"),
        Column("day", "INT", "of the month"),
        Column("iso_week", "INT", "week of the year", formula="ISO 8601"),
        Column("day_of_week", "INT", "1 = Monday to 7 = Sunday", formula="ISO 8601"),
        Column("is_weekend", "BOOLEAN", "Saturday or Sunday"),
        Column("month_start_on", "DATE", "first day of the month"),
        Column("is_month_end", "BOOLEAN", "last day of the month"),
        Column("is_holiday", "BOOLEAN", "national holiday; 20 November since 2024"),
        Column(
            "is_optional_holiday",
            "BOOLEAN",
            "carnival (Monday and Tuesday) or Corpus Christi: a customary holiday without a national law",
        ),
        Column(
            "holiday_name", "STRING", "name of the holiday, national or optional, in Portuguese; null on other days"
        ),
    ),
    build=build,
    classes={
        PUBLIC: (
            "date_on",
            "year",
            "quarter",
            "month",
            "day",
            "iso_week",
            "day_of_week",
            "is_weekend",
            "month_start_on",
            "is_month_end",
            "is_holiday",
            "is_optional_holiday",
            "holiday_name",
        )
    },
)

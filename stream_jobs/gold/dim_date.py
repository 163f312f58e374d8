"""The calendar: every day of 2000 to 2035."""

from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold.model import Column, StaticTable

FIRST_ON = date(2000, 1, 1)
LAST_ON = date(2035, 12, 31)


def build(spark: SparkSession) -> DataFrame:
    """One row per day."""
    days = spark.range(0, (LAST_ON - FIRST_ON).days + 1, 1, 1)
    day = F.col("date_on")
    return days.select(F.date_add(F.lit(FIRST_ON), F.col("id").cast("int")).alias("date_on")).select(
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
    ),
    build=build,
)

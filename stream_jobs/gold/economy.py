"""Economic features per calendar day, from the observations of a few daily and monthly series."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold.thresholds import (
    CHANGE_DAYS,
    DEVALUATION_ABOVE_PERCENT,
    FRESH_WITHIN_DAYS,
    HIGH_INFLATION_ABOVE_PERCENT,
    VOLATILITY_DAYS,
)

USD_BRL = 1
SELIC_TARGET = 432
IPCA_MONTHLY = 433
SERIES = (USD_BRL, SELIC_TARGET, IPCA_MONTHLY)

MONTHS_OF_A_YEAR = 12
# The oldest quotation a date uses: the base of the 30-day change, itself carried over at most ten days.
LOOK_BACK_DAYS = CHANGE_DAYS + FRESH_WITHIN_DAYS

COLUMNS = {
    "usd_brl": "DECIMAL(28,13)",
    "selic_target_percent": "DECIMAL(28,13)",
    "fx_volatility_30d": "DOUBLE",
    "fx_change_30d_percent": "DOUBLE",
    "is_devaluation": "BOOLEAN",
    "ipca_monthly_percent": "DECIMAL(28,13)",
    "ipca_12m_percent": "DOUBLE",
    "is_high_inflation": "BOOLEAN",
}


def needed(first_on: date, last_on: date) -> Column:
    """The observations, by key, that the features of a range of days depend on; literals, so that files prune."""
    series, on = F.col("series_code"), F.col("reference_on")
    begin = first_on - timedelta(days=LOOK_BACK_DAYS)
    return series.isin(*SERIES) & (on <= F.lit(last_on)) & ((on >= F.lit(begin)) | (series == IPCA_MONTHLY))


def by_day(observations: DataFrame, first_on: date, last_on: date) -> DataFrame:
    """One row per calendar day of a range, both ends included.

    Args: observations: newest versions of `bcb_sgs`, at least those that are `needed`; null values are no values.
    Returns: date_on, the columns of `COLUMNS`, and known_from = newest of the values that were used, null if none.
    """
    begin = first_on - timedelta(days=LOOK_BACK_DAYS)
    values = observations.where(F.col("value").isNotNull())
    days = _calendar(values, begin, last_on).unionByName(_daily(values, begin, last_on), allowMissingColumns=True)
    days = days.unionByName(_monthly(values, begin, last_on), allowMissingColumns=True)
    # A column of a day comes from one row at most, so `max` only unites the three frames.
    united = days.groupBy("date_on").agg(*(F.max(name).alias(name) for name in ("usd", "selic", "ipca")))
    return _features(united).where(F.col("date_on") >= F.lit(first_on))


def _calendar(any_frame: DataFrame, begin: date, last_on: date) -> DataFrame:
    days = (last_on - begin).days + 1
    return any_frame.sparkSession.range(0, days, 1, 1).select(
        F.date_add(F.lit(begin), F.col("id").cast("int")).alias("date_on")
    )


def _daily(values: DataFrame, begin: date, last_on: date) -> DataFrame:
    """date_on, usd and selic: structs of value and known_from on the days that have one."""
    value = F.struct("value", "known_from")
    return values.where(
        F.col("series_code").isin(USD_BRL, SELIC_TARGET) & F.col("reference_on").between(F.lit(begin), F.lit(last_on))
    ).select(
        F.col("reference_on").alias("date_on"),
        F.when(F.col("series_code") == USD_BRL, value).alias("usd"),
        F.when(F.col("series_code") == SELIC_TARGET, value).alias("selic"),
    )


def _monthly(values: DataFrame, begin: date, last_on: date) -> DataFrame:
    """date_on = the day a month became known, or `begin` if it was before; ipca = the newest such month."""
    month_number = F.year("reference_on") * MONTHS_OF_A_YEAR + F.month("reference_on")
    year = Window.orderBy("month_number").rangeBetween(1 - MONTHS_OF_A_YEAR, 0)
    growth = F.product(1 + F.col("value").cast("double") / 100).over(year)
    months = (
        values.where(F.col("series_code") == IPCA_MONTHLY)
        .withColumn("month_number", month_number)
        .select(
            F.greatest(F.to_date("known_from"), F.lit(begin)).alias("date_on"),
            F.struct(
                "month_number",
                "value",
                F.when(F.count("value").over(year) == MONTHS_OF_A_YEAR, (growth - 1) * 100).alias("percent_12m"),
                F.max("known_from").over(year).alias("known_from"),
            ).alias("ipca"),
        )
    )
    return months.where(F.col("date_on") <= F.lit(last_on)).groupBy("date_on").agg(F.max("ipca").alias("ipca"))


def _features(days: DataFrame) -> DataFrame:
    # One row per day, so a range of days and a range of rows are the same; windows see the rows in date order, which
    # makes the standard deviation the same to the last bit whatever else is recomputed.
    by_date = Window.orderBy(F.datediff("date_on", F.lit(date(1970, 1, 1))))
    fresh = by_date.rangeBetween(-FRESH_WITHIN_DAYS, 0)
    month = by_date.rangeBetween(1 - VOLATILITY_DAYS, 0)
    before = by_date.rangeBetween(-LOOK_BACK_DAYS, -CHANGE_DAYS)

    usd, base, selic = _last("usd", fresh), _last("usd", before), _last("selic", fresh)
    # `max` compares month_number first: the newest month of all known so far.
    ipca = F.max("ipca").over(by_date.rowsBetween(Window.unboundedPreceding, 0))
    carried = days.select(
        "date_on",
        usd["value"].alias("usd_brl"),
        base["value"].alias("base"),
        selic["value"].alias("selic_target_percent"),
        F.stddev_samp(F.col("usd.value").cast("double")).over(month).alias("fx_volatility_30d"),
        ipca["value"].alias("ipca_monthly_percent"),
        ipca["percent_12m"].alias("ipca_12m_percent"),
        F.greatest(
            F.max("usd.known_from").over(month), base["known_from"], selic["known_from"], ipca["known_from"]
        ).alias("known_from"),
    )
    rise = (F.col("usd_brl") - F.col("base")).cast("double")
    change = F.try_divide(rise, F.col("base").cast("double")) * 100
    return carried.withColumns(
        {
            "fx_change_30d_percent": change,
            "is_devaluation": change > DEVALUATION_ABOVE_PERCENT,
            "is_high_inflation": _clean(F.col("ipca_12m_percent")) > HIGH_INFLATION_ABOVE_PERCENT,
        }
    ).select("date_on", *COLUMNS, "known_from")


def _clean(percent: Column) -> Column:
    """Without the noise of a floating-point product, which would put an exact 6 % above 6 %."""
    return F.round(percent, 9)


def _last(column: str, window: WindowSpec) -> Column:
    return F.last(column, ignorenulls=True).over(window)

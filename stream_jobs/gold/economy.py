"""Economic features per calendar day, from the observations of a few daily, monthly and quarterly series."""

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, Window, WindowSpec
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold import thresholds
from stream_jobs.gold.expressions import MONTHS_OF_A_YEAR, is_assumed, month_number
from stream_jobs.gold.model import Column
from stream_jobs.gold.thresholds import (
    CHANGE_DAYS,
    FRESH_WITHIN_DAYS,
    VOLATILITY_DAYS,
)
from stream_jobs.gold.weather import Vintage

DATASET = "bcb_sgs"
USD_BRL = 1
SELIC_TARGET = 432
IPCA_MONTHLY = 433
DAILY = (USD_BRL, SELIC_TARGET)

# The oldest quotation a date uses: the base of the 30-day change, itself carried over at most ten days.
LOOK_BACK_DAYS = CHANGE_DAYS + FRESH_WITHIN_DAYS

ACCUMULATED = "(Π(1 + m/100) − 1) × 100 over the twelve months that end with the period; null unless all twelve exist"
"""How IBGE and FGV accumulate a price index's monthly variations over a year."""


@dataclass(frozen=True)
class Carried:
    """A monthly or quarterly series, carried forward from the day its newest period was known.

    Attributes:
        column: of the value; `<prefix>_reference_on` names the period's first day.
        accumulates: whether `<prefix>_12m_percent` accumulates its monthly variations.
    """

    code: int
    prefix: str
    column: str
    meaning: str
    unit: str
    accumulates: bool = False


CARRIED = (
    Carried(IPCA_MONTHLY, "ipca", "ipca_monthly_percent", "consumer prices (IPCA), change in the month", "%", True),
    Carried(188, "inpc", "inpc_monthly_percent", "consumer prices (INPC), change in the month", "%", True),
    Carried(189, "igpm", "igpm_monthly_percent", "general prices (IGP-M), change in the month", "%", True),
    Carried(24364, "ibc_br", "ibc_br_index", "economic activity (IBC-Br), seasonally adjusted", "index"),
    Carried(24369, "unemployment", "unemployment_percent", "unemployment (PNAD Contínua)", "%"),
    Carried(22099, "gdp", "gdp_index", "gross domestic product, quarterly", "index"),
)
SERIES = (*DAILY, *(each.code for each in CARRIED))


def _columns_of(each: Carried) -> tuple[Column, ...]:
    source = f"{DATASET} {each.code}"
    known = "newest period that was known on the date (UTC)"
    columns = (
        Column(f"{each.prefix}_reference_on", "DATE", f"period of {each.column}", "", source, known),
        Column(each.column, "DECIMAL(28,13)", each.meaning, each.unit, source, known),
    )
    accumulated = Column(f"{each.prefix}_12m_percent", "DOUBLE", "change over twelve months", "%", source, ACCUMULATED)
    return (*columns, accumulated) if each.accumulates else columns


COLUMNS = (
    Column(
        "usd_brl",
        "DECIMAL(28,13)",
        "US dollar, selling, PTAX closing",
        "BRL/USD",
        f"{DATASET} {USD_BRL}",
        f"newest value at most {FRESH_WITHIN_DAYS} days old",
    ),
    Column(
        "selic_target_percent",
        "DECIMAL(28,13)",
        "target of the Selic rate",
        "% a year",
        f"{DATASET} {SELIC_TARGET}",
        f"newest value at most {FRESH_WITHIN_DAYS} days old",
    ),
    Column(
        "fx_volatility_30d",
        "DOUBLE",
        "volatility of the US dollar",
        "BRL",
        f"{DATASET} {USD_BRL}",
        f"sample standard deviation over the {VOLATILITY_DAYS} days that end on the date",
    ),
    Column(
        "fx_change_30d_percent",
        "DOUBLE",
        "rise of the US dollar",
        "%",
        f"{DATASET} {USD_BRL}",
        f"usd_brl against the newest value at or before {CHANGE_DAYS} days earlier",
    ),
    Column(
        "is_devaluation",
        "BOOLEAN",
        "whether the real lost much value",
        formula=f"fx_change_30d_percent > {thresholds.said('devaluation_percent')}",
    ),
    *(column for each in CARRIED for column in _columns_of(each)),
    Column(
        "is_high_inflation",
        "BOOLEAN",
        "whether consumer prices rise fast",
        formula=f"ipca_12m_percent > {thresholds.said('high_inflation_percent')}",
    ),
)
NAMES = tuple(column.name for column in COLUMNS)


def needed(first_on: date, last_on: date) -> Expression:
    """The observations, by key, that the features of a range of days depend on."""
    series, on = F.col("series_code"), F.col("reference_on")
    begin = first_on - timedelta(days=LOOK_BACK_DAYS)
    in_time = on.between(F.lit(begin), F.lit(last_on))
    # A period counts from when it was known, whatever time it describes, so the range does not limit it.
    return series.isin(*SERIES) & (in_time | ~series.isin(*DAILY))


def by_day(observations: DataFrame, first_on: date, last_on: date, vintage: Vintage = ()) -> DataFrame:
    """One row per calendar day of a range, both ends included, and vintage that has any value.

    Args: observations: newest versions of `bcb_sgs`, at least those that are `needed`; null values are no values.
    Returns: date_on, the columns of `COLUMNS`, is_quoted (a daily series has a value of that very day), and
        known_from and is_assumed of the values that were used, null if none.
    """
    begin = first_on - timedelta(days=LOOK_BACK_DAYS)
    values = observations.where(F.col("value").isNotNull())
    frames = [_daily(values, begin, last_on, vintage), _periods(values, begin, last_on, vintage)]
    days = calendar(values, begin, last_on, vintage)
    for frame in frames:
        days = days.unionByName(frame, allowMissingColumns=True)
    # A column of a day comes from at most one row, so `max` only combines the frames.
    united = days.groupBy(*vintage, "date_on").agg(
        *(F.max(name).alias(name) for name in ("usd", "selic", *(each.prefix for each in CARRIED)))
    )
    return _features(united, vintage).where(F.col("date_on") >= F.lit(first_on))


def calendar(any_frame: DataFrame, begin: date, last_on: date, vintage: Vintage) -> DataFrame:
    """Every day of a range, in every vintage of a frame."""
    days = any_frame.sparkSession.range(0, (last_on - begin).days + 1, 1, 1).select(
        F.date_add(F.lit(begin), F.col("id").cast("int")).alias("date_on")
    )
    return days.crossJoin(F.broadcast(any_frame.select(*vintage).distinct())) if vintage else days


def _daily(values: DataFrame, begin: date, last_on: date, vintage: Vintage) -> DataFrame:
    """date_on, usd and selic: structs of value, known_from and is_assumed on the days that have one."""
    value = F.struct("value", "known_from", is_assumed().alias("is_assumed"))
    return values.where(
        F.col("series_code").isin(*DAILY) & F.col("reference_on").between(F.lit(begin), F.lit(last_on))
    ).select(
        *vintage,
        F.col("reference_on").alias("date_on"),
        F.when(F.col("series_code") == USD_BRL, value).alias("usd"),
        F.when(F.col("series_code") == SELIC_TARGET, value).alias("selic"),
    )


def _periods(values: DataFrame, begin: date, last_on: date, vintage: Vintage) -> DataFrame:
    """date_on = the day a period was first known, or `begin` if it was before; per series the newest such period.

    A revision changes the value but not the day since which the period has had one: IBC-Br and GDP are revised as a
        whole, and would otherwise seem unknown before their last revision. `known_from` is the revision's.
    """
    year = (
        Window.partitionBy(*vintage, "series_code")
        .orderBy("month_number")
        .rangeBetween(1 - MONTHS_OF_A_YEAR, Window.currentRow)
    )
    accumulating = F.col("series_code").isin(*(each.code for each in CARRIED if each.accumulates))
    growth = F.product(1 + F.col("value").cast("double") / 100).over(year)
    is_whole = accumulating & (F.count("value").over(year) == MONTHS_OF_A_YEAR)
    known_from = F.when(accumulating, F.max("known_from").over(year)).otherwise(F.col("known_from"))
    assumed = F.when(accumulating, F.max(is_assumed()).over(year)).otherwise(is_assumed())
    periods = (
        values.where(~F.col("series_code").isin(*DAILY))
        .withColumn("month_number", month_number("reference_on"))
        .select(
            *vintage,
            "series_code",
            F.greatest(F.to_date("first_known_from"), F.lit(begin)).alias("date_on"),
            F.struct(
                "month_number",
                "reference_on",
                "value",
                F.when(is_whole, (growth - 1) * 100).alias("percent_12m"),
                known_from.alias("known_from"),
                assumed.alias("is_assumed"),
            ).alias("period"),
        )
        .where(F.col("date_on") <= F.lit(last_on))
    )
    newest = (F.max(F.when(F.col("series_code") == each.code, F.col("period"))).alias(each.prefix) for each in CARRIED)
    return periods.groupBy(*vintage, "date_on").agg(*newest)


def _features(days: DataFrame, vintage: Vintage) -> DataFrame:
    # One row per day, so a range of days and a range of rows are the same; windows see the rows in date order, which
    # makes the standard deviation the same to the last bit whatever else is recomputed.
    by_date = Window.partitionBy(*vintage).orderBy(F.datediff("date_on", F.lit(date(1970, 1, 1))))
    fresh = by_date.rangeBetween(-FRESH_WITHIN_DAYS, 0)
    month = by_date.rangeBetween(1 - VOLATILITY_DAYS, 0)
    before = by_date.rangeBetween(-LOOK_BACK_DAYS, -CHANGE_DAYS)
    so_far = by_date.rowsBetween(Window.unboundedPreceding, 0)

    usd, base, selic = _last("usd", fresh), _last("usd", before), _last("selic", fresh)
    # `max` compares month_number first: the newest period of all known so far.
    newest = {each.prefix: F.max(each.prefix).over(so_far) for each in CARRIED}
    used = (base, selic, *newest.values())
    carried = days.select(
        *vintage,
        "date_on",
        usd["value"].alias("usd_brl"),
        base["value"].alias("base"),
        selic["value"].alias("selic_target_percent"),
        F.stddev_samp(F.col("usd.value").cast("double")).over(month).alias("fx_volatility_30d"),
        *(column for each in CARRIED for column in _carried(each, newest[each.prefix])),
        (F.col("usd").isNotNull() | F.col("selic").isNotNull()).alias("is_quoted"),
        F.greatest(F.max("usd.known_from").over(month), *(each["known_from"] for each in used)).alias("known_from"),
        F.greatest(F.max("usd.is_assumed").over(month), *(each["is_assumed"] for each in used)).alias("is_assumed"),
    )
    rise = (F.col("usd_brl") - F.col("base")).cast("double")
    change = F.try_divide(rise, F.col("base").cast("double")) * 100
    return carried.withColumns(
        {
            "fx_change_30d_percent": change,
            "is_devaluation": change > thresholds.of("devaluation_percent"),
            "is_high_inflation": _clean(F.col("ipca_12m_percent")) > thresholds.of("high_inflation_percent"),
        }
    ).select(*vintage, "date_on", *NAMES, "is_quoted", "known_from", "is_assumed")


def _carried(each: Carried, newest: Expression) -> list[Expression]:
    columns = [newest["reference_on"].alias(f"{each.prefix}_reference_on"), newest["value"].alias(each.column)]
    return [*columns, newest["percent_12m"].alias(f"{each.prefix}_12m_percent")] if each.accumulates else columns


def _clean(percent: Expression) -> Expression:
    """Rounds away floating-point noise, which would make an exact 6 % more than 6 %."""
    return F.round(percent, 9)


def _last(column: str, window: WindowSpec) -> Expression:
    return F.last(column, ignorenulls=True).over(window)

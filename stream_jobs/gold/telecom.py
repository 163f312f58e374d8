"""Telecom per municipality: monthly accesses and licensed 5G stations, and their features per calendar day."""

from collections.abc import Iterable, Sequence
from datetime import date

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from sinks.snapshot import Filter, between, predicate
from stream_jobs.gold import thresholds
from stream_jobs.gold.economy import calendar
from stream_jobs.gold.expressions import MONTHS_OF_A_YEAR, is_assumed, month_number
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import Column, Revisions
from stream_jobs.gold.thresholds import CARRIED_MONTHS
from stream_jobs.gold.weather import Vintage

MOBILE = "anatel_mobile_accesses"
BROADBAND = "anatel_broadband_accesses"
STATIONS = "anatel_base_stations"
DATASETS = (MOBILE, BROADBAND, STATIONS)

IS_5G = "generation LIKE '5G%'"
"""In 2022 a part of it was called `5G Non Stand Alone`."""
IS_OF_PEOPLE = (
    "coalesce(product_type NOT LIKE 'M2M%' AND product_type NOT LIKE 'OCIOSO%' AND product_type <> 'PONTO_DE_SERVICO',"
    " true)"
)
"""What ANATEL's own headline figure counts: no machines (M2M had two names until 2021), no points of service, no idle
lines (OCIOSO and OCIOSO_M2M_ESPECIAL, until 2020)."""
OF_PEOPLE = "without product types M2M*, PONTO_DE_SERVICO and OCIOSO*, like ANATEL's headline figure"
IS_NR = "technology = 'NR'"
HOLDS_ROWS = "bool_or(NOT is_withdrawn)"
"""An aggregate: whether a group has a row that is not withdrawn."""
STATION_COLUMNS = ("municipality_code", "station_number", "technology", "first_licensed_on", "licensed_on")


_KNOWN = "newest month that was known on the date (UTC)"
COLUMNS = (
    Column("mobile_reference_on", "DATE", "month of the mobile accesses", "", MOBILE, _KNOWN),
    Column("mobile_accesses", "BIGINT", "mobile accesses of people", "accesses", MOBILE, OF_PEOPLE),
    Column("mobile_accesses_5g", "BIGINT", "5G accesses among them", "accesses", MOBILE),
    Column(
        "mobile_accesses_all",
        "BIGINT",
        "mobile accesses, including machines and idle lines",
        "accesses",
        MOBILE,
        "every product type",
    ),
    Column("mobile_accesses_5g_all", "BIGINT", "5G accesses among all of them", "accesses", MOBILE),
    Column("share_5g_percent", "DOUBLE", "5G coverage", "%", MOBILE, "mobile_accesses_5g / mobile_accesses × 100"),
    Column("share_5g_change_points", "DOUBLE", "change of 5G coverage", "points", MOBILE, "against the month before"),
    Column(
        "expansion_rate_5g_percent",
        "DOUBLE",
        "5G expansion rate",
        "%",
        MOBILE,
        "growth of 5G coverage against the month before; null if it was 0",
    ),
    Column("is_5g_active", "BOOLEAN", "whether there is any 5G access", formula="share_5g_percent > 0"),
    Column(
        "is_5g_milestone",
        "BOOLEAN",
        "whether 5G coverage rose by a milestone",
        formula=f"share_5g_change_points > {thresholds.said('milestone_5g_points')}",
    ),
    Column(
        "stations_5g",
        "BIGINT",
        "licensed 5G stations",
        "stations",
        STATIONS,
        "distinct station_number with an NR carrier that was licensed and known on the date",
    ),
    Column("broadband_reference_on", "DATE", "month of the broadband accesses", "", BROADBAND, _KNOWN),
    Column("broadband_accesses", "BIGINT", "fixed-broadband accesses", "accesses", BROADBAND),
    Column(
        "broadband_growth_12m_percent",
        "DOUBLE",
        "growth of the broadband accesses over a year",
        "%",
        BROADBAND,
        "against the same month of the year before",
    ),
)
NAMES = tuple(column.name for column in COLUMNS)


ACCESSES = {
    "accesses": IS_OF_PEOPLE,
    "accesses_5g": f"{IS_OF_PEOPLE} AND {IS_5G}",
    "accesses_all": "true",
    "accesses_5g_all": IS_5G,
}
"""Sum of a month → which accesses it counts."""


def named(rows: DataFrame, key: Sequence[str]) -> DataFrame:
    """Rows of accesses for a table whose key is never null: a text that ANATEL leaves out becomes the empty text."""
    return rows.fillna("", list(key))


def rows_of_groups(silver: Revisions, dataset: str, groups: Groups) -> DataFrame:
    """The newest accesses, `named`, of the groups: months and further columns of the dataset's key.

    Withdrawn ones are included, without accesses: since their `known_from` a sum does not contain them.
    """
    ((first_on, last_on),) = groups.bounds("reference_month_on")
    months = between("reference_month_on", first_on, last_on)
    rows = silver.newest(dataset, within=months, columns=["accesses"], withdrawn=True)
    return named(rows, groups.rows.column_names).join(groups.frame, groups.rows.column_names, "left_semi")


def sums_of_groups(silver: Revisions, dataset: str, key: Sequence[str], groups: Groups, *more: Expression) -> DataFrame:
    """Accesses of each group and `known_from`, with more aggregates between; a group of withdrawn rows only has no row.

    Args: key: the groups' columns.
    """
    return (
        rows_of_groups(silver, dataset, groups)
        .groupBy(*key)
        .agg(
            F.sum("accesses").alias("accesses"),
            *more,
            F.max("known_from").alias("known_from"),
            F.expr(HOLDS_ROWS).alias("holds_rows"),
        )
        .where("holds_rows")
        .drop("holds_rows")
    )


def holders() -> Expression:
    """How many operators hold an access, by their CNPJ."""
    return F.count_distinct(F.when(~F.col("is_withdrawn"), F.col("cnpj")))


def mobile_months(rows: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """One row per municipality and month: the sums of `ACCESSES`, known_from, first_known_from, is_assumed.

    Args: rows: newest versions of `anatel_mobile_accesses`, withdrawn ones too: they count only for the clocks.
    """
    accesses = F.col("accesses")
    return (
        rows.where(F.col("municipality_code").isNotNull())
        .groupBy(*vintage, "municipality_code", "reference_month_on")
        .agg(
            *(F.coalesce(F.sum(F.when(F.expr(of), accesses)), F.lit(0)).alias(name) for name, of in ACCESSES.items()),
            *_clocks(),
            F.expr(HOLDS_ROWS).alias("holds_rows"),
        )
        .where("holds_rows")
        .drop("holds_rows")
    )


def broadband_months(rows: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """One row per municipality and month: accesses, known_from, first_known_from, is_assumed. Args: as above."""
    return (
        rows.where(F.col("municipality_code").isNotNull())
        .groupBy(*vintage, "municipality_code", "reference_month_on")
        .agg(F.sum("accesses").alias("accesses"), *_clocks(), F.expr(HOLDS_ROWS).alias("holds_rows"))
        .where("holds_rows")
        .drop("holds_rows")
    )


def licensed_since() -> Expression:
    """The day a carrier was first licensed; where no day is named, the day it was first known."""
    return F.coalesce("first_licensed_on", "licensed_on", F.to_date("first_known_from"))


def stations_5g(rows: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """One row per municipality and day on which stations became licensed *and* known: effective_on, stations, clocks.

    Args: rows: newest versions of `anatel_base_stations`, at least `STATION_COLUMNS`. A station counts once, from its
        first NR carrier on.
    """
    effective_on = F.greatest(F.to_date("first_known_from"), licensed_since())
    station = (
        rows.where(F.expr(IS_NR) & F.col("municipality_code").isNotNull())
        .groupBy(*vintage, "municipality_code", "station_number")
        .agg(
            F.min(effective_on).alias("effective_on"),
            F.max("known_from").alias("known_from"),
            F.max(is_assumed()).alias("is_assumed"),
        )
    )
    return station.groupBy(*vintage, "municipality_code", "effective_on").agg(
        F.count(F.lit(1)).alias("stations"),
        F.max("known_from").alias("known_from"),
        F.max("is_assumed").alias("is_assumed"),
    )


def with_growth(months: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """`broadband_months` and growth_12m_percent against the same month of the year before."""
    before = F.col("before.accesses")
    growth = F.try_divide((F.col("accesses") - before).cast("double"), before.cast("double")) * 100
    previous = F.struct("accesses", "known_from", "is_assumed")
    return (
        months.withColumn("before", _exactly_before(previous, MONTHS_OF_A_YEAR, vintage))
        .withColumns(
            {
                "growth_12m_percent": growth,
                "known_from": F.greatest("known_from", F.col("before.known_from")),
                "is_assumed": F.greatest("is_assumed", F.col("before.is_assumed")),
            }
        )
        .drop("before")
    )


def with_5g_coverage(months: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """`mobile_months` and share_5g_percent, share_5g_change_points, expansion_rate_5g_percent, is_5g_milestone."""
    share = F.try_divide(F.col("accesses_5g").cast("double"), F.col("accesses").cast("double")) * 100
    before = F.col("before.share_5g_percent")
    change = F.col("share_5g_percent") - before
    previous = F.struct("share_5g_percent", "known_from", "is_assumed")
    return (
        months.withColumn("share_5g_percent", share)
        .withColumn("before", _exactly_before(previous, 1, vintage))
        .withColumns(
            {
                "share_5g_change_points": change,
                "expansion_rate_5g_percent": F.when(before > 0, change / before * 100),
                "is_5g_milestone": F.round(change, 9) > thresholds.of("milestone_5g_points"),
                "known_from": F.greatest("known_from", F.col("before.known_from")),
                "is_assumed": F.greatest("is_assumed", F.col("before.is_assumed")),
            }
        )
        .drop("before")
    )


def by_day(silver: Revisions, municipality_codes: Iterable[str], first_on: date, last_on: date) -> DataFrame:
    """One row per municipality, calendar day of a range and vintage that any of the three datasets knows of.

    Args: municipality_codes: always the same ones, because the result is cached from batch to batch.
    Returns: municipality_code, date_on, the columns of `COLUMNS`, known_from and is_assumed, null if nothing is known.
    """
    vintage, codes = silver.vintage, sorted(municipality_codes)
    here: list[Filter] = [("municipality_code", "in", codes)]

    def mobile() -> DataFrame:
        rows = silver.newest(MOBILE, within=here, columns=["accesses"], withdrawn=True)
        return with_5g_coverage(mobile_months(rows, vintage), vintage)

    def broadband() -> DataFrame:
        rows = silver.newest(BROADBAND, within=here, columns=["accesses"], withdrawn=True)
        return with_growth(broadband_months(rows, vintage), vintage)

    def stations() -> DataFrame:
        rows = silver.newest(STATIONS, columns=STATION_COLUMNS)
        return stations_5g(rows.where(predicate(here)), vintage)

    # Weather changes every hour and these every month: a changed hour must not lead to counting all accesses again.
    events = (
        _months_known(silver.cached("mobile", (MOBILE,), mobile), "mobile", first_on, last_on, vintage)
        .unionByName(
            _months_known(silver.cached("broadband", (BROADBAND,), broadband), "broadband", first_on, last_on, vintage),
            allowMissingColumns=True,
        )
        .unionByName(
            _stations_effective(silver.cached("stations", (STATIONS,), stations), first_on, last_on, vintage),
            allowMissingColumns=True,
        )
    )
    places = events.select(*vintage, "municipality_code").distinct()
    days = calendar(events, first_on, last_on, ()).crossJoin(F.broadcast(places))
    united = (
        days.unionByName(events, allowMissingColumns=True)
        .groupBy(*vintage, "municipality_code", "date_on")
        .agg(*(F.max(name).alias(name) for name in ("mobile", "broadband", "stations")))
    )
    return _carried(united, vintage)


def _clocks() -> list[Expression]:
    return [
        F.max("known_from").alias("known_from"),
        F.min("first_known_from").alias("first_known_from"),
        F.max(is_assumed()).alias("is_assumed"),
    ]


def _exactly_before(value: Expression, months: int, vintage: Vintage) -> Expression:
    """A column of the row so many months earlier; null when there is none."""
    window = (
        Window.partitionBy(*vintage, "municipality_code")
        .orderBy(month_number("reference_month_on"))
        .rangeBetween(-months, -months)
    )
    return F.first(value).over(window)


def _months_known(months: DataFrame, name: str, first_on: date, last_on: date, vintage: Vintage) -> DataFrame:
    """date_on = the day a month was first known, or `first_on` if it was before; the newest such month as a struct."""
    keys = (*vintage, "municipality_code")
    values = [column for column in months.columns if column not in (*keys, "reference_month_on", "first_known_from")]
    known_on = F.greatest(F.to_date("first_known_from"), F.lit(first_on)).alias("date_on")
    events = months.select(*keys, known_on, F.struct("reference_month_on", *values).alias(name))
    return events.where(F.col("date_on") <= F.lit(last_on)).groupBy(*keys, "date_on").agg(F.max(name).alias(name))


def _stations_effective(stations: DataFrame, first_on: date, last_on: date, vintage: Vintage) -> DataFrame:
    """date_on and how many stations became effective on it; those before the range on its first day."""
    counted = F.struct(
        F.sum("stations").alias("stations"),
        F.max("known_from").alias("known_from"),
        F.max("is_assumed").alias("is_assumed"),
    )
    events = stations.withColumn("date_on", F.greatest("effective_on", F.lit(first_on)))
    events = events.where(F.col("date_on") <= F.lit(last_on))
    return events.groupBy(*vintage, "municipality_code", "date_on").agg(counted.alias("stations"))


def _carried(days: DataFrame, vintage: Vintage) -> DataFrame:
    so_far = (
        Window.partitionBy(*vintage, "municipality_code")
        .orderBy("date_on")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    oldest = F.add_months("date_on", -CARRIED_MONTHS)
    mobile, broadband = (F.max(name).over(so_far) for name in ("mobile", "broadband"))
    mobile = F.when(mobile["reference_month_on"] >= oldest, mobile)
    broadband = F.when(broadband["reference_month_on"] >= oldest, broadband)
    clocks = {
        clock: F.greatest(mobile[clock], broadband[clock], F.max(f"stations.{clock}").over(so_far))
        for clock in ("known_from", "is_assumed")
    }
    return days.select(
        *vintage,
        "municipality_code",
        "date_on",
        mobile["reference_month_on"].alias("mobile_reference_on"),
        mobile["accesses"].alias("mobile_accesses"),
        mobile["accesses_5g"].alias("mobile_accesses_5g"),
        mobile["accesses_all"].alias("mobile_accesses_all"),
        mobile["accesses_5g_all"].alias("mobile_accesses_5g_all"),
        mobile["share_5g_percent"].alias("share_5g_percent"),
        mobile["share_5g_change_points"].alias("share_5g_change_points"),
        mobile["expansion_rate_5g_percent"].alias("expansion_rate_5g_percent"),
        (mobile["share_5g_percent"] > 0).alias("is_5g_active"),
        mobile["is_5g_milestone"].alias("is_5g_milestone"),
        F.sum("stations.stations").over(so_far).alias("stations_5g"),
        broadband["reference_month_on"].alias("broadband_reference_on"),
        broadband["accesses"].alias("broadband_accesses"),
        broadband["growth_12m_percent"].alias("broadband_growth_12m_percent"),
        *(expression.alias(clock) for clock, expression in clocks.items()),
    )

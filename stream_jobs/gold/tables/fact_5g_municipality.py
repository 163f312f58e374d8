"""The progress of 5G per municipality and month: its share of people's mobile accesses, and its licensed stations.

A municipality has a row for each month with mobile accesses, and for each in which an NR station was first licensed.

Widening: changed accesses touch their month and the next one, which is compared with it. A changed licence touches
every month of each municipality that any version of it names.
"""

from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from schemas.classes import PUBLIC, TECHNICAL
from sinks.arrow_frames import frame_of
from sinks.expectations import Expectation
from sinks.snapshot import between, predicate
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions
from stream_jobs.gold.telecom import COLUMNS as FEATURES
from stream_jobs.gold.telecom import (
    IS_NR,
    MOBILE,
    STATION_COLUMNS,
    STATIONS,
    licensed_since,
    mobile_months,
    with_5g_coverage,
)

KEY = ("municipality_code", "reference_month_on")
ACCESSES = ("mobile_accesses", "mobile_accesses_5g", "mobile_accesses_all", "mobile_accesses_5g_all")
COVERAGE = ("share_5g_percent", "share_5g_change_points", "expansion_rate_5g_percent", "is_5g_milestone")


def touched_by_accesses(accesses: DataFrame) -> DataFrame:
    """The month, and the next one."""
    months = F.array("reference_month_on", F.add_months("reference_month_on", 1))
    rows = accesses.where(F.col("municipality_code").isNotNull())
    return rows.select(
        "municipality_code",
        F.explode(months).alias("reference_month_on"),
        F.lit(None).cast("string").alias("license_row_id"),
    )


def touched_by_licences(licences: DataFrame) -> DataFrame:
    """The former and the present content of the licence."""
    nowhere = F.lit(None).cast("string").alias("municipality_code")
    return licences.select(nowhere, F.lit(None).cast("date").alias("reference_month_on"), "license_row_id")


def widen(silver: Revisions, touched: pa.Table) -> pa.Table:
    """Licences replaced by all months of their municipalities."""
    is_licence = pc.is_valid(touched["license_row_id"])
    months = touched.filter(pc.invert(is_licence)).select(KEY)
    licences = touched.filter(is_licence).select(["license_row_id"])
    if not licences.num_rows:
        return months
    versions = silver.versions(STATIONS, columns=STATION_COLUMNS)
    versions = versions.withColumn("first_known_from", F.col("known_from"))
    changed = versions.join(frame_of(versions.sparkSession, licences), "license_row_id", "left_semi")
    places = changed.where(F.col("municipality_code").isNotNull()).select("municipality_code").distinct()
    # Every month since which any version was counted: the row of a corrected version must be removed.
    since = versions.where(F.expr(IS_NR)).select("municipality_code", F.trunc(licensed_since(), "month").alias(KEY[1]))
    known = silver.newest(MOBILE, columns=[]).select(*KEY)
    every = known.unionByName(since).join(places, "municipality_code", "left_semi").distinct()
    return pa.concat_tables([months, every.toArrow()], promote_options="default")


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """The months of the groups."""
    (first, last), (first_on, last_on) = groups.bounds(*KEY)
    here = between("municipality_code", first, last)
    in_time = between("reference_month_on", first_on - timedelta(days=31), last_on)  # growth looks at the month before
    rows = silver.newest(MOBILE, within=[*here, *in_time], columns=["accesses"], withdrawn=True)
    accesses = mobile_months(rows)
    coverage = with_5g_coverage(accesses).withColumnRenamed("known_from", "accesses_known_from")

    places = groups.frame.select("municipality_code").distinct()
    carriers = silver.newest(STATIONS, columns=STATION_COLUMNS).where(F.expr(IS_NR) & predicate(here))
    stations = (
        carriers.join(places, "municipality_code", "left_semi")
        .groupBy("municipality_code", "station_number")
        .agg(F.trunc(F.min(licensed_since()), "month").alias(KEY[1]), F.max("known_from").alias("stations_known_from"))
        .groupBy(*KEY)
        .agg(F.count(F.lit(1)).alias("stations"), F.max("stations_known_from").alias("stations_known_from"))
    )
    so_far = (
        Window.partitionBy("municipality_code")
        .orderBy("reference_month_on")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    return (
        coverage.join(stations, list(KEY), "full_outer")
        .withColumn("stations_5g", F.coalesce(F.sum("stations").over(so_far), F.lit(0)))
        .withColumn("stations_known_from", F.max("stations_known_from").over(so_far))
        .join(groups.frame, list(KEY), "left_semi")
        .select(
            *KEY,
            *(F.col(name.removeprefix("mobile_")).alias(name) for name in ACCESSES),
            *COVERAGE,
            "stations_5g",
            F.greatest("accesses_known_from", "stations_known_from").alias("known_from"),
        )
    )


_FEATURES = {column.name: column for column in FEATURES}

TABLE = GoldTable(
    name="fact_5g_municipality",
    keys=KEY,
    group=KEY,
    inputs=(Input(MOBILE, touched_by_accesses), Input(STATIONS, touched_by_licences)),
    about="5G in one municipality and month.",
    columns=(
        Column("municipality_code", "STRING NOT NULL", "IBGE code"),
        Column("reference_month_on", "DATE NOT NULL", "first day of the month"),
        *(_FEATURES[name] for name in (*ACCESSES, *COVERAGE)),
        Column(
            "stations_5g",
            "BIGINT NOT NULL",
            "licensed 5G stations at the month's end",
            "stations",
            STATIONS,
            "distinct station_number with an NR carrier first licensed by then",
        ),
        KNOWN_FROM,
    ),
    expectations=(
        Expectation("coverage_is_a_share", "share_5g_percent BETWEEN 0 AND 100", "fail"),
        Expectation("stations_not_negative", "stations_5g >= 0", "fail"),
    ),
    recompute=recompute,
    widen=widen,
    classes={
        PUBLIC: (
            "municipality_code",
            "reference_month_on",
            "mobile_accesses",
            "mobile_accesses_5g",
            "mobile_accesses_all",
            "mobile_accesses_5g_all",
            "share_5g_percent",
            "share_5g_change_points",
            "expansion_rate_5g_percent",
            "is_5g_milestone",
            "stations_5g",
        ),
        TECHNICAL: ("known_from",),
    },
)

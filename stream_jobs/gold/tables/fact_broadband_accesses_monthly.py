"""Fixed-broadband accesses per month, municipality and technology."""

from pyspark.sql import DataFrame

from schemas.classes import PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions
from stream_jobs.gold.telecom import BROADBAND, holders, named, sums_of_groups

KEY = ("reference_month_on", "municipality_code", "technology")


def touched(accesses: DataFrame) -> DataFrame:
    """A group is one month of one technology in one municipality."""
    return named(accesses, KEY).select(*KEY)


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """Sums of the groups; a group whose rows are all withdrawn has no row."""
    return sums_of_groups(silver, BROADBAND, KEY, groups, holders().alias("providers"))


TABLE = GoldTable(
    name="fact_broadband_accesses_monthly",
    keys=KEY,
    group=KEY,
    inputs=(Input(BROADBAND, touched),),
    about="Fixed-broadband accesses of one month, municipality and technology.",
    columns=(
        Column("reference_month_on", "DATE NOT NULL", "first day of the month", source=BROADBAND),
        Column("municipality_code", "STRING NOT NULL", "IBGE code; empty if the source names none", source=BROADBAND),
        Column("technology", "STRING NOT NULL", "access technology; empty if the source names none", source=BROADBAND),
        Column("accesses", "BIGINT NOT NULL", "accesses in service", "accesses", BROADBAND, "sum"),
        Column("providers", "BIGINT NOT NULL", "providers with an access", "providers", BROADBAND, "distinct CNPJ"),
        KNOWN_FROM,
    ),
    expectations=(
        Expectation("accesses_not_negative", "accesses >= 0", "warn"),
        Expectation("some_provider", "providers >= 1", "fail"),
    ),
    recompute=recompute,
    classes={
        PUBLIC: ("reference_month_on", "municipality_code", "technology", "accesses", "providers"),
        TECHNICAL: ("known_from",),
    },
)

"""Mobile accesses per month, municipality and generation."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from schemas.classes import PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions
from stream_jobs.gold.telecom import IS_OF_PEOPLE, MOBILE, OF_PEOPLE, holders, named, sums_of_groups

KEY = ("reference_month_on", "municipality_code", "generation")


def touched(accesses: DataFrame) -> DataFrame:
    """A group is one month of one generation in one municipality."""
    return named(accesses, KEY).select(*KEY)


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """Sums of the groups; a group whose rows are all withdrawn has no row."""
    people, accesses = F.expr(IS_OF_PEOPLE), F.col("accesses")
    used = F.sum(F.when(people, accesses).otherwise(0)).alias("people_accesses")
    rest = F.sum(F.when(people, 0).otherwise(accesses)).alias("machine_accesses")
    return sums_of_groups(silver, MOBILE, KEY, groups, used, rest, holders().alias("operators"))


TABLE = GoldTable(
    name="fact_mobile_accesses_monthly",
    keys=KEY,
    group=KEY,
    inputs=(Input(MOBILE, touched),),
    about="Mobile accesses of one month, municipality and generation.",
    columns=(
        Column("reference_month_on", "DATE NOT NULL", "first day of the month", source=MOBILE),
        Column("municipality_code", "STRING NOT NULL", "IBGE code; empty before 2019", source=MOBILE),
        Column("generation", "STRING NOT NULL", "2G to 5G; empty if the source names none", source=MOBILE),
        Column("accesses", "BIGINT NOT NULL", "accesses of every product type", "accesses", MOBILE, "sum"),
        Column("people_accesses", "BIGINT NOT NULL", "accesses of people", "accesses", MOBILE, f"sum {OF_PEOPLE}"),
        Column(
            "machine_accesses",
            "BIGINT NOT NULL",
            "accesses of machines, points of service and idle lines, which ANATEL's headline figure leaves out",
            "accesses",
            MOBILE,
            "accesses − people_accesses",
        ),
        Column("operators", "BIGINT NOT NULL", "operators with an access", "operators", MOBILE, "distinct CNPJ"),
        KNOWN_FROM,
    ),
    expectations=(
        Expectation("machines_are_among_the_accesses", "machine_accesses BETWEEN 0 AND accesses", "fail"),
        Expectation("people_are_among_the_accesses", "people_accesses BETWEEN 0 AND accesses", "fail"),
    ),
    recompute=recompute,
    classes={
        PUBLIC: (
            "reference_month_on",
            "municipality_code",
            "generation",
            "accesses",
            "people_accesses",
            "machine_accesses",
            "operators",
        ),
        TECHNICAL: ("known_from",),
    },
)

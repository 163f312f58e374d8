"""A small lake with all that marts read: written by `tests/monitoring/kit.py`, with the static dimensions."""

from datetime import date, timedelta
from pathlib import Path

from deltalake import write_deltalake

from monitoring.lake import Lake
from monitoring.proof.checks.gold_definition import reference_tables
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.proof.checks.gold_static import STATICS
from tests.monitoring.kit import BEGIN, REFERENCE, Kit, accesses, at, hour, small_lake

OPERATORS = ("1" * 14, "2" * 14)
SALVADOR, FEIRA = "2927408", "2910800"
MONTHS = (date(2026, 1, 1), date(2026, 2, 1))


def lake_of_marts(root: Path) -> Kit:
    """The small lake; ANATEL's mobile accesses are of two operators in two municipalities, with machines among them."""
    kit = small_lake(root)
    for number, operator in enumerate(OPERATORS):
        for month in MONTHS:
            for place in (SALVADOR, FEIRA):
                for product in ("VOZ", "M2M"):
                    row = accesses(month, 40 + 10 * number, operator) | {"municipality_code": place}
                    kit.publish("anatel_mobile_accesses", row | {"product_type": product, "generation": "4G"})
    kit.write()
    lake = Lake(kit.lake)
    for static in STATICS:
        write_deltalake(str(kit.path(f"gold.{static.table}")), lake.sql(static.query.format(folder=REFERENCE)))
    return kit


def late_hour(kit: Kit) -> None:
    """A corrected hour of Salvador's second day comes: its factors are written whole, and one of its days differs."""
    begin = at("2024-03-05T03:00:00")
    kit.publish("inmet_hourly", hour(begin + timedelta(hours=5), 39.9, rain=2.5), kafka_at=BEGIN + timedelta(hours=9))
    kit.write_silver("inmet_hourly")
    lake = Lake(kit.lake)
    lake.connection.execute(reference_tables(str(REFERENCE)))
    (factors,) = (each for each in DEFINITIONS if each.table == "external_factors_daily")
    write_deltalake(str(kit.path("gold.external_factors_daily")), lake.sql(factors.query), mode="overwrite")


def withdrawn_operator(kit: Kit) -> None:
    """One operator's accesses of the first month leave Feira de Santana."""
    gone = f"cnpj = '{OPERATORS[1]}' AND municipality_code = '{FEIRA}' AND reference_month_on = '{MONTHS[0]}'"
    kit.delete("silver.anatel_mobile_accesses", gone)

"""A host whose zone is not UTC makes the same lake: everything from Kafka to gold, in processes of their own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from deltalake import DeltaTable

from schemas.contracts import load_all
from tests.pipeline import pipeline
from tests.spark_fixtures import spark
from tests.stream_jobs.gold.test_calendar_edges import LENGTHS, STATION, UF, instants

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ZONES = ("UTC", "America/Sao_Paulo", "Asia/Tokyo")
TABLES = (
    "silver.inmet_hourly",
    "silver.inmet_hourly_revisions",
    "silver.bcb_ptax",
    "gold.fact_weather_daily",
    "gold.fact_fx_daily",
    "gold.external_factors_daily",
)


def quotation(at: datetime) -> dict[str, Any]:
    """A quotation of the dollar."""
    return {
        "currency_code": "USD",
        "quoted_at": at,
        "quoted_at_local": at.isoformat(),
        "bulletin_type": "Fechamento PTAX",
        "buying_rate": Decimal("4.90000000"),
        "selling_rate": Decimal("5.10000000"),
    }


def published(pipeline) -> None:
    pipeline.declare(*load_all())
    station = {"station_code": STATION, "valid_from_on": min(LENGTHS), "uf": UF}
    pipeline.publish("inmet_stations", station)
    hours = [{"station_code": STATION, "observed_at": at, "rain_mm": n % 5 / 2} for n, at in enumerate(instants())]
    pipeline.publish("inmet_hourly", *hours)
    new_year = datetime(2024, 1, 1, 3, tzinfo=UTC)  # on Brasilia's wall clock
    pipeline.publish("bcb_ptax", *(quotation(new_year + timedelta(minutes=minutes)) for minutes in (-30, 30)))


def rows(lake, table: str) -> list[str]:
    """Every row, as text, sorted; read without Spark."""
    found = DeltaTable(str(lake / table.replace(".", "/"))).to_pyarrow_table().to_pylist()
    return sorted(repr(sorted(row.items())) for row in found)


def test_hosts_of_three_zones_make_the_same_silver_and_gold(pipeline, cli, tmp_path):
    """Over the last summer time, the turn of a year and a leap day."""
    published(pipeline)
    found = {}
    for zone in ZONES:
        home = tmp_path / zone.replace("/", "-")
        done = cli("run", "all", "--once", TZ=zone, CORRENTEZA_HOME=str(home))
        assert done.returncode == 0, done.stderr
        found[zone] = {table: rows(home / "lake", table) for table in TABLES}
    assert {table: len(held) > 1 for table, held in found["UTC"].items()} == dict.fromkeys(TABLES, True)
    assert found["America/Sao_Paulo"] == found["UTC"]
    assert found["Asia/Tokyo"] == found["UTC"]

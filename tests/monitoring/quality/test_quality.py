"""Scores, anomalies, reconciliation and lags: each finding, and the same data without it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from monitoring.lake import Lake
from monitoring.quality import views
from tests.monitoring.kit import Kit, accesses, at, hour, value

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def judged(kit, view):
    lake = Lake(kit.lake)
    views.register(lake)
    return lake.rows(f"FROM ops.{view}")


@pytest.fixture
def kit(tmp_path):
    return Kit(tmp_path)


def test_an_empty_lake_gives_no_findings(kit):
    kit.publish("inmet_stations", {"station_code": "A401", "valid_from_on": date(2024, 1, 1), "uf": "BA"})
    kit.write()
    for view in ("quality_scores", "anomalies", "reconciliation", "publication_lags"):
        assert judged(kit, view) == []


def counted(kit, *batches):
    """ops.expectations with (dataset, rows, flawed, days ago)."""
    rows = [
        {
            "dataset": dataset,
            "expectation": "*",
            "rows": rows,
            "broken": flawed,
            "evaluated_at": NOW - timedelta(days=ago),
        }
        for dataset, rows, flawed, ago in batches
    ]
    write_deltalake(str(kit.path("ops.expectations")), pa.Table.from_pylist(rows))


def test_a_score_is_the_share_of_rows_without_a_flaw_over_thirty_days(kit):
    counted(kit, ("good", 100, 4, 1), ("good", 100, 2, 29), ("good", 1000, 900, 31), ("at the bar", 100, 5, 0))
    found = {row["dataset"]: (row["score_percent"], row["meets_bar"]) for row in judged(kit, "quality_scores")}
    assert found == {"good": (97.0, True), "at the bar": (95.0, False)}


@pytest.mark.parametrize(("rows", "found"), [(4, 1), (5, 0), (12, 0)])
def test_an_edition_of_fewer_than_half_the_usual_rows_is_named(kit, rows, found):
    for edition, size in enumerate((10, 10, rows)):
        moment = NOW + timedelta(days=edition)
        kit.publish("anatel_broadband_accesses", *(accesses(date(2026, 1, 1), n) for n in range(size)), kafka_at=moment)
        manifest = kit.bronze["ingest.manifests"][-1]["record"]
        manifest |= {"part": "2026.csv", "payload_sha256": str(edition) * 64, "retrieved_at": moment}
    kit.write()
    anomalies = [row for row in judged(kit, "anomalies") if row["kind"] == "volume"]
    assert len(anomalies) == found
    if found:
        assert (anomalies[0]["subject"], anomalies[0]["value"], anomalies[0]["usual"]) == ("2026.csv", 4.0, 10.0)


def closing(day, rate):
    return {
        "currency_code": "USD",
        "quoted_at": at(f"{day}T16:05:00"),
        "quoted_at_local": f"{day} 13:05:00",
        "bulletin_type": "Fechamento",
        "buying_rate": Decimal(rate),
        "selling_rate": Decimal(rate),
    }


@pytest.mark.parametrize(("rate", "found"), [("5.60", 1), ("4.70", 1), ("5.24", 0)])
def test_a_jump_of_the_closing_rate_is_named(kit, rate, found):
    kit.publish("bcb_ptax", closing("2025-11-10", "5.00"), closing("2025-11-11", rate))
    kit.write()
    assert [row["kind"] for row in judged(kit, "anomalies")] == ["ptax_jump"] * found


@pytest.mark.parametrize(("shift", "found"), [(10.5, 1), (-10.5, 1), (9.5, 0)])
def test_a_shift_of_a_stations_pressure_is_named(kit, shift, found):
    begin = at("2024-01-01T00:00:00")
    hours = [
        hour(begin + timedelta(hours=n), pressure_hpa=1000.0 + (shift if n >= 24 * 20 else 0)) for n in range(24 * 21)
    ]
    kit.publish("inmet_hourly", *hours)
    kit.write()
    anomalies = judged(kit, "anomalies")
    assert [(row["kind"], row["seen_at"].date()) for row in anomalies] == [
        ("pressure_shift", date(2024, 1, 21))
    ] * found


def test_the_same_quantity_from_two_sources_is_compared_where_both_have_it(kit):
    kit.publish("bcb_sgs", value(1, date(2025, 11, 10), "5.3"), value(1, date(2025, 11, 11), "5.4"))
    kit.publish("bcb_ptax", closing("2025-11-10", "5.3"), closing("2025-11-11", "5.5"), closing("2025-11-12", "5.5"))
    kit.publish("bcb_sgs", value(433, date(2025, 10, 1), "0.09"))
    cell = {
        "territory_level": "1",
        "territory_code": "1",
        "table_id": 1737,
        "classifications": "",
        "variable_code": "63",
    }
    kit.publish("ibge_sidra", cell | {"period_code": "202510", "value": Decimal("0.09")})
    kit.publish("anatel_broadband_accesses", accesses(date(2026, 1, 1), 10), accesses(date(2026, 1, 1), 5, "2" * 14))
    kit.publish("anatel_broadband_totals", {"reference_month_on": date(2026, 1, 1), "accesses": 16})
    kit.write()
    found = sorted((row["name"][:4], row["period"], row["agrees"]) for row in judged(kit, "reconciliation"))
    assert found == [
        ("IPCA", date(2025, 10, 1), True),
        ("US d", date(2025, 11, 10), True),
        ("US d", date(2025, 11, 11), False),
        ("broa", date(2026, 1, 1), False),
    ]


@pytest.mark.parametrize(("seen", "is_optimistic"), [(16, True), (14, False)])
def test_a_lag_that_is_shorter_than_what_was_seen_is_named(kit, seen, is_optimistic):
    assumed = value(433, date(2025, 8, 1), "0.1", at("2025-09-16T00:00:00")) | {"published_at_basis": "assumed_lag"}
    kit.publish("bcb_sgs", assumed)
    published = at("2025-10-01T00:00:00") + timedelta(days=seen)
    kit.publish("bcb_sgs", value(433, date(2025, 9, 1), "0.2", published) | {"published_at_basis": "api_field"})
    kit.publish("bcb_sgs", value(433, date(2025, 9, 1), "0.3", published + timedelta(days=90)))
    kit.write()
    (row,) = judged(kit, "publication_lags")
    assert (row["assumed_days"], row["seen_median_days"], row["seen_longest_days"]) == (15.0, seen, seen)
    assert row["is_optimistic"] is is_optimistic


def test_of_each_part_the_newest_edition_says_what_is_held_and_what_is_unknown(kit):
    def edition(part, number, **said):
        said = {"resource": "r", "part_key": part, "part": part, "edition": number, "rows_withdrawn": 0} | said
        moment = NOW + timedelta(days=number)
        kit.publish("anatel_broadband_accesses", accesses(date(2026, 1, number), 1), kafka_at=moment, **said)

    edition("decided", 1, withdrawals_held=140)
    edition("decided", 2, withdrawals_held=0)
    edition("held", 1, withdrawals_held=120)
    edition("unknown", 1, rows_withdrawn=None)
    edition("fine", 1, withdrawals_held=0)
    kit.write()
    found = {(row["kind"], row["subject"], row["value"]) for row in judged(kit, "anomalies")}
    assert found == {("withdrawals_held", "held", 120.0), ("withdrawals_unknown", "unknown", 0.0)}


def test_a_row_of_a_month_that_is_renamed_later_is_no_month_that_came_late(kit):
    month, seen_at = date(2026, 1, 1), NOW + timedelta(days=400)
    first = datetime(2026, 3, 8, tzinfo=UTC)
    kit.publish(
        "anatel_mobile_accesses", accesses(month, 1) | {"published_at": first, "published_at_basis": "assumed_lag"}
    )
    renamed = accesses(month, 1) | {"company": "NEW"}
    kit.publish(
        "anatel_mobile_accesses", renamed | {"published_at": seen_at, "published_at_basis": "http_last_modified"}
    )
    kit.write()
    (lag,) = [row for row in judged(kit, "publication_lags") if row["dataset"] == "anatel_mobile_accesses"]
    assert (lag["assumed"], lag["assumed_days"], lag["seen"]) == (1, 35.0, 0)

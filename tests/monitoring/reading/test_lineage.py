"""A gold row leads back to the versions, offsets, chunks and payloads that it was made from."""

import json
from datetime import timedelta

import pytest

from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.proof.checks.gold_factors import EXTERNAL
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.reading.lineage import INPUTS, explain
from tests.monitoring.kit import REFERENCE, Kit, at

SALVADOR_DAY = {"date_on": "2024-03-04", "municipality_code": "2927408"}


def explained(kit, table, key):
    row, steps = explain(Lake(kit.lake), kit.lake.parent / "archive", table, key, reference=REFERENCE)
    return row, {step.dataset: step for step in steps}


def test_every_gold_table_that_follows_silver_can_be_explained():
    assert {each.table: set(each.datasets) for each in DEFINITIONS if each.table != "external_factors_daily"} == {
        table: set(inputs) for table, inputs in INPUTS.items() if table != "external_factors_daily"
    }


def test_a_capital_day_leads_to_its_hours_quotations_and_months(kit):
    row, steps = explained(kit, "external_factors_daily", SALVADOR_DAY)
    assert steps["inmet_hourly"].versions == row["hours_observed"] == 24
    assert steps["openmeteo_archive"].versions == 24
    series = [(each["series_code"], str(each["reference_on"])) for each in steps["bcb_sgs"].shown]
    assert len([code for code, _ in series if code == 1]) == 40
    months = [on for code, on in series if code == 433]
    assert len(months) <= 12
    assert max(months) == str(row["ipca_reference_on"])
    assert steps["anatel_mobile_accesses"].versions == 0, "known long after that day"
    surveys = {(each["reference_period"], each["base_calculation"]): each for each in steps["bcb_focus"].shown}
    assert set(surveys) == {("R2/2024", 0), ("R8/2024", 0)}
    assert surveys["R2/2024", 0]["median"] == row["selic_expected_next_percent"]


def test_a_day_leads_to_the_thirty_days_of_its_weather_windows(kit):
    row, steps = explained(kit, "external_factors_daily", SALVADOR_DAY | {"date_on": "2024-03-05"})
    assert (row["hours_observed"], row["days_observed_30d"]) == (24, 2)
    assert steps["inmet_hourly"].versions == 48


def test_no_version_that_is_named_is_newer_than_the_row_and_the_newest_one_dates_it(kit):
    """The walk misses nothing that dates the row: the greatest known_from of the inputs is the row's own."""
    for table, key in (
        ("external_factors_daily", SALVADOR_DAY),
        ("fact_weather_daily", {"date_on": "2024-03-04", "station_code": "A401"}),
        ("fact_fx_daily", {"date_on": "2024-03-04", "currency_code": "USD"}),
        ("fact_economic_observation", {"series_code": "1", "reference_on": "2024-03-01"}),
        ("fact_base_stations", {"license_row_id": "a1"}),
        ("dim_municipality_population", {"municipality_code": "2927408", "valid_from_on": "2021-07-01"}),
        ("fact_5g_municipality", {"municipality_code": "2927408", "reference_month_on": "2026-02-01"}),
        (
            "fact_mobile_accesses_monthly",
            {"municipality_code": "2927408", "reference_month_on": "2026-02-01", "generation": "5G"},
        ),
    ):
        row, steps = explained(kit, table, key)
        dated = {name: step for name, step in steps.items() if name != "inmet_stations"}
        assert max(each["known_from"] for step in dated.values() for each in step.shown) == row["known_from"], table


def test_a_version_names_its_place_its_chunk_and_the_payloads_url(kit):
    _, steps = explained(kit, "fact_base_stations", {"license_row_id": "a1"})
    ((version,), (origin,)) = steps["anatel_base_stations"].shown, steps["anatel_base_stations"].origins
    assert version["place"] == "anatel_base_stations.v1/0/0"
    assert (origin.chunk_id, origin.part, origin.payload_sha256, origin.url) == (
        version["chunk_id"],
        "p",
        "0" * 64,
        None,
    )

    note = kit.lake.parent / "archive" / "sha256" / "00" / f"{'0' * 64}.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"url": "https://example.org/a.zip"}))
    _, steps = explained(kit, "fact_base_stations", {"license_row_id": "a1"})
    assert steps["anatel_base_stations"].origins[0].url == "https://example.org/a.zip"


def test_what_is_no_row_of_gold_is_refused_with_a_hint(kit):
    with pytest.raises(UsageError, match="cannot be explained"):
        explained(kit, "dim_date", {})
    with pytest.raises(UsageError, match="municipality_code: missing"):
        explained(kit, "external_factors_daily", {"date_on": "2024-03-04"})
    with pytest.raises(UsageError, match="no such row"):
        explained(kit, "external_factors_daily", SALVADOR_DAY | {"date_on": "1999-01-01"})


def test_a_day_of_a_place_leads_to_the_hours_of_its_site_and_of_no_other_point(tmp_path, choose):
    choose(places={"2910800": {"latitude": -12.25, "longitude": -38.95}})
    kit = Kit(tmp_path)
    begin = at("2024-03-04T03:00:00")
    for point, hours in (("2910800@-12.25,-38.95", 24), ("2910800", 5), ("2910800@-12.3,-38.9", 7)):
        kit.publish("openmeteo_archive", *(
            {"point_id": point, "model": "best_match", "valid_at": begin + timedelta(hours=n), "precipitation_mm": 0.5}
            for n in range(hours)
        ))  # fmt: skip
    for dataset in EXTERNAL.datasets:
        kit.write_silver(dataset)
    kit.write()
    row, steps = explained(kit, "external_factors_daily", {"date_on": "2024-03-04", "municipality_code": "2910800"})
    assert (row["rain_mm"], row["weather_source"], row["station_code"]) == (12, "openmeteo_archive", "")
    assert steps["openmeteo_archive"].versions == 24

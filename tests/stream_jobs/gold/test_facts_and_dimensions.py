from datetime import date
from decimal import Decimal

from stream_jobs.gold.model import GoldTable, StaticTable, discover
from stream_jobs.gold.tables import (
    dim_date,
    dim_economic_series,
    dim_municipality,
    dim_municipality_population,
    dim_operator,
    dim_weather_station,
    fact_5g_municipality,
    fact_broadband_accesses_monthly,
    fact_economic_observation,
    fact_fx_daily,
    fact_mobile_accesses_monthly,
)
from stream_jobs.gold.telecom import MOBILE
from tests.stream_jobs.gold.memory_silver import affected, instant, named, utc


def recomputed(table, silver, dataset, *rows):
    """Everything the rows touch."""
    return table.recompute(silver, affected(table, silver, {dataset: silver.add(dataset, *rows)})).collect()


def test_the_gold_tables_are_found():
    kinds = {name: type(table) for name, table in discover().items()}
    assert kinds == {
        "dim_copom_meeting": StaticTable,
        "dim_date": StaticTable,
        "dim_economic_series": StaticTable,
        "dim_municipality": StaticTable,
        "dim_municipality_population": GoldTable,
        "dim_operator": GoldTable,
        "dim_weather_station": GoldTable,
        "external_factors_daily": GoldTable,
        "fact_5g_municipality": GoldTable,
        "fact_base_stations": GoldTable,
        "fact_broadband_accesses_monthly": GoldTable,
        "fact_economic_observation": GoldTable,
        "fact_fx_daily": GoldTable,
        "fact_mobile_accesses_monthly": GoldTable,
        "fact_reanalysis_daily": GoldTable,
        "fact_weather_daily": GoldTable,
    }


def test_the_calendar_knows_iso_weeks_weekends_and_month_ends(spark):
    days = {row.date_on: row for row in dim_date.build(spark).collect()}
    assert len(days) == 13149
    assert days[date(2024, 12, 30)].asDict() == {
        "date_on": date(2024, 12, 30),
        "year": 2024,
        "quarter": 4,
        "month": 12,
        "day": 30,
        "iso_week": 1,
        "day_of_week": 1,
        "is_weekend": False,
        "month_start_on": date(2024, 12, 1),
        "is_month_end": False,
        "is_holiday": False,
        "is_optional_holiday": False,
        "holiday_name": None,
    }
    for on, row in days.items():
        assert (row.iso_week, row.day_of_week) == on.isocalendar()[1:]
    assert [days[date(2024, 6, day)].is_weekend for day in (28, 29, 30)] == [False, True, True]
    assert days[date(2024, 2, 29)].is_month_end
    assert not days[date(2024, 2, 28)].is_month_end


def test_every_municipality_has_its_state_and_region(spark):
    places = {row.municipality_code: row for row in dim_municipality.build(spark).collect()}
    assert len(places) == 5571
    assert sum(place.is_capital for place in places.values()) == 27
    assert places["2927408"].asDict() == {
        "municipality_code": "2927408",
        "name": "Salvador",
        "uf": "BA",
        "region": "Nordeste",
        "latitude_degrees": -12.9718,
        "longitude_degrees": -38.5011,
        "is_capital": True,
        "area_code": "71",
        "time_zone": "America/Bahia",
    }
    assert places["1100205"].uf == "RO"  # first line of a file that begins with a byte order mark


def test_series_have_a_unit_and_a_frequency(spark):
    series = {row.series_code: row for row in dim_economic_series.build(spark).collect()}
    assert len(series) == len(dim_economic_series.SERIES)
    assert (series[433].unit, series[433].frequency, series[433].is_revised) == ("% per month", "M", False)
    assert {row.frequency for row in series.values()} == {"D", "M", "Q"}


def test_an_estimate_of_inhabitants_holds_until_the_next_one(silver):
    """There is none for 2022, the year of the census. Other cells of SIDRA are no inhabitants of a municipality."""
    cell = {"table_id": 6579, "variable_code": "9324", "territory_level": "6", "territory_code": "2927408"}
    cell |= {"period_code": "2021", "classifications": "", "value": Decimal("2900319.0000000000000")}
    rows = recomputed(
        dim_municipality_population.TABLE,
        silver,
        "ibge_sidra",
        cell | {"known_from": instant("2021-08-27")},
        cell | {"period_code": "2024", "value": Decimal(2568928), "known_from": instant("2024-08-29")},
        cell | {"period_code": "2025", "value": None},
        cell | {"territory_level": "1", "territory_code": "1"},
        cell | {"table_id": 5938, "period_code": "2023"},
        cell | {"variable_code": "1", "period_code": "2023"},
        cell | {"period_code": "202301"},
    )
    found = [(row.municipality_code, row.valid_from_on, row.valid_to_on, row.population) for row in rows]
    assert sorted(found) == [
        ("2927408", date(2021, 7, 1), date(2024, 6, 30), 2900319), ("2927408", date(2024, 7, 1), None, 2568928)
    ]  # fmt: skip
    assert {utc(row.known_from) for row in rows} == {instant("2024-08-29")}


def test_a_stations_row_ends_the_day_before_the_next_one(silver):
    rows = recomputed(
        dim_weather_station.TABLE,
        silver,
        "inmet_stations",
        {"station_code": "A807", "valid_from_on": date(2020, 1, 1), "name": "CURITIBA", "altitude_m": 922.9},
        {"station_code": "A807", "valid_from_on": date(2018, 1, 1), "known_from": instant("2018-02-01")},
        {"station_code": "A807", "valid_from_on": date(2019, 1, 1), "known_from": instant("2019-02-01")},
        {"station_code": "A401", "valid_from_on": date(2024, 1, 1)},
    )
    validity = {(row.station_code, row.valid_from_on): row.valid_to_on for row in rows}
    assert validity == {
        ("A807", date(2018, 1, 1)): date(2018, 12, 31),
        ("A807", date(2019, 1, 1)): date(2019, 12, 31),
        ("A807", date(2020, 1, 1)): None,
        ("A401", date(2024, 1, 1)): None,
    }
    # The end of a validity is known when the next row is.
    assert {utc(row.known_from) for row in rows if row.valid_from_on.year == 2018} == {instant("2019-02-01")}


def test_a_new_station_row_recomputes_its_predecessor_and_leaves_other_stations_alone(silver):
    silver.add("inmet_stations", *({"station_code": code, "valid_from_on": date(2023, 1, 1)} for code in ("A1", "A2")))
    rows = recomputed(
        dim_weather_station.TABLE, silver, "inmet_stations", {"station_code": "A1", "valid_from_on": date(2024, 1, 1)}
    )
    assert sorted((row.station_code, row.valid_to_on) for row in rows if row.valid_to_on) == [
        ("A1", date(2023, 12, 31))
    ]
    assert {row.station_code for row in rows} == {"A1"}


def test_an_observation_is_the_newest_version_of_its_key(silver):
    key = {"series_code": 24364, "reference_on": date(2024, 5, 1)}
    silver.add("bcb_sgs", {**key, "value": Decimal("150.1"), "known_from": instant("2024-07-15")})
    silver.add("bcb_sgs", {"series_code": 24364, "reference_on": date(2024, 6, 1), "value": Decimal("1")})
    (row,) = recomputed(
        fact_economic_observation.TABLE,
        silver,
        "bcb_sgs",
        {**key, "value": Decimal("150.2"), "known_from": instant("2024-08-15"), "published_at_basis": "none"},
    )
    assert row.asDict() | {"known_from": utc(row.known_from)} == {
        **key,
        "reference_end_on": None,
        "value": Decimal("150.2000000000000"),
        "known_from": instant("2024-08-15"),
        "published_at_basis": "none",
    }


def test_broadband_accesses_are_summed_and_providers_counted_once(silver):
    month = {"reference_month_on": date(2024, 5, 1), "municipality_code": "2927408", "technology": "FTTH"}
    rows = recomputed(
        fact_broadband_accesses_monthly.TABLE,
        silver,
        "anatel_broadband_accesses",
        {**month, "cnpj": "1", "speed_band": "> 34Mbps", "accesses": 10, "known_from": instant("2024-07-01")},
        {**month, "cnpj": "1", "speed_band": "2Mbps", "accesses": 5, "known_from": instant("2024-07-02")},
        {**month, "cnpj": "2", "accesses": 1, "known_from": instant("2024-07-01")},
        {**month, "cnpj": "2", "technology": None, "municipality_code": None, "accesses": 7},
        {**month, "cnpj": "2", "technology": "HFC", "accesses": 0},
    )
    found = {(row.municipality_code, row.technology): (row.accesses, row.providers) for row in rows}
    assert found == {("2927408", "FTTH"): (16, 2), ("", ""): (7, 1), ("2927408", "HFC"): (0, 1)}
    assert utc(next(row for row in rows if row.accesses == 16).known_from) == instant("2024-07-02")


def test_people_are_what_anatels_headline_counts_and_all_is_kept_beside_them(silver):
    """Machines, points of service and idle lines, under every name they had, are no accesses of people."""
    types = {"VOZ+DADOS": 1, None: 2, "M2M": 10, "M2M_PADRAO": 20, "PONTO_DE_SERVICO": 40, "OCIOSO": 80,
             "OCIOSO_M2M_ESPECIAL": 160}  # fmt: skip
    month = {"reference_month_on": date(2020, 5, 1), "municipality_code": "2927408", "cnpj": "1", "generation": "5G"}
    rows = [{**month, "product_type": name, "accesses": number} for name, number in types.items()]
    (row,) = recomputed(fact_mobile_accesses_monthly.TABLE, silver, "anatel_mobile_accesses", *rows)
    assert (row.accesses, row.people_accesses, row.machine_accesses) == (313, 3, 310)
    groups = affected(fact_5g_municipality.TABLE, silver, {"anatel_mobile_accesses": silver.newest(MOBILE)})
    (share,) = fact_5g_municipality.TABLE.recompute(silver, groups).collect()
    assert (share.mobile_accesses, share.mobile_accesses_5g) == (3, 3)
    assert (share.mobile_accesses_all, share.mobile_accesses_5g_all) == (313, 313)


def test_an_operator_has_a_row_per_name_while_it_holds(silver):
    def month(number, company, accesses=1, cnpj="1" * 14):
        return {"reference_month_on": date(2024, number, 1), "cnpj": cnpj, "company": company, "accesses": accesses}

    rows = recomputed(
        dim_operator.TABLE,
        silver,
        "anatel_mobile_accesses",
        *(month(number, "TELEFÔNICA") for number in (1, 2, 4)),
        month(5, "TELEFONICA", 9),
        month(5, "A MISPRINT", 2),
        month(7, "TELEFONICA"),
        month(1, "TIM", cnpj="2" * 14),
    )
    found = sorted((row.cnpj, row.valid_from_on, row.valid_to_on, row.company) for row in rows)
    assert found == [
        ("1" * 14, date(2024, 1, 1), date(2024, 4, 30), "TELEFÔNICA"),
        ("1" * 14, date(2024, 5, 1), None, "TELEFONICA"),
        ("2" * 14, date(2024, 1, 1), None, "TIM"),
    ]


def test_the_closing_bulletin_is_the_last_of_its_kind_on_brasilias_day(silver):
    def bulletin(at, kind, rate):
        quoted = {"currency_code": "USD", "quoted_at": instant(at), "bulletin_type": kind}
        return quoted | {"buying_rate": Decimal(rate), "selling_rate": Decimal(rate) + Decimal("0.0006")}

    rows = recomputed(
        fact_fx_daily.TABLE,
        silver,
        "bcb_ptax",
        bulletin("2025-11-10T13:10", "Abertura", "5.31"),
        bulletin("2025-11-10T16:10", "Fechamento", "5.33"),
        bulletin("2025-11-11T02:30", "Intermediário", "5.29"),
    )
    (row,) = rows
    assert (row.date_on, row.closing_buying, row.closing_selling) == (
        date(2025, 11, 10), Decimal("5.33"), Decimal("5.3306"))  # fmt: skip
    assert (row.lowest_selling, row.highest_selling, row.bulletins) == (Decimal("5.2906"), Decimal("5.3306"), 3)


def test_a_licence_corrected_to_another_place_leaves_no_station_behind(silver):
    table = fact_5g_municipality.TABLE
    licence = {"license_row_id": "a", "station_number": "7", "technology": "NR", "first_licensed_on": date(2024, 3, 9)}
    before = recomputed(table, silver, "anatel_base_stations", licence | {"municipality_code": "2927408"})
    assert [(row.municipality_code, row.reference_month_on, row.stations_5g) for row in before] == [
        ("2927408", date(2024, 3, 1), 1)
    ]
    moved = licence | {"municipality_code": "2408102", "known_from": instant("2025-02-01")}
    groups = affected(table, silver, {"anatel_base_stations": silver.add("anatel_base_stations", moved)})
    assert ("2927408", date(2024, 3, 1)) in named(groups)
    after = table.recompute(silver, groups).collect()
    assert [(row.municipality_code, row.stations_5g) for row in after] == [("2408102", 1)]

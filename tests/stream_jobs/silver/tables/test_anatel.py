"""What ANATEL's rows must satisfy, checked with DuckDB as in `verify`: each rule finds what it is for."""

from datetime import date

import duckdb
import pyarrow as pa
import pytest

from schemas.arrow import arrow_schema
from schemas.contracts import load
from stream_jobs.silver.tables import anatel_base_stations, anatel_mobile_accesses

ACCESSES = {
    "reference_month_on": date(2022, 12, 1),
    "cnpj": "40432544000147",
    "municipality_code": "3547809",
    "area_code": "11",
    "payment_mode": "Pós-pago",
    "accesses": 4512,
}
CARRIER = {
    "municipality_code": "2408102",
    "technology": "NR",
    "generation": "5G",
    "transmit_frequency_mhz": 778.0,
    "receive_frequency_mhz": 723.0,
    "azimuth_degrees": 360.0,
    "latitude_degrees": -5.831417,
    "longitude_degrees": -35.217528,
    "licensed_on": date(2023, 10, 24),
    "first_licensed_on": date(1999, 11, 16),
}


def broken(table, row: dict) -> set[str]:
    """Names of the rules that a row breaks; what it does not name is null."""
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(load(table.dataset))])
    rows = pa.Table.from_pylist([row], schema)
    connection = duckdb.connect()
    connection.register("rows", rows)
    return {
        each.name
        for each in table.expectations
        if connection.execute(f"SELECT count(*) FROM rows WHERE NOT ({each.sql})").fetchall() == [(1,)]
    }


@pytest.mark.parametrize("table", [anatel_mobile_accesses.TABLE, anatel_base_stations.TABLE], ids=lambda t: t.dataset)
def test_every_rule_is_broken_by_some_case_below(table):
    """A rule that nothing breaks would protect nothing."""
    cases = MOBILE_CASES if table is anatel_mobile_accesses.TABLE else STATION_CASES
    assert {rule for _, rules in cases for rule in rules} == {each.name for each in table.expectations}


MOBILE_CASES = [
    ({}, set()),
    ({"accesses": -1}, {"accesses_not_negative"}),
    ({"reference_month_on": date(2022, 12, 2)}, {"month_begins_on_the_first"}),
    ({"municipality_code": "354780"}, {"municipality_code_has_seven_digits"}),
    ({"municipality_code": None}, {"municipality_since_2019"}),
    ({"municipality_code": None, "reference_month_on": date(2018, 12, 1)}, set()),
    ({"municipality_code": "9947809"}, {"municipality_in_a_state"}),
    ({"municipality_code": "0000000"}, set()),
    ({"cnpj": "1778972000174"}, {"cnpj_has_fourteen_characters"}),
    ({"cnpj": "12ABC34501DE35"}, set()),
    ({"cnpj": "12ABC34501DE36"}, {"cnpj_check_digits_hold"}),
    ({"cnpj": "12ABC34501ED35"}, {"cnpj_check_digits_hold"}),
    ({"cnpj": "01778972000175"}, {"cnpj_check_digits_hold"}),
    ({"area_code": "011"}, {"area_code_has_two_digits"}),
    ({"area_code": "0"}, {"area_code_has_two_digits"}),
    ({"area_code": None}, set()),
    ({"payment_mode": "Híbrido"}, {"payment_mode_is_known"}),
]


@pytest.mark.parametrize(("changes", "rules"), MOBILE_CASES)
def test_mobile_accesses(changes, rules):
    assert broken(anatel_mobile_accesses.TABLE, ACCESSES | changes) == rules


STATION_CASES = [
    ({}, set()),
    (dict.fromkeys(CARRIER), set()),
    ({"municipality_code": "240810"}, {"municipality_code_has_seven_digits"}),
    ({"municipality_code": "0000000"}, {"municipality_in_a_state"}),
    ({"cnpj": "2558157000162"}, {"cnpj_has_fourteen_characters"}),
    ({"cnpj": "12ABC34501DE35"}, set()),
    ({"cnpj": "02558157000126"}, {"cnpj_check_digits_hold"}),
    ({"latitude_degrees": -5831417.0}, {"latitude_in_brazil"}),
    ({"longitude_degrees": 35.2}, {"longitude_in_brazil"}),
    ({"azimuth_degrees": 361.0}, {"azimuth_in_a_circle"}),
    ({"receive_frequency_mhz": 0.0}, {"frequency_is_positive"}),
    ({"technology": "LTE"}, {"nr_is_5g"}),
    ({"generation": "4G"}, {"nr_is_5g"}),
    ({"first_licensed_on": date(2024, 1, 1)}, {"first_licence_comes_first"}),
]


@pytest.mark.parametrize(("changes", "rules"), STATION_CASES)
def test_base_stations(changes, rules):
    assert broken(anatel_base_stations.TABLE, CARRIER | changes) == rules

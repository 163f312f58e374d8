"""What the rows of BCB and IBGE must satisfy: each rule objects to what it is there for, and to nothing real."""

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from pyspark.sql.types import StructField, StructType

from producers import sources
from producers.model import Part
from replay.content import DATA
from schemas.arrow import arrow_schema
from schemas.contracts import PROVENANCE, load
from stream_jobs.columns import record_type
from stream_jobs.silver.tables import bcb_focus, bcb_ptax, ibge_municipalities, ibge_sidra
from tests.records import RETRIEVED_AT

TABLES = {each.TABLE.dataset: each.TABLE for each in (bcb_focus, bcb_ptax, ibge_municipalities, ibge_sidra)}

GOOD = {
    "bcb_ptax": {
        "currency_code": "USD",
        "quoted_at": datetime(2025, 11, 10, 16, 3, 31, tzinfo=UTC),
        "bulletin_type": "Fechamento",
        "buying_parity": Decimal(1),
        "selling_parity": Decimal(1),
        "buying_rate": Decimal("5.3175"),
        "selling_rate": Decimal("5.3181"),
    },
    "bcb_focus": {
        "resource": "ExpectativasMercadoAnuais",
        "indicator": "IPCA",
        "surveyed_on": date(2025, 11, 7),
        "base_calculation": 0,
        "mean": Decimal("4.2"),
        "median": Decimal("4.2"),
        "standard_deviation": Decimal("0.1"),
        "minimum": Decimal("3.9"),
        "maximum": Decimal("4.6"),
    },
    "ibge_sidra": {
        "table_id": 1737,
        "territory_level": "1",
        "territory_code": "1",
        "variable_code": "63",
        "period_code": "202510",
        "classifications": "",
        "value": Decimal("0.09"),
    },
    "ibge_municipalities": {
        "municipality_code": "2304400",
        "name": "Fortaleza",
        "uf": "CE",
        "latitude_degrees": -3.71664,
        "longitude_degrees": -38.5423,
        "is_capital": True,
    },
}

CASES = [
    ("bcb_ptax", {}, set()),
    ("bcb_ptax", {"currency_code": "dollar"}, {"currency_has_three_letters"}),
    ("bcb_ptax", {"buying_rate": Decimal(0)}, {"rates_are_positive"}),
    ("bcb_ptax", {"buying_rate": Decimal("5.3182")}, {"buying_at_most_selling"}),
    ("bcb_ptax", {"selling_rate": Decimal("5.3175")}, set()),
    ("bcb_ptax", {"buying_parity": Decimal(-1)}, {"parities_are_positive"}),
    ("bcb_ptax", {"selling_rate": None}, {"rates_are_present"}),
    ("bcb_focus", {}, set()),
    ("bcb_focus", {"base_calculation": 2}, {"base_is_30_or_5_days"}),
    ("bcb_focus", {"base_calculation": None}, set()),
    ("bcb_focus", {"minimum": Decimal(5)}, {"minimum_at_most_maximum", "median_between_bounds"}),
    ("bcb_focus", {"median": Decimal("4.605")}, set()),
    ("bcb_focus", {"median": Decimal("4.7")}, {"median_between_bounds"}),
    ("bcb_focus", {"standard_deviation": Decimal("-0.1")}, {"standard_deviation_is_not_negative"}),
    ("bcb_focus", {"median": None}, {"median_is_present"}),
    ("bcb_focus", {"resource": "ExpectativasMercadoSelic", "reference_period": "R2/2022"}, set()),
    ("bcb_focus", {"resource": "ExpectativasMercadoSelic", "reference_period": "R10/2022"}, set()),
    ("bcb_focus", {"resource": "ExpectativasMercadoSelic", "reference_period": "2022"}, {"meeting_is_named"}),
    ("ibge_sidra", {}, set()),
    ("ibge_sidra", {"table_id": 0}, {"table_id_is_positive"}),
    ("ibge_sidra", {"value_symbol": "-"}, {"value_or_symbol"}),
    ("ibge_sidra", {"value": None}, {"value_or_symbol"}),
    ("ibge_sidra", {"value": None, "value_symbol": "..."}, set()),
    ("ibge_sidra", {"value": None, "value_symbol": ".."}, {"value_is_applicable"}),
    ("ibge_sidra", {"value": None, "value_symbol": "?"}, {"symbol_is_known"}),
    ("ibge_sidra", {"territory_level": "6", "territory_code": "23044"}, {"municipality_has_seven_digits"}),
    ("ibge_sidra", {"territory_level": "6", "territory_code": "2304400"}, set()),
    ("ibge_municipalities", {}, set()),
    ("ibge_municipalities", {"municipality_code": "0000000"}, {"code_has_seven_digits"}),
    ("ibge_municipalities", {"municipality_code": "230440"}, {"code_has_seven_digits"}),
    ("ibge_municipalities", {"uf": "Ceará"}, {"uf_has_two_letters"}),
    ("ibge_municipalities", {"latitude_degrees": 37.2}, {"latitude_in_brazil"}),
    ("ibge_municipalities", {"longitude_degrees": 38.5}, {"longitude_in_brazil"}),
    ("ibge_municipalities", {"latitude_degrees": None, "longitude_degrees": None}, set()),
]


def arrow(dataset, rows):
    """Rows under the contract's types; what they do not name is null."""
    return pa.Table.from_pylist(
        rows, pa.schema([field.with_nullable(True) for field in arrow_schema(load(dataset)) if _is_own(field)])
    )


def _is_own(field):
    return field.name not in PROVENANCE


def broken(dataset, rows) -> dict[str, int]:
    """Rule → rows that break it, with DuckDB, as in `verify`."""
    connection = duckdb.connect()
    connection.register("rows", rows)
    counts = {
        each.name: connection.execute(f"SELECT count(*) FROM rows WHERE NOT ({each.sql})").fetchall()[0][0]
        for each in TABLES[dataset].expectations
    }
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize(("dataset", "changes", "rules"), CASES)
def test_a_row_breaks_the_rules_that_it_should(dataset, changes, rules):
    assert broken(dataset, arrow(dataset, [GOOD[dataset] | changes])).keys() == rules


@pytest.mark.parametrize("dataset", TABLES)
def test_every_rule_is_broken_by_some_case(dataset):
    """A rule that nothing breaks would protect nothing."""
    found = {rule for name, _, rules in CASES if name == dataset for rule in rules}
    assert found == {each.name for each in TABLES[dataset].expectations}


@pytest.mark.parametrize("dataset", TABLES)
def test_silver_is_pruned_by_a_column_of_the_key(dataset):
    assert TABLES[dataset].prune_by in load(dataset).key


REAL = [
    ("bcb_ptax", "ptax/subset_ptax_usd_20251111.json", "USD", {}),
    ("ibge_sidra", "sidra/ipca_20251111.json", "1737", {}),
    ("ibge_sidra", "sidra/subset_ipca_table1737_special_values.json", "1737", {}),
    ("ibge_sidra", "sidra/pib_annual_20251111.json", "5938", {}),
    ("ibge_sidra", "sidra/unemployment_20251111.json", "6381", {}),
    ("ibge_sidra", "sidra/pib_quarterly_20251111.json", "5932", {"value_is_applicable": 42}),  # the wrong question
    ("ibge_municipalities", "municipalities/municipios.csv", "municipios", {}),
]


@pytest.mark.parametrize(("dataset", "file", "resource", "rules"), REAL, ids=[each[1] for each in REAL])
def test_real_rows_break_no_rule(dataset, file, resource, rules):
    part = Part(resource, "k", "n", RETRIEVED_AT)
    (parsed,) = sources.load(dataset).parse([(DATA / file).read_bytes()], part)
    assert broken(dataset, pa.Table.from_batches([parsed.records[dataset]])) == rules


def test_spark_decides_every_case_as_duckdb_does(spark):
    """Silver sets rows aside with Spark, `verify` counts them with DuckDB: the same words must mean the same."""
    for dataset, table in TABLES.items():
        cases = [(changes, rules) for name, changes, rules in CASES if name == dataset]
        types = record_type(load(dataset))
        rows = [tuple((GOOD[dataset] | changes).get(name) for name in types.names) for changes, _ in cases]
        frame = spark.createDataFrame(rows, StructType([StructField(each.name, each.dataType) for each in types]))
        names = [each.name for each in table.expectations]
        judged = frame.selectExpr(*(f"coalesce(NOT ({each.sql}), false) AS {each.name}" for each in table.expectations))
        found = [{name for name in names if row[name]} for row in judged.collect()]
        assert found == [rules for _, rules in cases], dataset

"""The readers of the old system find their three tables and 31 columns by name, in order, with measured values."""

from datetime import date

import pytest

from benchmarks import legacy_system
from migration import views
from migration.inspect import inspect
from tests.controls import differs
from tests.migration.measured_days import DAYS, FIRST, day, lake_of_days


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """The measured days, and three migrated rows in two files, of which one is visible."""
    made = lake_of_days()
    file = legacy_system.write_sqlite(tmp_path_factory.mktemp("legacy") / "legacy.db", 100)
    mapping = inspect(file, legacy_system.NAME).mapping
    made.connection.execute("CREATE SCHEMA silver")
    columns = ", ".join(f'NULL::{_SQL.get(each.type, "DOUBLE")} AS "{each.field}"' for each in mapping.columns)
    table = f"silver.{mapping.dataset}"
    made.connection.execute(f"CREATE TABLE {table} AS SELECT {columns}, ''::VARCHAR AS legacy_file WHERE false")
    for item, on, of in ((1, FIRST, "a.db"), (2, date(2024, 1, 25), "a.db"), (3, FIRST, "taken back.db")):
        made.connection.execute(
            f'INSERT INTO {table} ("date", item_id, quantity, legacy_file) VALUES (?, ?, ?, ?)', [on, item, 5, of]
        )
    views.register(made, [(mapping, ["a.db"])])
    return made


_SQL = {"day": "DATE", "int": "BIGINT", "text": "VARCHAR"}


def columns(lake, view: str) -> list[str]:
    return lake.connection.sql(f"SELECT * FROM {view}").columns


@pytest.mark.parametrize(("name", "declared", "_"), legacy_system.SMALL)
def test_each_small_table_has_its_columns_in_order(lake, name, declared, _):
    assert columns(lake, name) == [column.split()[0] for column in declared]
    assert lake.value(f"SELECT count(*) FROM {name}") == DAYS


def test_the_31_columns_stand_in_order_with_the_items_frozen_and_the_factors_measured(lake):
    assert columns(lake, "unified_dataset_with_factors") == [name for name, _ in legacy_system.COLUMNS]
    rows = {row["item_id"]: row for row in lake.rows("SELECT * FROM unified_dataset_with_factors")}
    assert rows.keys() == {1, 2}
    measured = day((date(2024, 1, 25) - FIRST).days)
    assert rows[2]["precipitation"] == measured["rain_mm"]
    assert rows[2]["5g_coverage"] == 1
    assert rows[2]["sla_renewal_period"] == 1


def test_control_a_file_that_was_taken_back_is_not_shown(lake, control):
    def shown(where: str) -> list[str]:
        return differs(lake.value(f"SELECT count(*) FROM {where}"), 2)

    control.holds(shown, "legacy.unified_dataset_with_factors")
    control.objects(shown, "silver.legacy_unified_dataset_with_factors", damage="3 instead of 2")


def test_the_measured_values_are_those_of_gold_in_the_legacys_units(lake):
    row = lake.rows("SELECT * FROM ClimaSalvador ORDER BY data_referencia")[1]
    measured = day(1)
    assert row["temperatura_maxima"] == measured["temperature_max_celsius"]
    assert row["velocidade_vento_kmh"] == 9.0
    assert lake.value("SELECT DISTINCT municipios_5g FROM Expansao5G") == 2
    assert lake.value("SELECT count(indice_consumo) FROM IndicadoresEconomicos") == 0

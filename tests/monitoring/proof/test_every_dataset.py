"""Silver's checks on every contract there is: they hold for fields of every type, and find a changed value."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from monitoring.proof.checks import silver
from schemas.arrow import arrow_schema
from schemas.contracts import datasets, load
from tests.monitoring.kit import BEGIN, Kit
from tests.samples import changed, sample

CHECKS = {"batch": silver.check_batch, "keys": silver.check_keys}


def findings(kit: Kit) -> dict[str, set[str]]:
    """Check → where it found something; checks that hold are left out."""
    found = {name: {each.where for each in check(kit.evidence()).findings} for name, check in CHECKS.items()}
    return {name: where for name, where in found.items() if where}


def lake_of(dataset: str, root: Any, keys: int = 3) -> Kit:
    """A row of each key, one of them published again as it was and one with another value."""
    kit, contract = Kit(root), load(dataset)
    own = {"value": Decimal(99)} if dataset == "bcb_sgs" else {}  # the kit's one rule
    rows = [sample(contract, number, **own) for number in range(1, keys + 1)]
    kit.publish(dataset, *rows)
    again = changed(contract, rows[0])
    kit.publish(dataset, again, rows[1], kafka_at=BEGIN + timedelta(hours=1))
    return kit.write()


def other(value: Any, kind: pa.DataType) -> Any:
    """A value that differs as little as the type allows."""
    if pa.types.is_map(kind):
        (first, text), *rest = value
        return [(first, text + " "), *rest]
    if pa.types.is_boolean(kind):
        return not value
    if pa.types.is_decimal(kind):
        sign, digits, exponent = value.as_tuple()
        return Decimal((sign, (*digits[:-1], 9 - digits[-1]), exponent))
    if pa.types.is_temporal(kind):
        return value + timedelta(days=1)
    return value + type(value)(" " if pa.types.is_string(kind) else 1)


def rewrite(kit: Kit, table: str, change: Any) -> None:
    """Put other rows into a silver table."""
    path = str(kit.path(table))
    held = DeltaTable(path).to_pyarrow_table()
    write_deltalake(path, pa.Table.from_pylist(change(held.to_pylist()), held.schema), mode="overwrite")


@pytest.mark.parametrize("dataset", sorted(datasets()))
def test_the_checks_hold_on_rows_of_every_dataset(dataset, tmp_path):
    assert findings(lake_of(dataset, tmp_path)) == {}


@pytest.mark.parametrize("dataset", sorted(datasets()))
def test_the_smallest_change_of_any_value_is_found(dataset, tmp_path):
    """Every field is changed in a row of its own, and every such row is found."""
    contract = load(dataset)
    fields = contract.value_fields
    kit = lake_of(dataset, tmp_path, keys=2 * len(fields) + 3)  # a field may be null in every third row
    for check, table, said in (
        ("keys", f"silver.{dataset}", "rows are not those of the newest of the revisions"),
        ("batch", f"silver.{dataset}_revisions", "rows of the batch over bronze are missing or different"),
    ):
        path = str(kit.path(table))
        held = DeltaTable(path).to_pyarrow_table()
        rows = held.to_pylist()
        unchanged = list(rows)
        for field in fields:
            row = next(row for row in unchanged if row[field] is not None)
            unchanged.remove(row)
            row[field] = other(row[field], arrow_schema(contract).field(field).type)
        write_deltalake(path, pa.Table.from_pylist(rows, held.schema), mode="overwrite")
        found = [each.what for each in CHECKS[check](kit.evidence()).findings if each.where == table]
        assert f"{len(fields)} {said}" in found
        write_deltalake(path, held, mode="overwrite")
    assert findings(kit) == {}


def test_the_entries_of_a_map_in_another_order_are_the_same_value(tmp_path, monkeypatch):
    """Spark keeps a decoded map's entries in the order of a hash table, which may be another one tomorrow."""
    kit = lake_of("anatel_base_stations", tmp_path)

    def turned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row | {"attributes": row["attributes"][::-1]} for row in rows]

    rewrite(kit, "silver.anatel_base_stations", turned)
    assert findings(kit) == {}

    # Negative control: compared as they stand, they differ.
    monkeypatch.setattr(silver, "_comparable", lambda _, field: f'"{field}"')
    assert findings(kit) == {"keys": {"silver.anatel_base_stations"}}

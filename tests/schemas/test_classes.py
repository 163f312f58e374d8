"""S28: every column has a class of personal data, and no personal column reaches gold."""

import pytest

from schemas.classes import ORGANISATION, PERSONAL, PUBLIC, TECHNICAL, by_column, strictest
from schemas.contracts import Contract, load, load_all, parse
from sinks import quarantine
from stream_jobs.bronze.job import bronze_contracts
from stream_jobs.columns import bronze_classes, bronze_schema, silver_classes, silver_schema
from stream_jobs.gold.model import GoldTable, discover
from tests.controls import complaint


def unclassed(name: str, columns: list[str], classes: dict[str, str]) -> list[str]:
    """The oracle: columns without a class, and classes of columns that are not there."""
    lacking = [f"{name}.{column} has no class" for column in columns if column not in classes]
    return lacking + [
        f"{name} has no column {column}, which has a class" for column in classes if column not in columns
    ]


def of_contract(contract: Contract) -> list[str]:
    return unclassed(contract.name, list(contract.fields), dict(contract.classes))


def of_gold(name: str, columns: list[str], classes: dict[str, str]) -> list[str]:
    """The same, and personal columns."""
    personal = [f"gold.{name}.{column} is personal" for column, kind in classes.items() if kind == PERSONAL]
    return unclassed(f"gold.{name}", columns, classes) + personal


@pytest.mark.parametrize("contract", load_all().values(), ids=lambda contract: contract.name)
def test_every_field_of_every_contract_has_a_class(contract):
    assert of_contract(contract) == []


def test_every_column_of_bronze_silver_and_gold_has_a_class_and_none_of_gold_is_personal():
    wrong = []
    for contract in bronze_contracts():
        wrong += unclassed(contract.name, bronze_schema(contract).names, bronze_classes(contract))
        if contract.is_dataset:
            wrong += unclassed(contract.name, silver_schema(contract, revisions=True).names, silver_classes(contract))
    wrong += unclassed("quarantine", quarantine.SCHEMA.names, quarantine.CLASSES)
    for table in discover().values():
        wrong += of_gold(table.name, [column.name for column in table.columns], by_column(table.classes))
    assert wrong == []


def test_a_column_that_gold_passes_on_has_the_class_that_its_contract_gives_it():
    wrong = []
    for table in discover().values():
        inputs = {each.dataset for each in table.inputs} if isinstance(table, GoldTable) else set()
        of_table = by_column(table.classes)
        for column in table.columns:
            for dataset in inputs & set(column.source.split(", ")):
                kind = load(dataset).classes.get(column.name)
                if kind is not None and kind != of_table[column.name]:
                    wrong.append(f"{table.name}.{column.name}: {of_table[column.name]}, in {dataset} {kind}")
    assert wrong == []


def test_what_is_kept_unread_is_as_personal_as_its_strictest_field():
    stations, rejects = load("anatel_base_stations"), load("ingest.rejects")
    assert bronze_classes(stations) | {"key": ORGANISATION, "record": PERSONAL, "value": PERSONAL} == bronze_classes(
        stations
    )
    assert bronze_classes(rejects)["record"] == PERSONAL
    assert bronze_classes(load("bcb_sgs"))["record"] == PUBLIC
    assert strictest([]) == TECHNICAL


def test_control_a_column_that_nobody_classed_is_found(control):
    text = """{"type": "record", "name": "some", "topic": "some.v1", "key": ["code"], "partitions": 1, "classes": {
        "public": ["code"%s]}, "fields": [{"name": "code", "type": "string"}, {"name": "owner", "type": "string"}]}"""
    control.holds(of_contract, parse("some", text % ', "owner"'))
    control.objects(of_contract, parse("some", text % ""), damage="some.owner has no class")
    control.holds(of_gold, "some", ["code"], {"code": PUBLIC})
    control.objects(of_gold, "some", ["code"], {"code": PERSONAL}, damage="gold.some.code is personal")


def test_control_a_class_that_nobody_knows_and_a_column_with_two_are_refused(control):
    def reading(classes: dict[str, tuple[str, ...]]) -> list[str]:
        return complaint(lambda: by_column(classes))

    control.holds(reading, {PUBLIC: ("a",), TECHNICAL: ("b",)})
    control.objects(reading, {"harmless": ("a",)}, damage="no class 'harmless'")
    control.objects(reading, {PUBLIC: ("a",), PERSONAL: ("a",)}, damage="a has two classes: public and personal")

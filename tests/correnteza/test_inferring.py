"""A schema for JSON objects from a sample: the narrowest types that fit, and a contract that reads the sample again."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correnteza import inferring
from foundation.errors import UsageError
from schemas.contracts import parse
from stream_jobs.bronze import json_values

UUID = {"type": "string", "logicalType": "uuid"}
DAY = {"type": "int", "logicalType": "date"}
INSTANT = {"type": "long", "logicalType": "timestamp-micros"}


def decimal(scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": scale}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1, 2**40], "long"),
        ([1, Decimal("2.50")], decimal(2)),
        ([2**70], decimal(0)),
        ([Decimal("1e-50")], "double"),
        ([True, False], "boolean"),
        (["x", "2024-05-01"], "string"),
        (["2024-05-01", "2023-02-28"], DAY),
        (["2024-05-01T12:00:00Z", "2024-05-01T12:00:00.5+02:00"], INSTANT),
        (["0a1b2c3d-0000-4000-8000-000000000001"], UUID),
        ([None, 1], ["null", "long"]),
        ([None], ["null", "string"]),
        ([[1], []], {"type": "array", "items": "long"}),
        ([[None, "a"]], {"type": "array", "items": ["null", "string"]}),
        ([1, "a"], ["long", "string"]),
    ],
)
def test_the_narrowest_type_that_all_values_fit(values, found):
    [field] = inferring.record("shop", [{"field": value} for value in values])["fields"]
    assert field == {"name": "field", "type": found}


def test_what_is_missing_somewhere_may_be_null_and_odd_names_become_aliases():
    schema = inferring.record("shop.orders", [{"order-id": 1, "2nd": {"a": 1}}, {"order-id": 2}])
    assert schema["name"] == "shop_orders"
    first, second = schema["fields"]
    assert first == {"name": "order_id", "type": "long", "aliases": ["order-id"]}
    assert (second["name"], second["aliases"], second["default"], second["type"][0]) == ("f_2nd", ["2nd"], None, "null")


def contract_of(objects: list[dict[str, Any]]) -> str:
    schema = inferring.record("shop", objects)
    words = {"origin": "external", "topic": "shop", "key": ["id"], "prune_by": "id", "known_from": "kafka"}
    classes = {"personal": [field["name"] for field in schema["fields"]]}
    return json.dumps({**schema, **words, "value_format": "json", "classes": classes})


def test_a_field_of_several_types_is_named_when_the_contract_is_read():
    with pytest.raises(UsageError, match="field either: a union of several types"):
        parse("shop", contract_of([{"id": 1, "either": 1}, {"id": 2, "either": "x"}]))


def unread(objects: list[dict[str, Any]], of: list[dict[str, Any]]) -> list[str]:
    """Why objects are not read under the contract that a sample proposes."""
    contract = parse("shop", contract_of(of))
    fields = json.dumps([{**each, "type": contract.types[each["name"]]} for each in contract.schema["fields"]])
    read = [json_values.read(fields, json.dumps(each).encode()) for each in objects]
    return [f"not read: {each.problem}" for each in read if each is not None and each.status != "ok"]


LEAVES = st.booleans() | st.integers() | st.text() | st.dates().map(str) | st.uuids().map(str) | st.none()


@given(
    st.lists(st.fixed_dictionaries({"id": st.integers(0, 9)}, optional={"a": LEAVES, "b": LEAVES}), min_size=1),
)
def test_the_proposal_reads_the_sample_or_names_a_field(objects):
    try:
        found = unread(objects, objects)
    except UsageError as error:
        found = [] if "a union of several types" in str(error) else [str(error)]
    assert found == []


def test_control_another_sample_is_not_read(control):
    objects = [{"id": 1, "on": "2024-05-01"}]
    control.holds(unread, objects, objects)
    control.objects(unread, [{"id": 1, "on": "soon"}], objects, damage="not read: on: a text that is no day")

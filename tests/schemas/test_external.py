"""A contract of a topic that others own: what it may declare, and what is refused by the field's name."""

import json
from copy import deepcopy
from typing import Any

import pytest

from foundation.errors import UsageError
from schemas import contracts
from schemas.avro_types import inlined
from schemas.contracts import parse
from tests.foreign import ORDER, contract

BASE = contract("shop.orders")


def with_field(kind: Any, name: str = "odd", **more: Any) -> dict[str, Any]:
    found = deepcopy(BASE)
    found["fields"].append({"name": name, "type": kind, **more})
    found["classes"]["personal"].append(name)
    return found


def refused(content: Any) -> list[str]:
    """Why a contract is refused."""
    try:
        parse("shop_orders", json.dumps(content))
    except UsageError as error:
        return [str(error)]
    return []


NESTED = {"type": "record", "name": "Part", "fields": [{"name": "count", "type": ["int", "string"]}]}
REFUSED = {
    "a union of several types": (with_field(["null", "int", "string"]), "field odd: a union"),
    "one inside of a record": (with_field(NESTED), "field odd.count: a union"),
    "one inside of an array": (with_field({"type": "array", "items": NESTED}), "field odd[].count: a union"),
    "a time of day": (with_field({"type": "int", "logicalType": "time-millis"}), "field odd: time-millis"),
    "nanoseconds": (with_field({"type": "long", "logicalType": "timestamp-nanos"}), "field odd: timestamp-nanos"),
    "a local instant": (
        with_field({"type": "long", "logicalType": "local-timestamp-micros"}),
        "field odd: local-timestamp-micros",
    ),
    "too many digits": (
        with_field({"type": "bytes", "logicalType": "decimal", "precision": 39, "scale": 0}),
        "field odd: decimal(39, 0)",
    ),
    "a recursive record": (
        with_field({"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}),
        "Node is recursive",
    ),
    "a map inside of an array": (
        with_field({"type": "array", "items": {"type": "map", "values": "string"}}),
        "field odd[]: a map inside",
    ),
    "a map of what may be null": (with_field({"type": "map", "values": ["null", "int"]}), "field odd: a map whose"),
    "a column of silver": (with_field("string", "chunk_id"), "field chunk_id: silver has a column of this name"),
    "names that differ by capitals": (with_field("string", "ORDERID"), "field ORDERID: another name"),
    "a key of floats": ({**BASE, "key": ["orderId", "weight"]}, "field weight: a key is made of"),
    "a key that is no field": ({**BASE, "key": ["orderId", "nothing"]}, "key: there is no field nothing"),
    "pruning by a value": ({**BASE, "prune_by": "status"}, "prune_by status: it must be a field of the key"),
    "a clock that is no instant": ({**BASE, "known_from": "part"}, "known_from part: no field of a timestamp"),
    "a clock that may be null": ({**BASE, "known_from": "due_on"}, "known_from due_on: no field of a timestamp"),
    "no clock": ({name: value for name, value in BASE.items() if name != "known_from"}, "it lacks 'known_from'"),
    "keys of another kind": ({**BASE, "key_format": "xml"}, "key_format xml: one of text, json, avro"),
    "values in Protobuf": ({**BASE, "value_format": "protobuf"}, "value_format protobuf: one of avro, json"),
    "a default that no JSON value has": (
        {**with_field("bytes", default="\u00ff"), "value_format": "json"},
        "field odd: in JSON a default is null, empty, or of",
    ),
    "such a default inside of an array": (
        {
            **with_field(
                {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Day",
                        "fields": [{"name": "on", "type": {"type": "int", "logicalType": "date"}, "default": 0}],
                    },
                }
            ),
            "value_format": "json",
        },
        "field odd.on: in JSON a default is",
    ),
    "a field without a class": (
        {**BASE, "classes": {"public": ["orderId"]}},
        "field part: classes does not say what it says about people",
    ),
    "an action that there is not": (
        {**BASE, "expectations": [{"name": "one", "sql": "true", "action": "ignore"}]},
        "expectation one: a name",
    ),
    "a word that there is not": ({**BASE, "partitons": 2}, "partitons: no such word"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_kept_is_refused_by_name(what):
    content, why = REFUSED[what]
    [said] = refused(content)
    assert why in said


@pytest.mark.parametrize("value_format", ["avro", "json"])
@pytest.mark.parametrize("key_format", ["text", "json", "avro"])
def test_every_form_of_keys_goes_with_every_form_of_values(key_format, value_format):
    content = {**with_field(["null", "string"], default=None), "key_format": key_format, "value_format": value_format}
    assert refused(content) == []


def test_control_the_same_contract_without_it_is_read(control):
    control.holds(refused, BASE)
    control.objects(refused, with_field(["null", "int", "string"]), damage="field odd: a union of several types")


def test_a_topic_of_others_and_its_subject_have_no_prefix_of_ours():
    shop = parse("shop_orders", json.dumps(BASE))
    ours = contracts.load("bcb_sgs")
    assert (shop.topic_at("test."), shop.subject_at("test.")) == ("shop.orders", "shop.orders-value")
    assert (ours.topic_at("test."), ours.subject_at("test.")) == ("test.bcb_sgs.v1", "test.bcb_sgs.v1-value")


def test_a_name_used_twice_stands_in_full():
    types = inlined(ORDER)
    assert types["shipped"] == ["null", types["billed"]]
    assert types["lines"]["items"]["fields"][0]["type"] == "string"


def test_the_name_of_a_contract_of_the_product_is_refused(tmp_path):
    (tmp_path / "bcb_sgs.avsc").write_text(json.dumps(BASE))
    contracts.use_also(tmp_path)
    try:
        with pytest.raises(UsageError, match="a contract of this name is part of the product"):
            contracts.load("bcb_sgs")
    finally:
        contracts.use_also(tmp_path / "none")

"""JSON values under a declared schema: what fits keeps every digit, and what does not is named by its field."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.proof.checks import json_records
from schemas.contracts import Contract, parse
from stream_jobs.bronze import json_values
from tests.foreign import ORDER, contract

SHOP: Contract = parse("shop_orders", json.dumps(contract("shop.orders", value_format="json")))
FIELDS = json.dumps([{**each, "type": SHOP.types[each["name"]]} for each in SHOP.schema["fields"]])
FITS: dict[str, Any] = {
    "orderId": "0a1b2c3d-0000-4000-8000-000000000001",
    "part": 1,
    "status": "NEW",
    "billed": {"city": "São Paulo"},
    "shipped": {"zip": "40000", "city": None},
    "lines": [{"sku": "a", "price": "12.50", "at": "2024-05-01T12:00:00.123Z"}],
    "tags": ["x", None],
    "total": -1234567890,
    "weight": 0.1,
    "share": None,
    "updated": 1_714_608_000_000,
    "due_on": "2024-06-01",
    "digest": base64.b64encode(b"\x00\x01\xfe\xff").decode(),
    "labels": {"b": "2", "a": "1"},
    "topic": "web",
}
"""An order; the field `topic` is declared as `channel`, with this alias."""


def read(value: Any) -> json_values.Read:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    found = json_values.read(FIELDS, data)
    assert found is not None
    return found


def problems(value: Any) -> list[str]:
    """Why a value does not decode."""
    found = read(value)
    assert (found.record is None) == (found.status != "ok")
    return [found.problem] if found.problem else []


def test_a_value_that_fits_becomes_columns_of_the_declared_types():
    found = read(FITS)
    assert (found.status, found.problem, found.is_whole) == ("ok", None, True)
    record = dict(zip(SHOP.fields, found.record or (), strict=True))
    assert record["billed"] == ("São Paulo", None), "a default fills what is missing"
    assert record["lines"] == [("a", Decimal("12.5"), datetime(2024, 5, 1, 12, 0, 0, 123000, tzinfo=UTC))]
    assert (record["total"], record["due_on"]) == (Decimal(-1234567890), date(2024, 6, 1))
    assert (record["updated"], record["digest"]) == (datetime(2024, 5, 2, tzinfo=UTC), b"\x00\x01\xfe\xff")
    assert record["channel"] == "web"


def test_framing_is_taken_off_and_the_bytes_of_a_field_without_a_column_are_kept():
    framed = read(b"\x00\x00\x00\x00\x07" + json.dumps(FITS).encode())
    assert framed == read(FITS)
    assert [read({**FITS, "new": 1}).is_whole, read({**FITS, "billed": {"new": 1}}).is_whole] == [False, False]
    assert json_values.read(FIELDS, None) is None


MISFITS: dict[str, tuple[Mapping[str, Any], str]] = {
    "a text for a number": ({"part": "1"}, "part: a text instead of a whole number"),
    "a fraction": ({"part": 1.0}, "part: a number with a fraction instead of a whole number"),
    "a truth value for a number": ({"part": True}, "part: true or false instead of a whole number"),
    "a number of 33 bits": ({"part": 2**31}, "part: a number of more than 32 bits"),
    "a number for a text": ({"orderId": 7}, "orderId: a whole number instead of a text"),
    "no uuid": ({"orderId": "7"}, "orderId: a text that is no uuid"),
    "no symbol": ({"status": "new"}, "status: a text that is none of the symbols"),
    "null": ({"part": None}, "part: null, and it is never null"),
    "null in a part": ({"lines": [{"sku": None}]}, "lines[].sku: null, and it is never null"),
    "a missing part": ({"lines": [{"sku": "a", "price": 1}]}, "lines[].at: it is missing, and has no default"),
    "too many digits after the point": ({"total": "1.005"}, "total: a number with more than 2 digits after"),
    "too many digits before it": ({"total": 10**10}, "total: a number with more than 10 digits before"),
    "a huge exponent": ({"total": "1e999999999"}, "total: a number with more than 10 digits before"),
    "a float that is too large": ({"weight": 1e39}, "weight: a number that is too large"),
    "no day": ({"due_on": "2024-02-30"}, "due_on: no day of the years"),
    "a day of another form": ({"due_on": "1/2/2024"}, "due_on: a text that is no day"),
    "an instant without a zone": ({"updated": "2024-05-01T12:00:00"}, "updated: a text that is no instant"),
    "microseconds in a field of milliseconds": ({"updated": "2024-05-01T12:00:00.123456Z"}, "updated: an instant with"),
    "an instant beyond the calendar": ({"updated": 10**18}, "updated: no instant of the years"),
    "no base64": ({"digest": "é"}, "digest: a text that is no base64"),
    "too few bytes": ({"digest": "AAE="}, "digest: not 4 bytes"),
    "an array for an object": ({"billed": []}, "billed: an array instead of an object"),
    "a field under two names": ({"channel": "web"}, "channel: it is there as channel and as topic"),
    "half a surrogate pair": ({"topic": "\ud800"}, "channel: half of a surrogate pair"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_named_by_its_field(case):
    changes, said = MISFITS[case]
    [problem] = problems({**FITS, **changes})
    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("value", "status", "said"),
    [
        (b"", "not_json", "no JSON"),
        (b"hello", "not_json", "no JSON"),
        (b'{"a": NaN}', "not_json", "no JSON"),
        (b'{"a": 1} x', "not_json", "no JSON"),
        ('{"a": "é"}'.encode("latin-1"), "not_json", "no JSON"),
        (b"[" * 100_000, "not_json", "no JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not_json", "no JSON"),
        (b"\x00\x00\x00\x00\x07\x02a", "not_json", "no JSON"),
        (b"[1]", "corrupt", "the value: an array instead of an object"),
        (b'{"part": 1, "part": 2}', "corrupt", "the value: an object has a name twice"),
    ],
    ids=["empty", "text", "NaN", "a tail", "Latin-1", "deep", "long", "Avro", "an array", "a name twice"],
)
def test_bytes_that_are_no_value_and_values_that_do_not_fit_are_two_errors(value, status, said):
    found = read(value)
    assert (found.status, found.record) == (status, None)
    assert (found.problem or "").startswith(said)


@pytest.mark.parametrize(
    "changes", [{"part": "1"}, {"part": True}, {"part": None}, {"total": "1.005"}, {"status": "new"}, {"billed": []}]
)
def test_the_reader_of_verify_takes_nothing_for_another_type_either(changes):
    with pytest.raises((ValueError, ArithmeticError)):
        json_records.record(SHOP, json.dumps({**FITS, **changes}).encode())


def test_control_the_same_value_without_the_misfit_is_read(control):
    control.holds(problems, FITS)
    control.objects(problems, {**FITS, "part": "1"}, damage="part: a text instead of a whole number")


@given(st.binary())
def test_hostile_bytes_raise_nothing(value):
    problems(value)


@given(
    st.dictionaries(
        st.sampled_from([each["name"] for each in ORDER["fields"]]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=5,
        ),
    )
)
def test_any_json_in_any_field_is_read_or_named(changes):
    found = read({**FITS, **changes})
    assert found.status in ("ok", "corrupt", "not_json")


@given(st.decimals(min_value=-(10**10) + 1, max_value=10**10 - 1, places=2), st.datetimes(timezones=st.just(UTC)))
def test_what_is_read_is_what_was_written_and_both_readers_agree(total, at):
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    value = json.dumps({**FITS, "total": str(total), "updated": at.isoformat()}).encode()
    record = dict(zip(SHOP.fields, read(value).record or (), strict=True))
    assert (record["total"], record["updated"]) == (total, at)
    second, names = json_records.record(SHOP, value)
    assert second["total"] == total
    assert second["updated"] == (at - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
    assert "topic" in names

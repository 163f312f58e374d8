"""JSON bodies: numbers as the source wrote them, text that can be published, items in their places."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidContent
from producers.formats import json_rows
from producers.model import BadValueError, RejectReason


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0.1", "0.1"),
        ("5.3000", "5.3000"),
        ("0.0000000076183", "0.0000000076183"),
        ("-12", "-12"),
        ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
        ("4.0E-4", "0.00040"),
        ("-1.5e+3", "-1500"),
        ("1E400", "1E400"),  # left as it is: no column holds it, and a reader of decimals refuses it
        ("NaN", None),  # how many a writer puts a number that it does not have
        ("Infinity", "Infinity"),  # a fault, and no missing value: a reader of decimals refuses it
        ("-Infinity", "-Infinity"),
    ],
)
def test_a_number_is_kept_as_text_without_an_exponent(written, kept):
    assert json_rows.load(f"[{written}]".encode()) == [kept]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=13, min_value=-(10**20), max_value=10**20))
def test_no_digit_of_a_number_is_lost(number):
    (kept,) = json_rows.load(f"[{number:f}]".encode())
    assert Decimal(kept) == number


def test_a_float_would_have_lost_digits():
    """The control: what the standard reader makes of the same number."""
    written = "123456789012345678.1234567"
    assert Decimal(str(json.loads(written))) != Decimal(written)
    assert json_rows.load(written.encode()) == written


@pytest.mark.parametrize(
    "body", [b"", b"<html></html>", b"{", b"\xff\xfe", b"[" * 100_000, b"[1,]", b'[{"a":1,"b":2,"a":1}]']
)
def test_what_is_no_json_is_refused(body):
    with pytest.raises(InvalidContent):
        json_rows.load(body)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["a"], RejectReason.MALFORMED_ROW),
        ({"a": "b"}, RejectReason.MALFORMED_ROW),
        (True, RejectReason.MALFORMED_ROW),
        ("x" * (json_rows.MAX_TEXT + 1), RejectReason.ROW_TOO_LONG),
        ("\ud83d", RejectReason.BAD_ENCODING),
    ],
)
def test_a_field_that_cannot_be_published_as_text_is_refused(value, reason):
    with pytest.raises(BadValueError) as refusal:
        json_rows.text({"field": value}, "field")
    assert refusal.value.reason is reason


def test_an_absent_field_a_null_and_a_blank_are_the_same():
    assert [json_rows.text(item, "a") for item in ({}, {"a": None}, {"a": ""})] == ["", "", ""]
    for item in ({}, {"a": None}, {"a": "  "}):
        with pytest.raises(BadValueError, match="a is blank"):
            json_rows.required_text(item, "a")


def items_of(body):
    return json_rows.load(body)["value"]


@pytest.mark.parametrize(
    ("body", "repeats"),
    [
        (b'{"value":[{"a":1,"b":"x"},{"a":2,"b":"y"}]}', True),
        (b'{"value":[{"b":"y","a":2}]}', True),
        (b'{"value":[]}', True),
        (b'{"value":[{"a":2,"b":"z"}]}', False),
        (b'{"value":[{"a":1,"b":"x"},{"a":3,"b":"x"}]}', False),
        (b"<html>", False),
    ],
)
def test_a_body_repeats_another_when_it_has_nothing_that_the_other_lacks(body, repeats):
    former = b'{"value":[{"a":1,"b":"x"},{"a":2,"b":"y"}]}'
    assert json_rows.adds_nothing(items_of)(former, body) is repeats


def test_an_item_nested_deeply_is_compared_and_shown_without_an_error():
    deep = b'{"value":[' + b"[" * 900 + b"]" * 900 + b"]}"
    assert json_rows.adds_nothing(items_of)(deep, deep)

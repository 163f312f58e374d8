"""Every text of a legacy column becomes the value that it says, to the last digit, or a reject."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.legacy import copy_text
from producers.legacy.mapping import Column, Mapping
from producers.legacy.values import canonical, reader
from producers.model import BadValueError
from tests.controls import differs


def read(type_: str, text: str, *forms: str, nulls: tuple[str, ...] = ("",)):
    column = Column(name="c", field="c", type=type_, forms=forms, nulls=nulls)
    mapping = Mapping(dataset="legacy_t", name="t", kind="csv", columns=(column,), time_zone="America/Bahia")
    return reader(column, mapping)(text)


@pytest.mark.parametrize(
    ("type_", "forms", "text", "value"),
    [
        ("int", (), "9007199254740993", 9007199254740993),
        ("int", (), " 12 ", 12),
        ("int", (), "7.0", 7),
        ("int", ("plain", "brazilian"), "1.234", None),
        ("int", ("brazilian",), "1.234", 1234),
        ("real", (), "5.123456789012345", 5.123456789012345),
        ("real", (), "1e-05", 1e-05),
        ("decimal(18,2)", ("plain", "brazilian"), "1.234,56", Decimal("1234.56")),
        ("decimal(18,2)", ("plain", "brazilian"), "1234.5", Decimal("1234.50")),
        ("decimal(18,2)", (), "-0.00", Decimal("0.00")),
        (
            "decimal(38,2)",
            (),
            "123456789012345678901234567890123456.78",
            Decimal("123456789012345678901234567890123456.78"),
        ),
        ("decimal(5,0)", (), "1.2e4", Decimal("12000")),
        ("day", ("iso", "brazilian"), "31/12/2023", date(2023, 12, 31)),
        ("day", ("iso", "epoch_seconds"), "1703980800", date(2023, 12, 31)),
        ("day", (), "2023-12-31 00:00:00", date(2023, 12, 31)),
        ("instant", (), "2023-12-31 21:30:00", datetime(2024, 1, 1, 0, 30, tzinfo=UTC)),
        ("instant", (), "2023-12-31T21:30:00Z", datetime(2023, 12, 31, 21, 30, tzinfo=UTC)),
        ("boolean", (), "True", True),
        ("text", (), " 007 ", " 007 "),
        ("text", (), "", None),
    ],
)
def test_a_text_is_the_value_that_it_says(type_, forms, text, value):
    if value is None and type_ == "int":
        with pytest.raises(BadValueError, match="not a whole number"):
            read(type_, text, *forms)
    else:
        assert read(type_, text, *forms) == value


@pytest.mark.parametrize(
    ("type_", "text", "why"),
    [
        ("int", "doze", "not a number"),
        ("int", "7.5", "not a whole number"),
        ("real", "0.12345678901234567890123", "a double does not hold every digit"),
        ("real", "nan", "not a number"),
        ("decimal(6,2)", "1.005", "more than 2 decimals"),
        ("decimal(6,2)", "12345", "more than 4 digits before the point"),
        ("decimal(6,2)", "1e999", "more than 4 digits before the point"),
        ("day", "2023-02-30", "no such day"),
        ("day", "31/12/2023", "not a date"),
        ("day", "2023-12-31 10:00", "a day with a time of day"),
        ("boolean", "2", "neither true nor false"),
    ],
)
def test_a_text_that_the_type_does_not_hold_is_refused_with_its_reason(type_, text, why):
    with pytest.raises(BadValueError, match=why):
        read(type_, text)


def test_control_a_double_that_loses_a_digit_would_be_seen(control):
    """The check is on the digits: a reader that rounds, as `float` does, gives another text."""
    text = "0.1234567890123456789"

    def kept(value: object) -> list[str]:
        return differs(canonical(value), text)

    control.holds(kept, read("decimal(38,20)", text))
    control.objects(kept, float(text), damage="0.12345678901234568")


@given(st.integers(-(10**18), 10**18), st.integers(0, 12))
def test_a_decimal_keeps_every_digit(digits, scale):
    value = Decimal(digits).scaleb(-scale)
    assert read(f"decimal(38,{scale})", format(value, "f")) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_double_comes_back_as_that_double(value):
    assert read("real", repr(value)) == value


@given(st.none() | st.text())
def test_a_cell_comes_back_as_it_was_and_stands_on_one_line(value):
    cell = copy_text.cell(value)
    assert copy_text.uncell(cell) == value
    assert not set('\n\t\r"') & set(cell)


@given(st.text())
def test_hostile_text_is_a_value_or_a_reject(text):
    for type_ in ("int", "real", "decimal(38,10)", "day", "instant", "boolean", "text"):
        for forms in ((), ("brazilian",)) if type_ not in ("text", "boolean") else ((),):
            try:
                read(type_, text, *forms)
            except BadValueError:
                continue

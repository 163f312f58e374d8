"""Text as published → values: what is read, what is null, and what is refused because it is ambiguous."""

from datetime import date

import pytest

from producers.formats import values
from producers.model import BadValueError, RejectReason


@pytest.mark.parametrize(("text", "count"), [("1", 1), ("1.0", 1), ("33818.0", 33818), (" 7 ", 7), ("", None)])
def test_a_count_is_digits_and_at_most_a_floats_zero(text, count):
    assert values.count(text) == count


@pytest.mark.parametrize(
    "text", ["1.000", "12.000", "53.000", "1.234", "1,000", "1.", "1.00", "1,0", "1.234.567", "-1"]
)
def test_what_could_be_thousands_is_no_count(text):
    """`53.000` was read as 53: a Brazilian total divided by a thousand, without an error."""
    with pytest.raises(BadValueError):
        values.count(text)


@pytest.mark.parametrize(
    ("text", "cnpj"),
    [
        ("12ABC34501DE35", "12ABC34501DE35"),
        ("12.ABC.345/01DE-35", "12ABC34501DE35"),
        ("12abc34501de35", "12ABC34501DE35"),
        ("11.222.333/0001-81", "11222333000181"),
        ("1778972000174", "01778972000174"),
        (" ", None),
    ],
)
def test_a_cnpj_has_fourteen_characters_of_which_the_first_twelve_may_be_letters(text, cnpj):
    assert values.cnpj(text) == cnpj


@pytest.mark.parametrize("text", ["2ABC34501DE35", "12ABC34501DE3X", "12ABC34501DÉ35", "***.123.456-**", "١" * 14])
def test_what_has_not_the_form_of_a_cnpj_is_refused(text):
    with pytest.raises(BadValueError) as refused:
        values.cnpj(text)
    assert refused.value.reason == RejectReason.BAD_CODE


def test_a_value_describes_a_day_whose_publication_is_known():
    assert values.reference_day("31/12/2200") == date(2200, 12, 31)
    for text in ("9999-12-31", "01/01/0001"):
        assert values.day(text), "the control: it is a day"
        with pytest.raises(BadValueError) as refused:
            values.reference_day(text)
        assert refused.value.reason == RejectReason.OUT_OF_RANGE

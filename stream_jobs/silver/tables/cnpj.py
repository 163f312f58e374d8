"""The rules of a CNPJ: 12 digits or letters (letters since July 2026), then two check digits.

A character counts as its ASCII code less 48, so a digit as itself and A as 17. A check digit is the sum of the
characters before it, weighted 2 to 9 from the right and again from 2, modulo 11, taken from 11; 0 where that is 10 or
11. It is only warned of a wrong one: the row counts accesses whoever declared them, and a slip of ANATEL's must not
take them from the sums.
"""

from sinks.expectations import Expectation

_PLACES = 14


def _check_digit(place: int) -> str:
    """SQL for the check digit that should stand at a place, counted from 1."""
    weighted = (f"{(place - each - 1) % 8 + 2} * (ascii(substring(cnpj, {each}, 1)) - 48)" for each in range(1, place))
    return f"((11 - ({' + '.join(weighted)}) % 11) % 11) % 10"


EXPECTATIONS = (
    Expectation("cnpj_has_fourteen_characters", f"length(cnpj) = {_PLACES}", "warn"),
    Expectation(
        "cnpj_check_digits_hold",
        f"length(cnpj) <> {_PLACES} OR ("
        + " AND ".join(
            f"ascii(substring(cnpj, {place}, 1)) - 48 = {_check_digit(place)}" for place in (_PLACES - 1, _PLACES)
        )
        + ")",
        "warn",
    ),
)

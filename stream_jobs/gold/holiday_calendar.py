"""Brazil's holidays of some years, by the library `holidays`: the national ones, and two optional days."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from holidays import OPTIONAL, PUBLIC, country_holidays

OPTIONAL_NAMES = frozenset({"Carnaval", "Corpus Christi"})
"""Holidays without a national law (pontos facultativos) on which most of the country does not work. The library has
more: the half days before Christmas and the New Year, Ash Wednesday, the public servants' day."""


@dataclass(frozen=True)
class Holiday:
    """A day that is a holiday.

    Attributes:
        name: Portuguese; two that fall on one day are joined by "; ", in alphabetical order.
        is_national: by law in all of Brazil; otherwise an optional day.
    """

    on: date
    name: str
    is_national: bool


def holidays_of(years: Iterable[int]) -> list[Holiday]:
    """All holidays of the years, in order. Holidays of states and municipalities are not included."""
    wanted = list(years)
    national = country_holidays("BR", years=wanted, categories=(PUBLIC,), language="pt_BR")
    optional = country_holidays("BR", years=wanted, categories=(OPTIONAL,), language="pt_BR")
    # 20 November is national by Lei 14.759/2023, and so since 2024: the library knows the years.
    found = {on: Holiday(on, "; ".join(sorted(national.get_list(on))), True) for on in national}
    for on in optional:
        names = [name for name in optional.get_list(on) if name in OPTIONAL_NAMES]
        if names and on not in found:
            found[on] = Holiday(on, "; ".join(sorted(names)), False)
    return [found[on] for on in sorted(found)]

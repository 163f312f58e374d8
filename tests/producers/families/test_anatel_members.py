"""The choice of members: no month twice, and nothing better exists."""

from datetime import date
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.families.anatel_members import Period, choose, months
from producers.model import Span

EVER = Span(date(1, 1, 1))
PERIODS = st.lists(
    st.builds(
        lambda first, length, is_wide, is_preferred: (first, first + length, is_wide, is_preferred),
        st.integers(2005 * 12, 2005 * 12 + 20),
        st.integers(0, 12),
        st.booleans(),
        st.booleans(),
    ),
    max_size=7,
)


def overlapping(periods) -> bool:
    return any(one.first <= other.last and other.first <= one.last for one, other in combinations(periods, 2))


def worth(periods) -> tuple[int, ...]:
    return tuple(sum(numbers) for numbers in zip((0, 0, 0), *(period.worth for period in periods), strict=True))


@given(PERIODS)
def test_the_chosen_members_share_no_month_and_no_other_set_is_worth_more(drawn):
    named = {f"{number}.csv": Period(str(number), *each) for number, each in enumerate(drawn)}
    if not named:
        return
    chosen = [named[name] for name in choose(list(named), named.get, EVER).values()]
    every_set = (each for size in range(len(named) + 1) for each in combinations(named.values(), size))
    assert not overlapping(chosen)
    assert worth(chosen) == max(worth(each) for each in every_set if not overlapping(each))


def test_control_the_oracle_sees_a_common_month(control):
    def common(*periods) -> list[str]:
        return [f"{len(periods)} periods share a month"] if overlapping(periods) else []

    control.holds(common, Period("a", 1, 3, False), Period("b", 4, 4, False))
    control.objects(common, Period("a", 1, 3, False), Period("b", 3, 4, False), damage="2 periods share a month")


@pytest.mark.parametrize(
    ("text", "expected"), [("2026", (24312, 24323)), ("202602", (24313, 24313)), ("202613", None), ("0000", None)]
)
def test_a_year_or_a_month_of_it_is_a_range_of_months(text, expected):
    assert months(text) == expected


def test_a_period_ends_on_the_last_day_of_its_last_month():
    assert Period("2024", *(months("2024") or (0, 0)), is_wide=True).last_day == date(2024, 12, 31)
    assert Period("x", 0, (months("202402") or (0, 0))[1], is_wide=True).last_day == date(2024, 2, 29)

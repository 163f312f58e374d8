"""Which payload was the last to state which days, while editions arrive, months move, and old payloads are dropped."""

from datetime import UTC, date, datetime, timedelta

import pytest

from producers import holdings
from producers.model import Holding
from producers.scope import Scope

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def month(number: int, last: int | None = None) -> tuple[date, date]:
    return date(2025, number, 1), date(2025, last or number, 1)


def holding(part: str, *days: tuple[date, date], sha: str = "", where=()) -> Holding:
    return Holding(part, part, sha or f"sha-{part}", BEGIN, BEGIN, Scope(("accesses",), days, where).text)


def stand(found: list[Holding]) -> dict[str, tuple]:
    return {each.payload_sha256: Scope.of(each.scope).days for each in found}


def test_a_new_edition_takes_over_what_it_states():
    found = holdings.after([holding("h1", month(1, 6), sha="a")], holding("h1", month(1, 6), sha="b"), 1)
    assert stand(found) == {"b": (month(1, 6),)}


def test_a_month_that_left_its_member_stays_with_the_payload_that_stated_it():
    """The half-year loses June; the member that June moves to is compared with the old payload."""
    found = holdings.after([holding("h1", month(1, 6), sha="a")], holding("h1", month(1, 5), sha="b"), 1)
    assert stand(found)["b"] == (month(1, 5),)
    former = holdings.former(found, Scope(("accesses",), (month(6, 12),)))
    assert [each.payload_sha256 for each in former] == ["a"]
    assert Scope.of(former[0].scope).days == ((date(2025, 6, 1), date(2025, 6, 1)),)


def test_two_members_that_become_one_are_both_what_it_is_compared_with():
    both = [holding("h1", month(1, 6)), holding("h2", month(7, 12))]
    assert [each.part for each in holdings.former(both, Scope(("accesses",), (month(1, 12),)))] == ["h1", "h2"]
    assert stand(holdings.after(both, holding("year", month(1, 12)), 2)) == {"sha-year": (month(1, 12),)}


def test_stations_are_not_compared_with_each_other():
    a401, a249 = (("station_code", "A401"),), (("station_code", "A249"),)
    found = holdings.after([holding("A401", month(1, 12), where=a401)], holding("A249", month(1, 12), where=a249), 2)
    assert stand(found) == {"sha-A401": (month(1, 12),), "sha-A249": (month(1, 12),)}


@pytest.mark.parametrize("parts", [1, 600])
def test_a_cursor_does_not_grow_without_bound_and_drops_payloads_but_no_days(parts):
    found: list[Holding] = []
    editions = holdings.MOST + parts + 50
    for number in range(editions):
        day = date(2020, 1, 1) + timedelta(days=number)
        found = holdings.after(found, holding("window", (day, day + timedelta(days=90)), sha=f"{number}"), parts)
    assert len(found) <= holdings.MOST + parts
    forgotten = [each for each in found if not each.payload_sha256]
    assert [Scope.of(each.scope).days[0][0] for each in forgotten] == [date(2020, 1, 1)]
    kept = sum((last - first).days + 1 for each in found for first, last in Scope.of(each.scope).days)
    assert kept == editions + 90

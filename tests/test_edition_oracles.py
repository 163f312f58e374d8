"""The oracle of served bytes finds nothing if all rows are there, and names missing, doubled and changed ones."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.edition_oracles import Held, Manifests, different, served_rows
from tests.harness.load import Editions
from tests.producers.served import FIRST, MACAPA, SALVADOR, member_name, year_zip

HOURS = 300


@pytest.fixture(scope="module")
def served() -> dict[datetime, bytes]:
    """Two editions of some hours of a station."""
    editions = Editions(HOURS)
    editions.publish()
    editions.close()
    return editions.served


def published(served: dict[datetime, bytes]) -> list[Held]:
    """Every row of every edition; an edition is one chunk."""
    return [(str(clock), hour, rain) for clock in served for hour, rain in served_rows(served[clock]).items()]


def manifests(served: dict[datetime, bytes]) -> Manifests:
    return Manifests({str(clock): clock for clock in served}, set(served))


def test_every_line_of_a_year_is_a_row_with_its_station_hour_and_rain():
    members = {member_name(path): path.read_bytes() for path in (SALVADOR, MACAPA)}
    rows = served_rows(year_zip(members))
    assert {station for station, _ in rows} == {"A401", "A249"}
    assert sum(station == "A401" for station, _ in rows) == 366 * 24
    assert rows["A401", datetime(2024, 3, 4, 9, tzinfo=UTC)] == 14.8


def test_a_whole_edition_gives_no_objection(served):
    assert len(served) == 2
    assert different(served, published(served), manifests(served), where="Kafka") == []


def test_a_missing_tail_is_named_with_its_edition_and_hours(served):
    found = different(
        served, published(served)[: HOURS - 5] + published(served)[HOURS:], manifests(served), where="Kafka"
    )
    assert found == [
        f"Kafka lacks 5 of {HOURS} rows of the edition of {min(served):%Y-%m-%d %H:%M:%S}:"
        " A401 2024-01-13 07:00, A401 2024-01-13 08:00, A401 2024-01-13 09:00 ..."
    ]


def test_an_edition_that_nobody_published_is_lacking_and_the_newest_may_be_under_way(served):
    first, second = sorted(served)
    of_second = [row for row in published(served) if row[0] == str(second)]
    [found] = different(served, of_second, manifests(served), where="bronze")
    assert found.startswith(f"bronze lacks {HOURS} of {HOURS} rows")
    of_first = [row for row in published(served) if row[0] == str(first)]
    under_way = Manifests(manifests(served).clock_of, {first})
    assert different(served, of_first, under_way, where="bronze") == []
    assert len(different(served, of_first, manifests(served), where="bronze")) == 1


def test_a_row_twice_or_with_another_value_is_one_too_many(served):
    rows = published(served)
    assert "holds 1 rows too many" in different(served, [*rows, rows[7]], manifests(served), where="Kafka")[0]
    chunk, hour, _ = rows[7]
    changed = different(served, [*rows[:7], (chunk, hour, 99.9), *rows[8:]], manifests(served), where="Kafka")
    assert [each.split(":")[0].split(" of ")[0] for each in changed] == ["Kafka lacks 1", "Kafka holds 1 rows too many"]


def test_what_was_rejected_is_not_lacking_and_an_edition_that_nobody_served_is_named(served):
    first = min(served)
    rejected = manifests(served)
    rejected.rejected[first] = 2
    assert different(served, published(served)[2:], rejected, where="Kafka") == []
    strange = Manifests({"x": FIRST - timedelta(days=9)}, set())
    found = different({}, [("x", ("A401", FIRST), 0.0)], strange, where="Kafka")
    assert "that nobody served" in found[0]

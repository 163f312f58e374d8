"""INMET's stations by setting: the chosen ones are fetched, an added one gets its history, a stopped one keeps it."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from producers import poll, sources
from producers.model import Span
from producers.session import Session
from tests import oracles
from tests.producers.served import MACAPA, SALVADOR, ServedZip, member_name

pytestmark = pytest.mark.integration

INMET = sources.load("inmet_hourly")
NOW = datetime(2025, 3, 1, 6, 30, tzinfo=UTC)
SOME = {member_name(path): path.read_bytes()[:100_000].rpartition(b"\n")[0] + b"\n" for path in (SALVADOR, MACAPA)}
ONLY_SALVADOR = {"inmet_hourly": {"A401": True}}
NO_MACAPA = {"inmet_hourly": {"A249": False}}


@pytest.fixture
def year(httpserver) -> ServedZip:
    return ServedZip(httpserver, "/2025.zip")


@pytest.fixture
def run(target, httpserver) -> Callable[[], poll.Outcome]:
    span = Span(date(2025, 1, 1))
    return lambda: poll.poll(INMET, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=span)


def absent(target, *codes: str) -> list[str]:
    """The oracle: stations of which nothing is published."""
    found = {row.fields["station_code"] for row in oracles.read(target.bootstrap, target.prefix, "inmet_hourly")}
    return [f"nothing of station {code}" for code in codes if code not in found]


@pytest.mark.parametrize("chosen", [ONLY_SALVADOR, NO_MACAPA], ids=["named", "all but a stopped one"])
def test_only_the_chosen_stations_are_fetched_and_one_that_is_added_later_gets_the_unchanged_file(
    choose, run, year, target, chosen
):
    choose(polled=chosen)
    year.put(SOME)
    outcome = run()
    assert (outcome.error, outcome.tally.unread_members) == (None, [])
    assert absent(target, "A401", "A249") == ["nothing of station A249"]
    year.spans.clear()
    assert run().error is None
    assert year.spans == [], "the file is read for this choice"

    choose()
    assert run().error is None
    assert absent(target, "A401", "A249") == []
    assert oracles.problems(target.bootstrap, target.prefix, INMET.datasets) == []


def test_a_station_that_is_stopped_keeps_its_rows_and_nothing_is_withdrawn(choose, run, year, target):
    choose(polled={"inmet_hourly": {"A401": True, "A249": True}})
    year.put(SOME)
    run()
    before = oracles.read(target.bootstrap, target.prefix, "inmet_hourly")

    choose(polled=NO_MACAPA)
    outcome = run()
    assert (outcome.error, outcome.tally.withdrawn) == (None, 0)
    year.put(SOME, days=1)
    assert run().tally.withdrawn == 0

    assert oracles.read(target.bootstrap, target.prefix, "ingest.withdrawals") == []
    assert oracles.read(target.bootstrap, target.prefix, "inmet_hourly")[: len(before)] == before


def test_control_a_cursor_that_does_not_note_the_choice_leaves_an_added_station_out(
    choose, run, year, target, control, monkeypatch
):
    choose(polled={"inmet_hourly": {"A401": True, "A249": True}})
    year.put(SOME)
    run()
    control.holds(absent, target, "A401", "A249")

    monkeypatch.setattr(Session, "selected", property(lambda session: None))
    other = {name.replace("A401", "A499").replace("A249", "A498"): text for name, text in SOME.items()}
    renamed = {name: text.replace(b"A401", b"A499").replace(b"A249", b"A498") for name, text in other.items()}
    year.put(renamed, days=2)
    choose(polled={"inmet_hourly": {"A499": True}})
    run()
    choose(polled={"inmet_hourly": {"A499": True, "A498": True}})
    run()
    control.objects(absent, target, "A499", "A498", damage="nothing of station A498")

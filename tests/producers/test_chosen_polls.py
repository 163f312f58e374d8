"""Polls of what the settings choose: history of what is added, no request for what is stopped, nothing withdrawn."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from werkzeug import Request, Response

from producers import poll, sources
from producers.model import Span
from schemas import choices
from tests import oracles

pytestmark = pytest.mark.integration

NOW = datetime(2025, 3, 1, 6, 30, tzinfo=UTC)
SPAN = Span(date(2000, 1, 1))
CREDIT = {"name": "Credit", "unit": "BRL million", "frequency": "M", "lag_days": 30}
SGS = sources.load("bcb_sgs")
TWO = {
    series: False for series in [each.name for each in SGS.resources(NOW.date(), SPAN)] if series not in ("1", "433")
}
"""A choice of two declared series, so that few requests are made."""
YEARS = range(2000, 2026)
OLD = {2000, 2009}
"""Years in which the windows of history begin: they are closed, and requested once."""


class Served:
    """Each series has a value on every 2 January. Attributes: asked: series and first year of each request."""

    def __init__(self, server) -> None:
        self.asked: list[tuple[str, int]] = []
        server.expect_request(re.compile(r"/bcdata\.sgs\.\d+/dados")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        series = request.path.split("/")[1].removeprefix("bcdata.sgs.")
        first, last = (datetime.strptime(request.args[name], "%d/%m/%Y") for name in ("dataInicial", "dataFinal"))
        self.asked.append((series, first.year))
        days = [datetime(year, 1, 2) for year in YEARS]
        return Response(json.dumps([{"data": f"{day:%d/%m/%Y}", "valor": "1"} for day in days if first <= day <= last]))


@pytest.fixture
def served(httpserver) -> Served:
    return Served(httpserver)


@pytest.fixture
def run(target, httpserver) -> Callable[[], poll.Outcome]:
    return lambda: poll.poll(SGS, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=SPAN)


def rows(target) -> list[tuple[int, date, str]]:
    found = oracles.read(target.bootstrap, target.prefix, "bcb_sgs")
    return sorted(
        (row.fields["series_code"], row.fields["reference_on"], row.fields["published_at_basis"]) for row in found
    )


def unfetched(target, series: int) -> list[str]:
    """The oracle: years of a series' history of which nothing is published."""
    published = {on.year for code, on, _ in rows(target) if code == series}
    return [f"nothing of series {series} in {year}" for year in YEARS if year not in published]


def test_a_series_that_is_added_gets_its_history_and_the_others_are_not_asked_for_theirs_again(
    choose, run, served, target
):
    choose(polled={"bcb_sgs": TWO})
    assert run().error is None
    before = rows(target)
    served.asked.clear()

    choose(polled={"bcb_sgs": {**TWO, "20542": CREDIT}})
    assert run().error is None
    assert unfetched(target, 20542) == []
    assert {year for series, year in served.asked if series == "20542"} == {*OLD, 2019}
    assert all(year not in OLD for series, year in served.asked if series != "20542"), "their history is there"
    assert [row for row in rows(target) if row[0] != 20542] == before
    assert {basis for series, _, basis in rows(target) if series == 20542} == {"assumed_lag"}, "history is dated so"
    assert oracles.problems(target.bootstrap, target.prefix, SGS.datasets) == []


def test_control_without_its_item_in_the_choice_nothing_of_a_series_is_fetched(choose, run, served, target, control):
    choose(polled={"bcb_sgs": {**TWO, "20542": CREDIT, "20543": CREDIT}})
    choices.use({"bcb_sgs": replace(choices.of("bcb_sgs"), own={"20542": choices.of("bcb_sgs").own["20542"]})}, ())
    run()
    control.holds(unfetched, target, 20542)
    control.objects(unfetched, target, 20543, damage="nothing of series 20543 in 2000")


def test_a_series_that_is_stopped_is_asked_for_no_longer_and_keeps_its_rows(choose, run, served, target, control):
    choose(polled={"bcb_sgs": {**TWO, "20542": CREDIT}})
    run()
    before = rows(target)
    for stopped in ({**TWO, "433": False, "20542": {**CREDIT, "poll": False}}, {**TWO, "433": False}):
        served.asked.clear()
        choose(polled={"bcb_sgs": stopped})
        outcome = run()
        assert (outcome.error, outcome.tally.withdrawn) == (None, 0)
        assert {series for series, _ in served.asked} == {"1"}
        control.holds(lost, before, rows(target))
    assert oracles.read(target.bootstrap, target.prefix, "ingest.withdrawals") == []
    control.objects(lost, before, before[1:], damage="a row is gone: ")


def lost(before: list, now: list) -> list[str]:
    return [f"a row is gone: {row}" for row in before if row not in now]


def test_a_series_that_is_polled_again_goes_on_where_it_was(choose, run, served, target):
    choose(polled={"bcb_sgs": TWO})
    run()
    choose(polled={"bcb_sgs": {**TWO, "433": False}})
    run()
    served.asked.clear()
    choose(polled={"bcb_sgs": TWO})
    assert run().error is None
    assert {year for series, year in served.asked if series == "433"}.isdisjoint(OLD), "its history is there"

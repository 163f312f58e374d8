"""Backfills beside the live schedule: the owner of each day, and the parts that each leaves to the other."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from rich.console import Console
from structlog.testing import capture_logs
from werkzeug import Request, Response

from correnteza import backfill
from foundation.errors import UsageError
from producers import cursor, poll, session, sources
from producers.model import Span
from producers.session import Tally
from tests import oracles
from tests.producers.served import MACAPA, SALVADOR, ServedZip, member_name

NOW = datetime(2025, 3, 1, 6, 30, tzinfo=UTC)
LIVE = Span(date(2020, 1, 1))
SGS = sources.load("bcb_sgs")
ONE_SERIES = replace(SGS, resources=lambda today, span: SGS.resources(today, span)[:1])
INMET = sources.load("inmet_hourly")


class ServedSeries:
    """Series 1, with a value on the first of each month from 2000 on. Attributes: asked: first days of windows."""

    def __init__(self, server) -> None:
        self.asked: list[str] = []
        server.expect_request("/bcdata.sgs.1/dados").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        self.asked.append(request.args["dataInicial"])
        first, last = (datetime.strptime(request.args[name], "%d/%m/%Y") for name in ("dataInicial", "dataFinal"))
        days = [datetime(year, month, 1) for year in range(2000, 2026) for month in range(1, 13)]
        found = [{"data": f"{day:%d/%m/%Y}", "valor": f"{day:%Y.%m}"} for day in days if first <= day <= last]
        return Response(json.dumps(found))


MONTHS = 25 * 12 + 3
"""Values from January 2000 to March 2025."""


@pytest.fixture
def series(httpserver) -> ServedSeries:
    return ServedSeries(httpserver)


@pytest.fixture
def run(target, httpserver) -> Callable[..., poll.Outcome]:
    """Poll at the scripted server, without trouble."""

    def poll_once(span: Span, source=ONE_SERIES, **options) -> poll.Outcome:
        outcome = poll.poll(source, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=span, **options)
        assert outcome.error is None
        return outcome

    return poll_once


def doubled(target, dataset: str = "bcb_sgs") -> list[bytes]:
    """Keys that were published more than once."""
    counts = Counter(record.key for record in oracles.read(target.bootstrap, target.prefix, dataset))
    return [key for key, count in counts.items() if count > 1]


def published(target, dataset: str = "bcb_sgs") -> int:
    return len(oracles.read(target.bootstrap, target.prefix, dataset))


def manifests(target) -> list[dict]:
    return [record.fields for record in oracles.read(target.bootstrap, target.prefix, "ingest.manifests")]


def before(day: date) -> date:
    return day - timedelta(days=1)


SINCE_2000 = Span(date(2000, 1, 1), before(LIVE.first))


@pytest.mark.integration
@pytest.mark.parametrize("spans", [(LIVE, SINCE_2000), (SINCE_2000, LIVE)], ids=["live-first", "backfill-first"])
def test_a_backfill_and_the_schedule_publish_every_value_once(run, series, target, spans):
    for span in spans:
        run(span)
    assert published(target) == MONTHS
    assert doubled(target) == []
    assert oracles.problems(target.bootstrap, target.prefix, SGS.datasets) == []
    cursors = {record.key.decode() for record in oracles.read(target.bootstrap, target.prefix, "ingest.cursors")}
    assert cursors == {"bcb_sgs|1", "bcb_sgs.backfill|1"}
    slots = {manifest["slot_id"].partition("@")[0] for manifest in manifests(target)}
    assert slots == {"bcb_sgs", "bcb_sgs.backfill"}


@pytest.mark.integration
def test_control_without_the_ownership_of_days_and_of_parts_values_are_published_twice(
    run, series, target, monkeypatch, control
):
    def twice() -> list[str]:
        return [f"{key.decode()} was published twice" for key in doubled(target)]

    run(LIVE)
    run(Span(date(2010, 1, 1), before(LIVE.first)))
    control.holds(twice)
    monkeypatch.setattr(cursor, "read", lambda *_: {})
    run(Span(date(2000, 1, 1), before(NOW.date())))
    control.objects(twice, damage="was published twice")


@pytest.mark.integration
def test_a_backfill_that_is_done_asks_for_nothing_more_and_an_earlier_one_for_the_days_before(run, series, target):
    run(Span(date(2010, 1, 1), before(LIVE.first)))
    series.asked.clear()
    assert run(Span(date(2010, 1, 1), before(LIVE.first))).tally.rows == 0
    assert series.asked == []
    run(SINCE_2000)
    assert series.asked == ["01/01/2000", "29/12/2009"]
    assert doubled(target) == []


@pytest.mark.integration
@pytest.mark.parametrize("moved_to", [date(2005, 1, 1), date(2015, 6, 1), date(2024, 1, 1)])
def test_moving_the_start_of_the_live_history_doubles_nothing_and_leaves_no_hole(run, series, target, moved_to):
    run(SINCE_2000)
    run(LIVE)
    run(Span(moved_to))
    run(Span(date(2000, 1, 1), before(moved_to)))
    # The newest window is asked for again: its values did not change, so nothing is published again.
    assert doubled(target) == []
    assert published(target) == MONTHS


@pytest.mark.integration
def test_what_the_other_owner_has_begun_is_left_to_it(run, series, target):
    """A backfill is stopped in the middle of a window, and then the live schedule is given its days."""
    chunks = iter([False, True])
    stopped = run(SINCE_2000, chunk_rows=50, is_stopping=lambda: next(chunks))
    assert stopped.is_stopped
    with capture_logs() as lines:
        run(Span(date(2000, 1, 1)), chunk_rows=50)
    assert doubled(target) == []
    assert "part_left_to_owner" in {line["event"] for line in lines}
    run(SINCE_2000, chunk_rows=50)
    assert doubled(target) == []
    assert published(target) == MONTHS


@pytest.mark.integration
def test_a_backfill_that_was_given_up_does_not_hold_its_days_for_ever(run, series, target, httpserver):
    """Eight days after it was stopped the live schedule goes on with its window; the backfill then finds it done."""
    chunks = iter([False, True])
    assert run(SINCE_2000, chunk_rows=50, is_stopping=lambda: next(chunks)).is_stopped
    later = datetime.now(UTC) + session.ABANDONED_AFTER + timedelta(days=1)
    url, span = httpserver.url_for("/"), Span(date(2000, 1, 1))
    outcome = poll.poll(ONE_SERIES, target, now=lambda: later, base_url=url, span=span, chunk_rows=50)
    assert outcome.error is None
    assert (doubled(target), published(target)) == ([], 26 * 12)
    run(SINCE_2000, chunk_rows=50)
    assert (doubled(target), published(target)) == ([], 26 * 12)
    assert oracles.problems(target.bootstrap, target.prefix, SGS.datasets) == []


@pytest.mark.integration
@pytest.mark.parametrize("status", [200, 500], ids=["nonsense", "away"])
def test_a_window_of_history_that_fails_is_missing_alone(httpserver, target, monkeypatch, status):
    monkeypatch.setattr("producers.fetch.http.ATTEMPTS", 1)

    def answer(request: Request) -> Response:
        if request.args["dataInicial"] == "01/01/2000":
            return Response("<html>no</html>" if status == 200 else "", status)
        day = request.args["dataInicial"]
        return Response(json.dumps([{"data": day, "valor": "1"}]))

    httpserver.expect_request("/bcdata.sgs.1/dados").respond_with_handler(answer)
    url, span = httpserver.url_for("/"), Span(date(2000, 1, 1))
    outcome = poll.poll(ONE_SERIES, target, now=lambda: NOW, base_url=url, span=span)
    assert outcome.error is not None
    assert published(target) == 2, "the newest window and the other one of history"
    assert any("2000-01-01.." in problem for problem in outcome.tally.problems)


@pytest.mark.integration
def test_a_zips_members_have_one_owner_too_and_a_revision_is_found_by_whoever_owns_them_now(run, httpserver, target):
    year = ServedZip(httpserver, "/2024.zip")
    rows = SALVADOR.read_bytes()[:200_000].rpartition(b"\n")[0] + b"\n"
    year.put({member_name(SALVADOR): rows})
    historic = Span(date(2024, 1, 1), date(2024, 12, 31))
    assert run(historic, INMET).tally.parts == 1
    httpserver.expect_request("/2025.zip").respond_with_data("not yet", 404)
    live = Span(date(2024, 1, 1))
    assert run(live, INMET).tally.rows == 0, "the backfill has published it"
    assert doubled(target, "inmet_hourly") == []

    year.put({member_name(SALVADOR): rows.replace(b"26,8", b"26,9")}, days=1)
    assert run(live, INMET).tally.parts == 1
    state = oracles.read(target.bootstrap, target.prefix, "ingest.cursors")[-1].fields["parts"]["A401"]
    assert (state["edition"], state["first_edition_assumed"]) == (2, False)
    assert oracles.problems(target.bootstrap, target.prefix, INMET.datasets) == []


@pytest.mark.integration
def test_a_backfill_reads_a_zip_again_for_members_that_a_former_one_did_not_want(run, httpserver, target):
    """The same URL, the same validators: a backfill that went by them would find nothing new."""
    zipped = ServedZip(httpserver, "/2024.zip")
    zipped.put({member_name(path): path.read_bytes()[:50_000].rpartition(b"\n")[0] for path in (SALVADOR, MACAPA)})
    span = Span(date(2024, 1, 1), date(2024, 12, 31))
    for code in ("A249", "A401"):
        wanted = replace(
            INMET, select=lambda resource, names, span, code=code: {code: next(name for name in names if code in name)}
        )
        assert run(span, wanted).tally.parts == 1


@pytest.mark.integration
def test_the_share_of_the_work_that_is_done_grows_to_one(run, series):
    shares: list[float] = []
    run(SINCE_2000, on_chunk=lambda tally: shares.append(tally.share))
    assert shares == sorted(shares)
    assert sorted(set(shares)) == [0.0, 1 / 3, 2 / 3, 1.0]


# What can be asked for


@pytest.mark.parametrize(
    ("source", "since", "until", "says"),
    [
        ("bcb_sgs", date(2019, 1, 1), date(2018, 1, 1), "is after --until"),
        ("openmeteo_forecast", date(2019, 1, 1), None, "openmeteo_forecast keeps no history"),
    ],
)
def test_days_that_are_not_a_backfills_are_refused_with_the_reason(source, since, until, says):
    with pytest.raises(UsageError, match=says):
        backfill.days(sources.load(source), LIVE, since, until)


def test_a_backfill_ends_where_the_live_schedule_begins():
    assert backfill.days(SGS, LIVE, date(2015, 1, 1), None) == Span(date(2015, 1, 1), date(2019, 12, 31))
    assert backfill.days(SGS, LIVE, date(2015, 1, 1), date(2025, 1, 1)) == Span(date(2015, 1, 1), date(2019, 12, 31))
    assert backfill.days(SGS, LIVE, date(2015, 1, 1), date(2016, 1, 1)) == Span(date(2015, 1, 1), date(2016, 1, 1))


def test_days_that_the_live_schedule_owns_are_no_backfills():
    assert backfill.days(SGS, LIVE, date(2020, 1, 1), None) is None


# What is shown


def test_the_remaining_time_follows_from_the_speed_so_far():
    assert backfill.remaining_seconds(30, 0.25) == 90
    assert backfill.remaining_seconds(30, 0) is None


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(monkeypatch):
    moments = iter([0.0, 5.0, 11.0, 12.0])
    monkeypatch.setattr(backfill.time, "monotonic", lambda: next(moments))
    with (
        capture_logs() as lines,
        backfill.shown(SGS, Console(file=None, force_terminal=False)) as show,
    ):
        for share in (0.1, 0.25, 0.3):
            show(Tally(rows=10, share=share))
    progress = [line for line in lines if line["event"] == "backfill_progressed"]
    assert [(line["percent"], line["remaining_seconds"]) for line in progress] == [(25.0, 33)]


def test_on_a_terminal_a_bar_shows_share_and_rows(tmp_path):
    with (tmp_path / "screen").open("w+") as screen:
        console = Console(file=screen, force_terminal=True, width=100)
        with backfill.shown(SGS, console) as show:
            show(Tally(rows=1234, share=0.5))
        screen.seek(0)
        shown = screen.read()
    assert "50%" in shown
    assert "1,234 rows" in shown

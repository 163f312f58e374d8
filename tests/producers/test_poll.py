"""Polls against scripted and replayed sources, on the real broker; what is in Kafka is read by the oracle."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from structlog.testing import capture_logs
from werkzeug import Request, Response

from foundation import clock
from foundation.errors import CorrentezaError, DependencyUnavailable, InvalidContent
from producers import cursor, poll, poll_body, sources
from producers.families import openmeteo
from producers.fetch import answers
from producers.model import Cursor, PartState, Source, Span
from replay.content import DATA
from replay.server import serve
from schemas.contracts import datasets, load, load_all
from schemas.registry import Registry
from tests import oracles
from tests.helpers import wait_for
from tests.producers.served import FIRST, MACAPA, SALVADOR, ServedZip, member_name
from tests.records import in_transaction

pytestmark = pytest.mark.integration

INMET = sources.load("inmet_hourly")
SGS = replace(
    sources.load("bcb_sgs"),
    resources=lambda today, start: [
        each for each in sources.load("bcb_sgs").resources(today, start) if each.name in {"1", "12"}
    ],
)
NOW = datetime(2025, 3, 1, 6, 30, tzinfo=UTC)
SOME = SALVADOR.read_bytes()[:400_000].rpartition(b"\n")[0] + b"\n"
SOME_ROWS = SOME.count(b"\n") - 9
ANOTHER = b"2024/12/31;2300 UTC;0;1006,7;1006,7;1005,8;;26,8;22,8;26,8;26,6;22,8;22,6;79;78;79;66;5,3;1,4;\n"


@pytest.fixture
def run(target, httpserver) -> Callable[..., poll.Outcome]:
    """Poll a source at the scripted server."""

    def poll_once(source: Source = INMET, **options) -> poll.Outcome:
        options = {"base_url": httpserver.url_for("/"), "span": Span(date(2025, 1, 1))} | options
        return poll.poll(source, target, now=lambda: NOW, **options)

    return poll_once


@pytest.fixture
def year(httpserver) -> ServedZip:
    return ServedZip(httpserver, "/2025.zip")


@pytest.fixture
def seen(target) -> Callable[[str], list[dict]]:
    """Committed records of a topic."""
    return lambda dataset: [record.fields for record in oracles.read(target.bootstrap, target.prefix, dataset)]


def ends(target) -> dict[str, int]:
    return oracles.end_offsets(target.bootstrap, [target.prefix + each.topic for each in load_all().values()])


def assert_whole(target, names: Iterable[str] = INMET.datasets) -> None:
    assert oracles.problems(target.bootstrap, target.prefix, names) == []


def one(**values: bytes) -> dict[str, bytes]:
    """Members by station: `A401=…`, `A249=…`."""
    names = {"A401": member_name(SALVADOR), "A249": member_name(MACAPA)}
    return {names[code]: content for code, content in values.items()}


def test_every_row_of_a_zip_is_published_once_with_its_receipt(run, year, target, seen):
    year.put(one(A401=SOME, A249=MACAPA.read_bytes()))
    outcome = run(chunk_rows=1000)

    assert outcome.error is None
    assert len(seen("inmet_hourly")) == SOME_ROWS + 500
    assert len(seen("inmet_stations")) == 2
    assert_whole(target)
    manifests = seen("ingest.manifests")
    assert [m["first_row"] for m in manifests if "A401" in m["part"]] == list(range(0, SOME_ROWS, 1000))
    assert [m["is_last_of_part"] for m in manifests].count(True) == 2
    assert {m["slot_id"] for m in manifests} == {"inmet_hourly@2025-03-01T04:41:00Z"}
    assert {m["published_at"] for m in manifests} == {FIRST}


def test_a_poll_without_new_data_makes_no_transaction(run, year, target):
    year.put(one(A401=SOME))
    run()
    before = ends(target)
    assert run().tally.rows == 0
    assert ends(target) == before


def test_a_republication_without_change_is_noted_and_its_directory_read_once(run, year, target, seen):
    """ANATEL republished a day later without a change: another date, the same members."""
    year.put(one(A401=SOME))
    run()
    before = ends(target)
    year.put(one(A401=SOME), days=1)
    outcome = run()
    assert (outcome.tally.rows, outcome.tally.unchanged_parts) == (0, 1)
    assert year.spans != []
    after = ends(target)
    cursors = target.prefix + load("ingest.cursors").topic
    assert {topic for topic in after if after[topic] != before[topic]} == {cursors}
    assert seen("ingest.cursors")[-1]["last_modified"] == year.modified_at

    year.spans = []
    assert run().tally.rows == 0
    assert year.spans == []
    assert ends(target) == after


def test_only_the_member_that_changed_is_fetched_and_published(run, year, target, seen):
    year.put(one(A401=SOME, A249=MACAPA.read_bytes()))
    run()
    year.put(one(A401=SOME, A249=MACAPA.read_bytes().replace(b"26,7", b"26,8")), days=30)
    outcome = run()
    assert (outcome.tally.parts, outcome.tally.unchanged_parts) == (1, 1)
    assert {m["part"] for m in seen("ingest.manifests")[2:]} == {member_name(MACAPA)}
    assert all(start >= len(year.body) / 2 for start, end in year.spans if end - start > 200_000)
    assert_whole(target)


def test_history_first_seen_has_assumed_clocks_and_a_later_edition_measured_ones(run, year, seen):
    year.put(one(A401=SOME))
    run()
    assert {row["published_at_basis"] for row in seen("inmet_hourly")} == {"assumed_lag"}
    assert all(row["published_at"] < FIRST for row in seen("inmet_hourly"))

    year.put(one(A401=SOME + ANOTHER), days=30)
    run()
    later = [row for row in seen("inmet_hourly") if row["published_at_basis"] != "assumed_lag"]
    assert len(later) == SOME_ROWS + 1
    assert {(row["published_at_basis"], row["published_at"]) for row in later} == {
        ("http_last_modified", year.modified_at)
    }


def test_what_is_odd_about_a_file_is_logged_once_however_many_chunks_it_has(run, year):
    odd = b"\n".join(
        line + (b"NEBULOSIDADE (%);" if number == 8 else b"7;") if number >= 8 and line else line
        for number, line in enumerate(SOME.replace(b"ALTITUDE:;47,56", b"ALTITUDE:;F").split(b"\n"))
    )
    year.put(one(A401=odd))
    with capture_logs() as lines:
        outcome = run(chunk_rows=500)
    assert (outcome.tally.rows, outcome.tally.rejects) == (SOME_ROWS + 1, 0)
    assert outcome.tally.chunks > 5
    noted = [line["note"] for line in lines if line["event"] == "part_format_changed"]
    assert sorted(noted) == ["altitude left out: not a number: 'F'", "columns nobody declared: 'NEBULOSIDADE (%)'"]


def test_a_name_whose_end_date_moved_is_the_same_part(run, year, seen):
    year.put({"INMET_NE_BA_A401_SALVADOR_01-01-2024_A_30-11-2024.CSV": SOME})
    run()
    year.put({"INMET_NE_BA_A401_SALVADOR_01-01-2024_A_31-12-2024.CSV": SOME + ANOTHER}, days=30)
    run()
    newest = seen("ingest.cursors")[-1]
    assert list(newest["parts"]) == ["A401"]
    assert newest["parts"]["A401"]["edition"] == 2


def test_a_source_that_goes_back_is_published_again(run, year, target, seen):
    """A, then B, then A: without the edition in the chunk id the third could not be distinguished from the first."""
    first, second = SOME, SOME.replace(b"26,8;22,8", b"26,9;22,8", 1)
    for days, content in enumerate((first, second, first)):
        year.put(one(A401=content), days=days)
        assert run().tally.rows == SOME_ROWS + 1
    manifests = seen("ingest.manifests")
    assert manifests[0]["payload_sha256"] == manifests[2]["payload_sha256"] != manifests[1]["payload_sha256"]
    assert len({m["chunk_id"] for m in manifests}) == 3
    assert_whole(target)


def test_an_answer_older_than_one_seen_is_stale(run, year, target):
    """A cache on the way may bring yesterday's file back: publishing it would undo a revision."""
    year.put(one(A401=SOME), days=5)
    run()
    before = ends(target)
    year.put(one(A401=SOME.replace(b"26,8", b"26,9")), days=4)
    assert run().tally.rows == 0
    assert ends(target) == before


@pytest.mark.parametrize("is_clamped", [True, False], ids=["clamped", "control: believed"])
def test_a_last_modified_in_the_future_does_not_stop_a_source(run, year, seen, monkeypatch, is_clamped):
    if not is_clamped:
        stated = property(lambda version: answers.http_date(version.last_modified_text))
        monkeypatch.setattr(answers.Version, "last_modified", stated)
        newest_clock = Cursor.newest_clock
        monkeypatch.setattr(Cursor, "newest_clock", lambda cursor, until: newest_clock(cursor))
    rows, warned = [], []
    for fetched_on, modified_after in ((15, 900), (20, 9), (20, 9)):
        monkeypatch.setenv(clock.VARIABLE, f"2025-02-{fetched_on}T00:00:00+00:00@1@{time.time()}")
        year.put(one(A401=SOME.replace(b"26,8", b"26,9" if fetched_on > 15 else b"26,8")), days=modified_after)
        with capture_logs() as lines:
            rows.append(run().tally.rows)
        warned.append({line["taken_for"][:10] for line in lines if line["event"] == "last_modified_ahead"})
    clocks = {manifest["published_at"].date() for manifest in seen("ingest.manifests")}
    if is_clamped:
        assert rows == [SOME_ROWS + 1, SOME_ROWS + 1, 0]
        assert clocks == {date(2025, 2, 15), date(2025, 2, 19)}
        assert warned == [{"2025-02-15"}, set(), set()], "the date it was taken for is the clock that was published"
    else:
        assert rows == [SOME_ROWS + 1, 0, 0], "silent until that day"


def test_a_cursor_that_once_accepted_a_date_in_the_future_accepts_later_answers(run, year, monkeypatch):
    """As releases before this one left it."""
    monkeypatch.setenv(clock.VARIABLE, f"2027-12-01T00:00:00+00:00@1@{time.time()}")
    year.put(one(A401=SOME), days=900)
    run()
    monkeypatch.setenv(clock.VARIABLE, f"2025-02-20T00:00:00+00:00@1@{time.time()}")
    year.put(one(A401=SOME.replace(b"26,8", b"26,9")), days=9)
    assert run().tally.rows == SOME_ROWS + 1


@pytest.mark.parametrize(("former", "is_stale"), [("2025-02-15", True), ("2030-01-01", False), ("2025-02-01", False)])
def test_a_bodys_former_clock_is_used_unless_it_is_later_than_the_answer(former, is_stale):
    state = PartState(
        name="p",
        payload_sha256="",
        edition=1,
        next_row=0,
        is_complete=True,
        first_edition_assumed=True,
        retrieved_at=FIRST,
        published_at=datetime.fromisoformat(f"{former}T00:00:00+00:00"),
        published_at_basis="http_last_modified",
    )
    answered = answers.Version(None, "Mon, 10 Feb 2025 14:30:00 GMT", 1, datetime(2025, 2, 20, tzinfo=UTC))
    assert poll_body._is_stale(state, answered) is is_stale


def test_a_stopped_poll_goes_on_at_the_next_chunk_from_the_archive(run, year, target, seen):
    year.put(one(A401=SOME))
    chunks = iter([False, False, False, True])
    outcome = run(chunk_rows=1000, is_stopping=lambda: next(chunks))
    assert outcome.is_stopped
    assert [m["first_row"] for m in seen("ingest.manifests")] == [0, 1000, 2000]

    year.spans = []
    assert run(chunk_rows=700).error is None
    rows = [m["first_row"] for m in seen("ingest.manifests")]
    assert rows == [0, 1000, 2000, *range(3000, SOME_ROWS, 700)]
    assert len(seen("inmet_hourly")) == SOME_ROWS
    assert {row["published_at_basis"] for row in seen("inmet_hourly")} == {"assumed_lag"}
    assert max((end - start for start, end in year.spans), default=0) <= len(year.body)
    assert_whole(target)


def test_a_part_half_published_whose_payload_is_lost_begins_again_as_a_second_edition(
    run, year, target, seen, settings
):
    year.put(one(A401=SOME))
    chunks = iter([False, True])
    run(chunk_rows=1000, is_stopping=lambda: next(chunks))
    for file in settings.archive_root.glob("sha256/*/*"):
        file.unlink()
    year.put(one(A401=SOME.replace(b"26,8", b"26,9")), days=1)
    run()
    state = seen("ingest.cursors")[-1]["parts"]["A401"]
    assert (state["edition"], state["is_complete"], state["first_edition_assumed"]) == (2, True, False)
    measured = [row for row in seen("inmet_hourly") if row["published_at_basis"] == "http_last_modified"]
    assert len(measured) == SOME_ROWS
    assert_whole(target)


def test_a_member_that_lost_a_column_is_refused_whole_and_the_others_are_published(run, year, target, seen):
    lines = SOME.split(b"\n")
    lines[8] = lines[8].replace(b"VENTO, RAJADA MAXIMA (m/s);", b"")
    year.put(one(A401=b"\n".join(lines), A249=MACAPA.read_bytes()))
    outcome = run()
    assert isinstance(outcome.error, InvalidContent)
    assert "A401" in str(outcome.error)
    assert {row["station_code"] for row in seen("inmet_hourly")} == {"A249"}
    assert seen("ingest.rejects") == []
    assert seen("ingest.cursors")[-1]["last_modified"] is None, "the zip was not read to its end"


def test_rejected_rows_travel_with_the_rows_and_are_counted(run, year, target, seen):
    lines = SOME.split(b"\n")
    lines[20], lines[30] = b"no row", lines[30].replace(b"2024", b"20x4", 1)
    year.put(one(A401=b"\n".join(lines)))
    outcome = run()
    assert (outcome.tally.rejects, outcome.tally.rows) == (2, SOME_ROWS - 2 + 1)
    rejects = seen("ingest.rejects")
    assert [(r["row_number"], r["reason"], r["raw"]) for r in rejects] == [
        (11, "malformed_row", b"no row"),
        (21, "bad_date", lines[30]),
    ]
    assert_whole(target)


def test_a_chunk_of_rejects_alone_has_a_receipt(run, year, target, seen):
    lines = SALVADOR.read_bytes().split(b"\n")[:9]
    year.put(one(A401=b"\n".join([*lines, b"a", b"b"])))
    run(chunk_rows=1)
    manifests = seen("ingest.manifests")
    assert [(m["rows_published"], m["rows_rejected"]) for m in manifests] == [(1, 1), (0, 1)]
    assert_whole(target)


def test_a_part_without_rows_has_a_receipt_and_is_not_read_again(run, year, target, seen):
    year.put(one(A401=b"\n".join(SALVADOR.read_bytes().split(b"\n")[:9])))
    run()
    (manifest,) = seen("ingest.manifests")
    assert manifest["datasets"] == {"inmet_hourly": 0, "inmet_stations": 1}
    before = ends(target)
    run()
    assert ends(target) == before


def test_a_source_that_is_away_ends_its_poll_after_three_of_its_resources(run, monkeypatch):
    monkeypatch.setattr("producers.fetch.http.ATTEMPTS", 1)
    outcome = run(base_url="http://127.0.0.1:9/", span=Span(date(2015, 1, 1)))
    assert isinstance(outcome.error, DependencyUnavailable)
    assert outcome.tally.failed == ["2025", "2024", "2023"], "eleven years were not each tried in vain"
    assert not outcome.tally.has_answered


def test_a_year_that_is_not_published_yet_is_no_new_data(run, httpserver):
    httpserver.expect_request("/2025.zip").respond_with_data("not here", 404)
    outcome = run()
    assert (outcome.error, outcome.tally.rows) == (None, 0)


def test_an_undeclared_refusal_is_an_error(run, httpserver):
    httpserver.expect_request("/2025.zip").respond_with_data("no", 400)
    outcome = run()
    assert isinstance(outcome.error, CorrentezaError)


NOT_FOUND = '{"erro":{"statusCode":404,"detail":"Value(s) not found"}}'
WEATHER = sources.load("openmeteo_archive")
BODY = '[{"data":"02/01/2025","valor":"6.1"},{"data":"03/01/2025","valor":"%s"}]'


def test_two_series_with_equal_bodies_do_not_share_their_chunks(run, httpserver, target, seen):
    """Selic and CDI often have the same values: a chunk id made of the payload alone would stand twice."""
    for code in (1, 12):
        httpserver.expect_request(f"/bcdata.sgs.{code}/dados").respond_with_data(BODY % "6.2")
    assert run(SGS).tally.rows == 4
    assert {row["series_code"] for row in seen("bcb_sgs")} == {1, 12}
    assert len({m["chunk_id"] for m in seen("ingest.manifests")}) == 2
    assert_whole(target, SGS.datasets)


def test_a_changed_value_of_a_series_is_a_new_edition_without_an_assumed_clock(run, httpserver, target, seen):
    httpserver.expect_request("/bcdata.sgs.12/dados").respond_with_data("[]")
    for value in ("6.2", "6.2", "6.3"):
        httpserver.expect_oneshot_request("/bcdata.sgs.1/dados").respond_with_data(BODY % value)
        run(SGS)
    rows = seen("bcb_sgs")
    assert [str(row["value"].normalize()) for row in rows] == ["6.1", "6.2", "6.1", "6.3"]
    assert [row["published_at_basis"] for row in rows] == ["assumed_lag", "assumed_lag", "none", "none"]
    assert [row["published_at"] for row in rows[2:]] == [None, None]
    assert_whole(target, SGS.datasets)


def hours(number: int) -> str:
    """Three hours of one night; no two answers are equal byte by byte."""
    times = [f"2025-10-28T0{hour}:00" for hour in range(3)]
    units = {name: unit for name, (unit, _) in openmeteo.VARIABLES.items()}
    loaded = json.loads((DATA / "openmeteo" / "last14days_salvador_ba_archive_20251110.json").read_bytes())
    hourly = {"time": times, **{name: [1, 2, 3] for name in units}}
    return json.dumps({**loaded, "generationtime_ms": number, "hourly": hourly})


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "control: values alone are compared"])
def test_a_forecast_that_came_to_pass_is_published_once_more_as_past(httpserver, target, seen, monkeypatch, is_watched):
    source = replace(WEATHER, resources=lambda today, span: WEATHER.resources(today, span)[4:5])
    if not is_watched:
        source = replace(source, confirms=lambda body, before, now: False)
    published = []
    for number, moment in enumerate(("00:30", "00:45", "01:30", "03:00", "04:00")):
        now = datetime.fromisoformat(f"2025-10-28T{moment}:00+00:00")
        monkeypatch.setenv(clock.VARIABLE, f"{now.isoformat()}@1@{time.time()}")
        httpserver.expect_oneshot_request("/v1/archive").respond_with_data(hours(number))
        options = {"base_url": httpserver.url_for("/"), "span": Span(date(2025, 10, 27))}
        outcome = poll.poll(source, target, now=clock.now, **options)
        assert outcome.error is None
        published.append(outcome.tally.rows)
    ahead = [row["is_forecast"] for row in seen("openmeteo_archive")]
    if is_watched:
        assert published == [3, 0, 3, 3, 0]
        assert ahead == [False, True, True, False, False, True, False, False, False]
    else:
        assert published == [3, 0, 0, 0, 0]
        assert ahead == [False, True, True], "forecasts for ever"
    assert oracles.problems(target.bootstrap, target.prefix, source.datasets) == []


def test_another_sources_open_transaction_does_not_hide_our_cursor(run, year, target):
    """Behind it a read_committed reader sees nothing; taken for the end, all would be published again."""
    topic = target.prefix + load("ingest.cursors").topic
    other = in_transaction(target.bootstrap, f"{target.prefix}other")
    other.produce(topic, b"?", b"other|resource")
    other.flush(30)
    year.put(one(A401=SOME))
    # The first read would wait for the other transaction too: publish with a cursor read before it began.
    original, cursor.read = cursor.read, lambda *_: {}
    try:
        run()
    finally:
        cursor.read = original
    hidden = oracles.read(target.bootstrap, target.prefix, "ingest.cursors", settled=False)
    assert hidden == [], "control: a reader that stops at the decided end sees nothing"

    found: list[dict] = []
    reader = threading.Thread(
        target=lambda: found.append(
            cursor.read(target.bootstrap, topic, ["inmet_hourly"], Registry(target.registry_url).schema_by_id)
        )
    )
    reader.start()
    reader.join(1.5)
    assert reader.is_alive(), "it must not take the hidden end for the end"
    other.abort_transaction(60)
    wait_for(lambda: not reader.is_alive(), "the reader to finish")
    assert found[0]["inmet_hourly"]["2025"].parts["A401"].is_complete


def test_the_replayed_days_publish_what_is_new_and_a_replayed_day_nothing(target):
    with serve(day=1) as replay:

        def rows() -> dict[str, int]:
            # At three in the afternoon of the day that is replayed.
            now = datetime(2025, 11, 9 + replay.day, 15, tzinfo=UTC)
            outcomes = [
                poll.poll(sources.load(name), target, now=lambda: now, base_url=base_url)
                for name, base_url in replay.base_urls.items()
            ]
            assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
            return {outcome.source: outcome.tally.rows for outcome in outcomes}

        first = rows()
        assert all(first.values())
        before = ends(target)
        assert set(rows().values()) == {0}
        assert ends(target) == before
        replay.set_day(2)
        second = rows()
        assert 0 < second["bcb_sgs"] < first["bcb_sgs"]
        assert second["openmeteo_archive"] == 12 * 24, "the day of the newest value, ten before it, and the new one"
        replay.set_day(3)
        assert rows()["inmet_hourly"] == 8785, "the corrected member alone"
    assert_whole(target, datasets())


def test_poll_all_goes_on_after_a_source_that_is_away_and_says_so(here, target, httpserver):
    httpserver.expect_request("/bcdata.sgs.1/dados").respond_with_data(BODY % "6.2")
    httpserver.expect_request(re.compile("/bcdata.*")).respond_with_data("[]")
    httpserver.expect_request(re.compile("/closed/.*")).respond_with_data("no", 401)
    urls = {name: httpserver.url_for("/closed/") for name in sources.load_all()}
    urls |= {"anatel_broadband_accesses": "http://127.0.0.1:9/", "bcb_sgs": httpserver.url_for("/")}
    done = here(
        "poll",
        "--all",
        "--json",
        CORRENTEZA_BASE_URLS=json.dumps(urls),
        CORRENTEZA_HISTORY_START=json.dumps({"bcb_sgs": "2024-01-01"}),
    )
    assert done.returncode == 4, done.stderr
    summaries = {line["source"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert {source: summary["rows"] for source, summary in summaries.items()} == {
        name: 2 if name == "bcb_sgs" else 0 for name in urls
    }
    assert f"{len(urls) - 1} sources failed" in done.stderr


def test_the_reason_that_a_refusal_gives_is_in_the_error(run, httpserver):
    weather = replace(
        sources.load("openmeteo_archive"), resources=lambda today, span: WEATHER.resources(today, span)[4:5]
    )
    httpserver.expect_request("/v1/archive").respond_with_json(
        {"error": True, "reason": "Parameter 'end_date' is out of allowed range"}, 400
    )
    assert "out of allowed range" in str(run(weather).error)


def test_a_closed_window_without_a_value_is_noted_and_not_requested_again(run, httpserver, target, seen):
    """SGS begins its series in different years: the empty years before must not be asked for at every poll."""
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.args["dataInicial"])
        body = BODY % "6.2" if request.args["dataFinal"] == "01/03/2025" else NOT_FOUND
        return Response(body, 200 if "data" in body else 404)

    httpserver.expect_request("/bcdata.sgs.1/dados").respond_with_handler(answer)
    one_series = replace(
        SGS, resources=lambda today, span: [each for each in SGS.resources(today, span) if each.name == "1"]
    )
    for expected in (["27/12/2019", "01/01/2000", "29/12/2009"], ["05/10/2024"]):
        asked.clear()
        assert run(one_series, span=Span(date(2000, 1, 1))).error is None
        assert asked == expected
    parts = seen("ingest.cursors")[-1]["parts"]
    assert {key: state["is_complete"] for key, state in parts.items()} == {
        "2000-01-01..2009-12-28": True,
        "2009-12-29..2019-12-26": True,
        "2019-12-27..": True,
    }
    assert len(seen("ingest.manifests")) == 1, "nothing was published of the empty windows"

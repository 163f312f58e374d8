"""Open-Meteo: bodies of the archive and the forecast, their windows, and what is no new data."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidContent
from producers import sources
from producers.families import openmeteo
from producers.families.openmeteo_points import POINTS
from producers.model import Part, Progress, RejectReason, Span
from replay.content import DATA
from replay.openmeteo_archive import answer
from tests.golden.kit import FOLDER
from tests.records import RETRIEVED_AT

ARCHIVE, FORECAST = sources.load("openmeteo_archive"), sources.load("openmeteo_forecast")
DAY_1, DAY_2 = (DATA / "openmeteo" / f"last14days_salvador_ba_archive_202511{day}.json" for day in (10, 11))
VARIABLES = ("temperature_2m", "relative_humidity_2m", "precipitation", "wind_speed_10m")


def body(change: Callable[[dict[str, Any]], object] = lambda loaded: None) -> bytes:
    """Three recorded hours, changed."""
    loaded = json.loads(DAY_1.read_bytes())
    loaded["hourly"] = {name: values[:3] for name, values in loaded["hourly"].items()}
    change(loaded)
    return json.dumps(loaded).encode()


def parsed(content: bytes, source=ARCHIVE, point: str = "2927408", retrieved_at=RETRIEVED_AT, **options):
    chunks = list(source.parse([content], Part(point, "p", "p", retrieved_at), **options))
    rows = [row for chunk in chunks for row in chunk.records[source.name].to_pylist()]
    return rows, [reject for chunk in chunks for reject in chunk.rejects]


@pytest.mark.parametrize("file", [DAY_1, DAY_2], ids=["10", "11"])
def test_every_hour_of_a_sample_is_the_files(file):
    loaded = json.loads(file.read_bytes())
    rows, rejects = parsed(file.read_bytes(), chunk_rows=100)
    assert rejects == []
    assert rows == [
        {
            "point_id": "2927408",
            "model": "best_match",
            "grid_latitude_degrees": -12.970122,
            "grid_longitude_degrees": -38.45456,
            "elevation_m": 39.0,
            "valid_at": datetime.fromisoformat(moment).replace(tzinfo=UTC),
            "air_temperature_celsius": values[0],
            "relative_humidity_percent": values[1],
            "precipitation_mm": values[2],
            "wind_speed_km_h": values[3],
            "is_forecast": moment > "2025-11-11T12:34",  # of RETRIEVED_AT
            "row_number": number,
        }
        for number, (moment, *values) in enumerate(
            zip(*(loaded["hourly"][name] for name in ("time", *VARIABLES)), strict=True)
        )
    ]


def test_a_forecast_is_issued_in_the_hour_it_was_fetched_in():
    rows, _ = parsed(body(), FORECAST)
    assert {row["issued_at"] for row in rows} == {RETRIEVED_AT.replace(minute=0, second=0, microsecond=0)}
    assert len(rows) == 3


def test_parsing_goes_on_at_any_row():
    whole, _ = parsed(DAY_1.read_bytes())
    rest, _ = parsed(DAY_1.read_bytes(), first_row=200, chunk_rows=50)
    assert rest == whole[200:]


def test_null_inside_an_array_is_no_value():
    rows, rejects = parsed(body(lambda loaded: loaded["hourly"].update(precipitation=[None, 0, 0.4])))
    assert [row["precipitation_mm"] for row in rows] == [None, 0.0, 0.4]
    assert rejects == []


def noted(content: bytes) -> list[str]:
    (chunk,) = ARCHIVE.parse([content], Part("2927408", "p", "p", RETRIEVED_AT))
    return list(chunk.notes)


def test_nan_is_no_value_wherever_it_stands():
    """JSON has no NaN; those who write it mean a number that they do not have."""
    rows, rejects = parsed(body(lambda loaded: loaded["hourly"].update(precipitation=[float("nan"), 0, 0.4])))
    assert [row["precipitation_mm"] for row in rows] == [None, 0.0, 0.4]
    assert rejects == []
    for name in ("latitude", "longitude", "elevation"):
        nan, null = (body(lambda loaded, n=name, v=v: loaded.update({n: v})) for v in (float("nan"), None))
        assert parsed(nan) == parsed(null)
        assert len(parsed(nan)[0]) == 3


def test_a_variable_that_the_model_does_not_compute_is_null_and_noted():
    """Its unit is "undefined" and all of its values are null. With a value it would be in an unknown unit."""

    def undefined(loaded):
        loaded["hourly_units"]["precipitation"] = "undefined"
        loaded["hourly"]["precipitation"] = [None, float("nan"), None]

    rows, rejects = parsed(body(undefined))
    assert [row["precipitation_mm"] for row in rows] == [None] * 3
    assert all(row["air_temperature_celsius"] is not None for row in rows)
    assert rejects == []
    (note,) = noted(body(undefined))
    assert "precipitation" in note


def test_a_missing_elevation_is_null_and_noted():
    content = body(lambda loaded: loaded.pop("elevation"))
    assert {row["elevation_m"] for row in parsed(content)[0]} == {None}
    assert noted(content) == ["no elevation: it is null"]
    assert noted(body()) == []


def test_a_variable_under_a_models_suffix_is_named():
    content = (FOLDER / "openmeteo_archive" / "built-model-suffix.json").read_bytes()
    with pytest.raises(InvalidContent, match=r"no temperature_2m, .*; unknown names: temperature_2m_ecmwf_ifs025"):
        parsed(content)


def test_a_number_that_is_no_json_at_all_refuses_the_body():
    """`nan` in small letters: no reader of JSON takes it, and who writes it may write anything."""
    with pytest.raises(InvalidContent, match="not JSON"):
        parsed(body().replace(b'"elevation": 39.0', b'"elevation": nan'))


# What is past, and what is still a forecast


@pytest.mark.parametrize(
    ("fetched", "ahead"),
    [
        ("2025-10-27T23:59:59", [True, True, True]),
        ("2025-10-28T00:59:59", [False, True, True]),
        ("2025-10-28T01:00:00", [False, False, True]),
        ("2025-10-28T01:00:01", [False, False, True]),
        ("2025-10-28T02:00:00", [False, False, False]),
    ],
)
def test_an_hour_that_ends_after_the_fetch_is_a_forecast(fetched, ahead):
    rows, _ = parsed(body(), retrieved_at=datetime.fromisoformat(fetched).replace(tzinfo=UTC))
    assert [row["is_forecast"] for row in rows] == ahead


def test_hours_that_are_past_now_make_an_equal_body_worth_publishing():
    fetched = datetime(2025, 10, 28, 0, 30, tzinfo=UTC)
    assert not ARCHIVE.confirms(body(), fetched, fetched + timedelta(minutes=29))
    assert ARCHIVE.confirms(body(), fetched, fetched + timedelta(minutes=30))
    assert not ARCHIVE.confirms(body(), fetched + timedelta(hours=2), fetched + timedelta(days=1))
    # An hour without a value says nothing, then as before.
    empty = body(lambda loaded: loaded["hourly"].update({name: [None] * 3 for name in VARIABLES}))
    assert not ARCHIVE.confirms(empty, fetched, fetched + timedelta(days=1))
    assert not ARCHIVE.confirms(b"no body", fetched, fetched + timedelta(days=1))


def test_a_list_of_the_one_point_is_read_and_one_of_several_is_not():
    assert parsed(b"[" + body() + b"]") == parsed(body())
    with pytest.raises(InvalidContent, match="list of 2"):
        parsed(b"[" + body() + b"," + body() + b"]")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda loaded: loaded["hourly_units"].update(wind_speed_10m="m/s"), "wind_speed_10m is in 'm/s'"),
        (lambda loaded: loaded["hourly_units"].pop("precipitation"), "no unit of precipitation"),
        (
            lambda loaded: loaded["hourly_units"].update(precipitation="undefined"),
            "precipitation is in 'undefined', not in 'mm'",
        ),
        (lambda loaded: loaded["hourly_units"].update(time="unixtime"), "time is in"),
        (lambda loaded: loaded.update(utc_offset_seconds=-10800), "-10800 seconds from UTC"),
        (lambda loaded: loaded.pop("utc_offset_seconds"), "seconds from UTC"),
        (lambda loaded: loaded["hourly"]["precipitation"].pop(), "unequal length"),
        (lambda loaded: loaded["hourly"].pop("temperature_2m"), "no temperature_2m; unknown names: none"),
        (
            lambda loaded: loaded["hourly"].update(temperature_2m_ecmwf=loaded["hourly"].pop("temperature_2m")),
            "no temperature_2m; unknown names: temperature_2m_ecmwf",
        ),
        (lambda loaded: loaded["hourly"].update(precipitation=None), "no array of precipitation"),
        (lambda loaded: loaded.pop("hourly"), "no hourly values"),
        (lambda loaded: loaded.update(latitude="north"), "latitude"),
        (lambda loaded: loaded.update(elevation=float("inf")), "elevation: not a number: 'Infinity'"),
    ],
)
def test_a_body_that_is_not_what_was_asked_for_is_refused_whole(change, says):
    with pytest.raises(InvalidContent, match=says):
        parsed(body(change))


def test_the_reason_of_a_refusal_is_said():
    with pytest.raises(InvalidContent, match="Parameter 'start_date' is out of allowed range"):
        parsed(b'{"error":true,"reason":"Parameter \'start_date\' is out of allowed range"}')


def test_a_point_must_be_named():
    with pytest.raises(InvalidContent, match="--point"):
        parsed(body(), point="last14days")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"time": ["2025-10-28T00:00", "2025-10-28", "2025-10-28T02:00"]}, RejectReason.BAD_DATE),
        ({"time": ["2025-10-28T00:00", "2025-02-30T00:00", "2025-10-28T02:00"]}, RejectReason.BAD_DATE),
        ({"time": ["2025-10-28T00:00", None, "2025-10-28T02:00"]}, RejectReason.BAD_DATE),
        ({"precipitation": [0, "0.1", 0]}, RejectReason.BAD_NUMBER),
        ({"precipitation": [0, True, 0]}, RejectReason.BAD_NUMBER),
        ({"precipitation": [0, float("inf"), 0]}, RejectReason.BAD_NUMBER),
        ({"precipitation": [0, float("-inf"), 0]}, RejectReason.BAD_NUMBER),
        ({"precipitation": [0, "NaN", 0]}, RejectReason.BAD_NUMBER),
        ({"time": ["2025-10-28T00:00", "2025-10-28T00:30", "2025-10-28T02:00"]}, RejectReason.BAD_DATE),
        ({"time": ["2025-10-28T00:00", float("nan"), "2025-10-28T02:00"]}, RejectReason.BAD_DATE),
        ({"precipitation": [0, [], 0]}, RejectReason.BAD_NUMBER),
    ],
)
def test_a_bad_hour_is_a_reject_in_its_place(values, reason):
    rows, rejects = parsed(body(lambda loaded: loaded["hourly"].update(values)))
    assert [row["row_number"] for row in rows] == [0, 2]
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, reason)]


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)


@given(st.dictionaries(st.sampled_from(["time", *VARIABLES]), st.lists(JSON, min_size=3, max_size=3)))
def test_any_values_in_whole_arrays_are_rows_or_rejects(values):
    content = body(lambda loaded: loaded["hourly"].update(values))
    rows, rejects = parsed(content)
    assert len(rows) + len(rejects) == 3
    assert ARCHIVE.repeats(content, content)
    openmeteo.newest_day(content)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_never_raised(content):
    with pytest.raises(InvalidContent):
        parsed(content)
    assert not ARCHIVE.repeats(content, content)
    assert not ARCHIVE.is_no_news(200, content)
    ARCHIVE.throttled_for(content)


# What is news


def test_the_time_of_the_answer_and_a_moved_window_are_no_new_data():
    def slid(loaded):
        loaded["generationtime_ms"] = 0.1
        loaded["hourly"] = {name: values[1:] for name, values in loaded["hourly"].items()}

    assert ARCHIVE.repeats(body(), body(slid))


@pytest.mark.parametrize(
    "change",
    [
        lambda loaded: loaded["hourly"]["temperature_2m"].__setitem__(2, 30.1),
        lambda loaded: loaded["hourly"]["temperature_2m"].__setitem__(2, None),
        lambda loaded: loaded["hourly"]["time"].__setitem__(2, "2025-10-28T03:00"),
        lambda loaded: loaded.update(latitude=-12.9),
    ],
    ids=["value", "null", "hour", "cell"],
)
def test_another_value_hour_or_cell_is_new_data(change):
    assert not ARCHIVE.repeats(body(), body(change))


def test_the_second_recorded_day_differs_from_the_first_in_its_new_hours_and_the_last_six_of_the_first():
    former, newer = (openmeteo.read(file.read_bytes()) for file in (DAY_1, DAY_2))
    before = dict(zip(former.times, zip(*former.columns, strict=True), strict=True))
    after = dict(zip(newer.times, zip(*newer.columns, strict=True), strict=True))
    changed = [moment for moment, values in after.items() if before.get(moment) != values]
    assert len(changed) == 30
    assert changed[:6] == [f"2025-11-10T{hour}:00" for hour in range(18, 24)]
    assert not ARCHIVE.repeats(DAY_1.read_bytes(), DAY_2.read_bytes())


def test_a_body_without_an_hour_means_no_new_data_and_a_refusal_does_not():
    def emptied(loaded):
        loaded["hourly"] = {name: [] for name in loaded["hourly"]}

    assert ARCHIVE.is_no_news(200, body(emptied))
    assert not ARCHIVE.is_no_news(200, body())
    assert not ARCHIVE.is_no_news(400, b'{"error":true,"reason":"no"}')
    assert not ARCHIVE.is_no_news(404, b"")


@pytest.mark.parametrize(
    ("reason", "seconds"),
    [
        ("Minutely API request limit exceeded. Please try again in one minute.", 60),
        ("Hourly API request limit exceeded. Please try again in the next hour.", 3600),
        ("Daily API request limit exceeded. Please try again tomorrow.", 6 * 3600 + 300),
        ("Something went wrong.", None),
    ],
)
def test_the_pause_that_a_429_states_in_words_is_read(monkeypatch, reason, seconds):
    monkeypatch.setattr(openmeteo.clock, "now", lambda: datetime(2026, 1, 10, 18, tzinfo=UTC))
    wait = ARCHIVE.throttled_for(json.dumps({"error": True, "reason": reason}).encode())
    assert (wait and wait.total_seconds()) == seconds


# What is asked


def asked(source, today: date, complete=(), newest: bytes | None = None, span: Span | None = None):
    span = span or Span(date(2025, 1, 1))
    progress = Progress(
        today, span, frozenset(complete), lambda key: newest, lambda key: None, lambda path, params: b"never asked"
    )
    resource = next(each for each in source.resources(today, span) if each.name == "2927408")
    return resource.path, list(source.plan(resource, progress))


def test_the_archive_is_asked_in_years_the_present_first_and_then_for_the_ten_days_before_its_newest_value():
    path, asks = asked(ARCHIVE, date(2026, 2, 1))
    assert path == "v1/archive"
    assert [(ask.key, ask.params["start_date"], ask.params["end_date"]) for ask in asks] == [
        ("2026-01-01..", "2026-01-01", "2026-02-01"),
        ("2025-01-01..2025-12-31", "2025-01-01", "2025-12-31"),
    ]
    _, (ask,) = asked(ARCHIVE, date(2025, 11, 11), ["2025-01-01.."], DAY_1.read_bytes(), Span(date(2025, 1, 1)))
    assert (ask.params["start_date"], ask.params["end_date"]) == ("2025-10-31", "2025-11-11")


def test_a_forecast_is_asked_for_a_week_and_has_no_history():
    path, (ask,) = asked(FORECAST, date(2026, 2, 1))
    assert (path, ask.params["forecast_days"]) == ("v1/forecast", "7")
    assert not FORECAST.keeps_history


@pytest.mark.parametrize("source", [ARCHIVE, FORECAST], ids=["archive", "forecast"])
def test_every_request_asks_for_gmt_and_the_points_are_the_27_capitals(source):
    _, asks = asked(source, date(2026, 2, 1))
    assert {ask.params["timezone"] for ask in asks} == {"GMT"}
    assert {ask.params["latitude"] for ask in asks} == {"-12.9718"}
    assert len({point.code for point in POINTS}) == len({point.code[:2] for point in POINTS}) == 27
    assert [each.name for each in source.resources(date(2026, 2, 1), Span(date(2025, 1, 1)))] == [
        point.code for point in POINTS
    ]


def test_the_points_are_those_of_the_list_of_municipalities():
    lines = (DATA.parents[1] / "stream_jobs" / "reference" / "municipios.csv").read_text(encoding="utf-8-sig")
    listed = {row.split(",")[0]: row.split(",") for row in lines.splitlines()}
    for point in POINTS:
        _, name, latitude, longitude, is_capital, *_ = listed[point.code]
        assert (name, is_capital) == (point.name, "1")
        assert (float(latitude), float(longitude)) == (float(point.latitude), float(point.longitude))


# When it was public


def test_history_is_public_a_week_after_its_hour_and_a_forecast_only_when_it_was_fetched():
    for source, expected in ((ARCHIVE, datetime(2025, 11, 4, tzinfo=UTC)), (FORECAST, None)):
        chunk = next(source.parse([body()], Part("2927408", "p", "p", RETRIEVED_AT)))
        publication = source.publication[source.name]
        first = publication.period_end(chunk.records[source.name])[0].as_py() + publication.lag(
            Part("2927408", "p", "p", RETRIEVED_AT)
        )
        assert first == expected if expected else first > RETRIEVED_AT


# The replay


def test_the_replay_cuts_the_recording_to_the_window_and_invents_no_other_point():
    query = {**openmeteo.params(ARCHIVE.resources(date(2026, 1, 1), Span(date(2025, 1, 1)))[4])}
    window = {"start_date": "2025-11-10", "end_date": "2026-01-01"}
    reply = answer("v1/archive", {**query, **window}, 1)
    rows, _ = parsed(reply.body)
    assert [row["valid_at"] for row in rows] == [
        datetime(2025, 11, 10, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24)
    ]
    elsewhere = answer("v1/archive", {**query, **window, "latitude": "-9.66599"}, 1)
    assert ARCHIVE.is_no_news(elsewhere.status, elsewhere.body)
    assert answer("v1/archive", query, 1).status == 400

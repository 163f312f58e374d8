"""A place of the settings: polled, published, in silver and in `external_factors_daily`, and verified."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from werkzeug import Request, Response

from correnteza import topics
from producers import poll, sources
from producers.families import openmeteo_points
from producers.model import Span
from schemas import choices
from schemas.contracts import load_all
from stream_jobs.gold.job import GoldJob
from stream_jobs.gold.model import discover
from tests.erased_lake import STATIC
from tests.pipeline import OWN_ORACLES, Pipeline

ARCHIVE = sources.load("openmeteo_archive")
CONTRACTS = ("openmeteo_archive", "ingest.manifests", "ingest.rejects", "ingest.withdrawals")
NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)
FEIRA = "2910800"
SITE = f"{FEIRA}@-12.25,-38.95"
CHOICE = {
    "polled": {"openmeteo_archive": dict.fromkeys(openmeteo_points.DECLARED, False)},
    "places": {FEIRA: {"latitude": -12.25, "longitude": -38.95}},
}
"""The site alone: the capitals' weather would be 27 more requests."""


@pytest.fixture
def asked(httpserver) -> list[tuple[str, str]]:
    """Answers 30 degrees for every hour. Returns: the points that were asked for."""
    found: list[tuple[str, str]] = []

    def answer(request: Request) -> dict:
        found.append((request.args["latitude"], request.args["longitude"]))
        first, last = (datetime.fromisoformat(request.args[name]) for name in ("start_date", "end_date"))
        hours = 24 * ((last - first).days + 1)
        constant = {"temperature_2m": 30.0, "relative_humidity_2m": 70, "precipitation": 0.5, "wind_speed_10m": 36.0}
        units = {"temperature_2m": "°C", "relative_humidity_2m": "%", "precipitation": "mm", "wind_speed_10m": "km/h"}
        return {
            "latitude": -12.2,
            "longitude": -38.9,
            "utc_offset_seconds": 0,
            "hourly_units": {"time": "iso8601", **units},
            "hourly": {
                "time": [f"{first + timedelta(hours=n):%Y-%m-%dT%H:%M}" for n in range(hours)],
                **{name: [value] * hours for name, value in constant.items()},
            },
        }

    httpserver.expect_request("/v1/archive").respond_with_handler(lambda request: Response(json.dumps(answer(request))))
    return found


def streamed(pipeline: Pipeline) -> None:
    bronze = [pipeline.bronze(name) for name in CONTRACTS]
    gold = [GoldJob(discover()[name], pipeline.driver) for name in ("fact_reanalysis_daily", "external_factors_daily")]
    pipeline.run(*bronze, pipeline.silver("openmeteo_archive"), *gold)


def wrong(pipeline: Pipeline) -> dict[str, list[str]]:
    """What `verify` finds; the tests' own oracles of gold know the capitals only."""
    return pipeline.contradictions(*CONTRACTS, without=(*STATIC, OWN_ORACLES))


def without_the_place(found: dict[str, list[str]]) -> list[str]:
    """The oracle: checks of `verify` that do not hold."""
    return [f"{check}: {words[0]}" for check, words in found.items()]


@pytest.mark.slow
def test_a_site_of_ones_own_reaches_silver_and_the_factors_and_keeps_its_rows_when_it_is_stopped(
    choose, pipeline, httpserver, asked, control
):
    settings = pipeline.settings
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    pipeline.declare(*CONTRACTS)
    target = poll.Services(settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive_root)

    def run() -> poll.Outcome:
        return poll.poll(
            ARCHIVE, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=Span(date(2025, 3, 1))
        )

    choose(**CHOICE)
    assert run().error is None
    assert set(asked) == {("-12.25", "-38.95")}
    streamed(pipeline)
    assert {row["point_id"] for row in pipeline.rows("silver.openmeteo_archive")} == {SITE}
    assert {row["municipality_code"] for row in pipeline.rows("gold.fact_reanalysis_daily")} == {SITE}
    rows = {row["date_on"]: row for row in pipeline.rows("gold.external_factors_daily")}
    day = rows[date(2025, 3, 5)]
    assert (day["municipality_code"], day["uf"], day["station_code"]) == (FEIRA, "BA", "")
    assert (day["weather_source"], day["temperature_mean_celsius"], day["rain_mm"]) == ("openmeteo_archive", 30.0, 12.0)
    control.holds(without_the_place, wrong(pipeline))

    asked.clear()
    choose(polled=CHOICE["polled"], places={FEIRA: {**CHOICE["places"][FEIRA], "poll": False}})
    outcome = run()
    assert (outcome.error, outcome.tally.withdrawn, asked) == (None, 0, [])
    streamed(pipeline)
    assert {row["date_on"]: row for row in pipeline.rows("gold.external_factors_daily")} == rows
    assert wrong(pipeline) == {}

    choices.use({}, ())
    control.objects(without_the_place, wrong(pipeline), damage="external_factors_daily")

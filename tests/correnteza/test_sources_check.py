"""`correnteza sources check` asks once and publishes nothing: what it says of good, odd, wrong and missing answers."""

import json
import re

import pytest
from typer.testing import CliRunner

from correnteza.cli import app
from foundation.errors import CorrentezaError, InvalidContent, TransientError
from producers import sources
from replay.server import serve
from schemas import choices

NOON = "2025-11-10T15:00:00Z@1"


@pytest.fixture(scope="module")
def replay():
    with serve() as server:
        yield server


@pytest.fixture(autouse=True)
def at_the_replay(replay, monkeypatch, tmp_path):
    """In an empty folder, without a broker, a minute after the recording."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORRENTEZA_CLOCK", NOON)
    monkeypatch.setenv("CORRENTEZA_BASE_URLS", json.dumps(replay.base_urls))
    monkeypatch.setattr("producers.fetch.http.ATTEMPTS", 1)
    yield
    choices.use({}, ())
    assert list(tmp_path.iterdir()) == [], "nothing is archived"


def check(*arguments: str) -> tuple[dict, BaseException | None]:
    """The printed document and the error."""
    done = CliRunner().invoke(app, ["sources", "check", *arguments, "--json"])
    return json.loads(done.stdout) if done.stdout else {}, done.exception


EMPTY = {"openmeteo_archive", "openmeteo_forecast"}
"""The replay holds the weather of Salvador alone, which is not the first point."""


@pytest.mark.parametrize("source", sources.load_all())
def test_every_source_is_as_expected_at_the_replay(source):
    named = ["--resource", "2927408"] if source in EMPTY else []
    found, error = check(source, *named)
    assert error is None
    answer = found["answers"][-1]
    assert answer["verdict"] == "as expected"
    assert set(answer["would_publish"]) <= set(sources.load(source).datasets)
    assert sum(answer["would_publish"].values()) > 0
    assert answer["problem"] is None


def test_an_own_item_can_be_asked_for_by_name_and_an_unknown_one_is_refused(monkeypatch):
    monkeypatch.setenv("CORRENTEZA_POLLED", '{"bcb_ptax": {"GBP": true}}')
    found, error = check("bcb_ptax", "--resource", "GBP")
    assert error is None
    assert found["answers"][0]["resource"] == "GBP"
    _, error = check("bcb_ptax", "--resource", "JPY")
    assert isinstance(error, CorrentezaError)
    assert (error.exit_code, str(error)) == (2, "bcb_ptax polls no 'JPY'")


def test_no_news_is_no_failure_and_says_that_no_structure_was_seen():
    done = CliRunner().invoke(app, ["sources", "check", "openmeteo_archive"])
    assert done.exit_code == 0
    assert "no news" in done.stdout
    assert "the structure of a full answer was not seen" in done.stdout


def served(httpserver, monkeypatch, source: str, path: str, text: str, status: int = 200) -> None:
    httpserver.expect_request(path).respond_with_data(text, status)
    monkeypatch.setenv("CORRENTEZA_BASE_URLS", json.dumps({source: httpserver.url_for("/")}))


GOOD = '{"data":"03/11/2025","valor":"1"}'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<html>at lunch</html>", "a page of markup where data were asked for"),
        ('{"erro": "x"}', "not a JSON array"),
        ('[{"dia":"03/11/2025","valor":"1"}]', "1 of its first 1 rows are rejected"),
    ],
)
def test_an_answer_that_no_poll_would_publish_is_refused_with_1(httpserver, monkeypatch, text, says):
    served(httpserver, monkeypatch, "bcb_sgs", "/bcdata.sgs.1/dados", text)
    found, error = check("bcb_sgs")
    assert isinstance(error, InvalidContent)
    assert error.exit_code == 1
    (answer,) = found["answers"]
    assert answer["verdict"] == "refused"
    assert says in answer["problem"]
    assert answer["would_publish"] == {}


def test_rejects_and_oddities_are_counted_and_named(httpserver, monkeypatch):
    text = f'[{GOOD},{{"data":"04/11/2025","valor":"um"}},{{"data":"05/11/2025","valor":"2","nota":"x"}}]'
    served(httpserver, monkeypatch, "bcb_sgs", "/bcdata.sgs.1/dados", text)
    found, error = check("bcb_sgs")
    assert error is None
    (answer,) = found["answers"]
    assert (answer["would_publish"], answer["rejected"]) == ({"bcb_sgs": 2}, 1)
    assert any("bad_number" in why for why in answer["rejects"])
    assert any("nota" in note for note in answer["notes"])
    assert answer["days"] == {"bcb_sgs": ["2025-11-03", "2025-11-05"]}


def test_another_unit_is_refused(httpserver, monkeypatch, replay, control):
    """The oracle is the verdict; the control is the same body with the unit that the parser expects."""
    body = {
        "utc_offset_seconds": 0,
        "hourly_units": {
            "time": "iso8601",
            "temperature_2m": "°C",
            "relative_humidity_2m": "%",
            "precipitation": "mm",
            "wind_speed_10m": "km/h",
        },
        "hourly": {
            "time": ["2025-11-10T00:00"],
            "temperature_2m": [25.0],
            "relative_humidity_2m": [80],
            "precipitation": [0.0],
            "wind_speed_10m": [10.0],
        },
    }

    def problems(unit: str) -> list[str]:
        text = json.dumps({**body, "hourly_units": {**body["hourly_units"], "temperature_2m": unit}})
        httpserver.clear()
        served(httpserver, monkeypatch, "openmeteo_archive", "/v1/archive", text)
        found, _ = check("openmeteo_archive")
        return [answer["problem"] for answer in found["answers"] if answer["problem"]]

    control.holds(problems, "°C")
    control.objects(problems, "°F", damage="temperature_2m is in '°F', not in '°C'")


def test_a_source_that_is_away_ends_with_4(httpserver, monkeypatch):
    served(httpserver, monkeypatch, "bcb_sgs", "/bcdata.sgs.1/dados", "no", 500)
    found, error = check("bcb_sgs")
    assert isinstance(error, TransientError)
    assert error.exit_code == 4
    assert found["answers"][0]["verdict"] == "away"


def test_every_resource_is_asked_once_with_every(httpserver, monkeypatch):
    httpserver.expect_request(re.compile("/Cotacao.*")).respond_with_data('{"value": []}')
    monkeypatch.setenv("CORRENTEZA_BASE_URLS", json.dumps({"bcb_ptax": httpserver.url_for("/")}))
    found, error = check("bcb_ptax", "--every")
    assert error is None
    assert [each["resource"] for each in found["answers"]] == ["USD", "EUR"]
    assert len(httpserver.log) == 2

"""`correnteza poll`: what it asks for, what it refuses, and how a backfill is run with it."""

import json
import re
import signal
from datetime import UTC, datetime

import pytest
from werkzeug import Request, Response

from correnteza import polling, topics
from correnteza.commands import poll as command
from correnteza.settings import Settings
from foundation.errors import CorrentezaError, FencedError
from producers import sources
from producers.fetch import http
from producers.poll import Outcome
from producers.schedule import attempt
from producers.session import Tally
from schemas.contracts import load_all
from tests import oracles


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name one source, or use --all"),
        (("bcb_sgs", "--all"), "name one source, or use --all"),
        (("bcb_sgs", "--until", "2019-12-31"), "--until needs --since"),
        (("--all", "--since", "2015-01-01"), "--since needs one source"),
        (("openmeteo_forecast", "--since", "2015-01-01"), "openmeteo_forecast keeps no history"),
        (("bcb_sgs", "--since", "2020-01-01", "--until", "2019-01-01"), "is after --until"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_asked(here, arguments, says):
    done = here("poll", *arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr


def test_a_backfill_ends_with_a_summary_and_leaves_the_schedules_outcomes_alone(here, settings, httpserver):
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)

    def answer(request: Request) -> Response:
        first = datetime.strptime(request.args["dataInicial"], "%d/%m/%Y")
        found = [{"data": f"{first:%d/%m/%Y}", "valor": "1"}] if "sgs.1/" in request.path else []
        return Response(json.dumps(found))

    httpserver.expect_request(re.compile("/bcdata.*")).respond_with_handler(answer)
    variables = {"CORRENTEZA_BASE_URLS": json.dumps({"bcb_sgs": httpserver.url_for("/")})}
    done = here("poll", "bcb_sgs", "--since", "1995-01-01", "--until", "1995-12-31", **variables)
    assert done.returncode == 0, done.stderr
    assert "unchanged parts" in done.stdout
    assert done.stdout.splitlines()[1].split()[:2] == ["bcb_sgs", "1"]
    (row,) = oracles.read(settings.bootstrap, settings.topic_prefix, "bcb_sgs")
    assert str(row.fields["reference_on"]) == "1995-01-01"
    store = attempt.RequestStore(settings.bootstrap, settings.topic_prefix)
    assert store.outcomes.newest() == {}, "the schedule's state is about the schedule's polls"


def test_days_that_the_schedule_owns_come_with_an_ordinary_poll_and_once(here, settings, httpserver):
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    httpserver.expect_request("/bcdata.sgs.1/dados").respond_with_data('[{"data":"02/01/2024","valor":"1"}]')
    httpserver.expect_request(re.compile("/bcdata.*")).respond_with_data("[]")
    variables = {
        "CORRENTEZA_BASE_URLS": json.dumps({"bcb_sgs": httpserver.url_for("/")}),
        "CORRENTEZA_HISTORY_START": json.dumps({"bcb_sgs": "2026-10-01"}),
        "CORRENTEZA_CLOCK": "2026-11-23T12:00:00Z@1",
    }
    for _ in range(2):
        done = here("poll", "bcb_sgs", "--since", "2026-10-15", **variables)
        assert done.returncode == 0, done.stderr
        assert "the days from 2026-10-01 on are the live schedule's" in done.stderr
    assert len(oracles.read(settings.bootstrap, settings.topic_prefix, "bcb_sgs")) == 1


def test_a_key_in_the_settings_reaches_the_client_and_shows_nowhere(settings, httpserver, monkeypatch, capsys):
    """The client is stopped before it asks: what a key does to a request is tested with the client."""
    seen = []

    def for_source(source, base_url, api_key):
        seen.append((source.name, base_url, api_key))
        raise CorrentezaError("far enough")

    monkeypatch.setattr(http.Client, "for_source", for_source)
    keyed = Settings(**settings.model_dump() | {"api_keys": {"openmeteo_archive": "s3cret"}})
    outcome = polling.poll_source(
        keyed,
        sources.load("openmeteo_archive"),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        is_stopping=lambda: False,
        on_chunk=lambda tally: None,
    )
    assert str(outcome.error) == "far enough"
    assert seen == [("openmeteo_archive", None, "s3cret")]
    said = capsys.readouterr()
    assert "s3cret" not in said.out + said.err + repr(keyed)


@pytest.mark.parametrize("names", [["bcb_sgs"], ["bcb_focus", "bcb_sgs", "bcb_ptax"]], ids=["alone", "among others"])
def test_a_source_that_is_fenced_ends_alone_and_the_code_is_75(names, tmp_path, monkeypatch, capsys):
    """Another process polls it; of `--all` the others are polled nevertheless."""
    monkeypatch.setattr(command, "prove_compatibility", lambda registry: None)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)

    def do(source):
        if source.name == "bcb_sgs":
            raise FencedError("another process publishes")
        return Outcome(source.name, "slot", Tally(), 0.1, None, False)

    poller = command._Poller(Settings(home=tmp_path, registry_url="http://127.0.0.1:9"), as_json=True)
    with pytest.raises(FencedError) as caught:
        poller.run([sources.load(name) for name in names], do)
    assert caught.value.exit_code == 75
    assert [json.loads(line)["source"] for line in capsys.readouterr().out.splitlines()] == [
        name for name in names if name != "bcb_sgs"
    ]

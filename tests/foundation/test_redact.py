"""Secrets are in no line of the log, wherever in the line they were."""

import io
import json

import pytest
from pydantic import SecretStr

from foundation import log, redact
from foundation.redact import redacted
from producers.fetch.http import Client


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "the registry at http://user:pass@host:8081/apis does not answer",
            "the registry at http://***@host:8081/apis",
        ),
        ("https://token@host", "https://***@host"),
        ("tomador 529.982.247-25, paga", "tomador ***, paga"),
    ],
)
def test_user_information_and_taxpayers_numbers_are_not_shown(text, shown):
    assert redacted(text).startswith(shown)


@pytest.mark.parametrize(
    "text", ["http://host/a@b", "someone@example.org", "offset 52998224725", "10.124.529.982.247-25"]
)
def test_what_only_looks_like_it_is_left(text):
    assert redacted(text) == text


def test_a_key_is_not_shown_from_the_moment_that_a_client_holds_it(monkeypatch):
    """A source may repeat it in the reason why it refuses."""
    monkeypatch.setattr(redact, "_hidden", set())
    said = "the source says: key canary-7f3a may not ask for this"
    assert redacted(said) == said
    Client("http://host/", api_key=("apikey", SecretStr("canary-7f3a")))
    assert redacted(said) == "the source says: key *** may not ask for this"


def test_a_line_of_the_log_is_redacted_however_deep_and_in_a_stack_trace_too():
    stream = io.StringIO()
    log.configure(to=stream)
    try:
        raise ValueError("http://user:canary@host")
    except ValueError:
        log.get_logger("test").error("it_failed", asked=[{"url": "http://user:canary@host"}], rows=3, exc_info=True)
    finally:
        log.configure()
    (line,) = stream.getvalue().splitlines()
    assert "canary" not in line
    said = json.loads(line)
    assert (said["rows"], said["asked"]) == (3, [{"url": "http://***@host"}])
    assert "http://***@host" in said["exception"]

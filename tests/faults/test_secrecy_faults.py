"""O13: passwords, keys and taxpayers' numbers are put into every possible place, and no output contains them."""

import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

from correnteza import topics
from schemas.contracts import load_all
from schemas.queues import OUTCOMES
from tests import schedule_kit
from tests.helpers import UNMODIFIED, run_to_its_end
from tests.pipeline import pipeline
from tests.spark_fixtures import spark

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]

UNKNOWN_SCHEMA = b"\x00\xff\xff\xff\xfe"
PASSWORD, KEY, TAXPAYER = "canary-51c0", "canary-7f3a", "529.982.247-25"
DATASET = "inmet_stations"


def secrets_in(*said: str) -> list[str]:
    """The oracle: which of the planted ones occur, and where."""
    return [
        f"{secret} is said: ...{text[max(0, text.index(secret) - 60) : text.index(secret)]}"
        for text in said
        for secret in (PASSWORD, KEY, TAXPAYER)
        if secret in text
    ]


def with_password(url: str) -> str:
    return url.replace("://", f"://somebody:{PASSWORD}@")


def kept(home: Path) -> list[str]:
    """All that the pipeline wrote beside the data themselves: logs, records of processes, checkpoints."""
    files = [file for folder in ("logs", "run", "checkpoints") for file in (home / folder).rglob("*")]
    return [file.read_text(errors="replace") for file in files if file.is_file()]


@pytest.fixture
def repeats_the_key(httpserver) -> dict[str, str]:
    """A source that repeats the whole request in its refusal; the variables of a poll of it."""

    def refuse(request: Request) -> Response:
        reason = f"{request.args['apikey']} of {TAXPAYER} may not ask for this"
        return Response(json.dumps({"error": True, "reason": reason}), 400, content_type="application/json")

    httpserver.expect_request("/v1/archive").respond_with_handler(refuse)
    return {
        "CORRENTEZA_API_KEYS": json.dumps({"openmeteo_archive": KEY}),
        "CORRENTEZA_BASE_URLS": json.dumps({"openmeteo_archive": httpserver.url_for("/")}),
    }


def test_o13_no_command_prints_and_no_log_holds_a_planted_secret(pipeline, cli, httpserver, repeats_the_key):
    pipeline.declare(*load_all())
    pipeline.send(DATASET, [(TAXPAYER.encode(), framing + TAXPAYER.encode()) for framing in (b"\x01", UNKNOWN_SCHEMA)])
    variables = {"CORRENTEZA_REGISTRY_URL": with_password(pipeline.settings.registry), **repeats_the_key}

    said = [
        cli(*command.split(), **variables)
        for command in (
            "topics apply",
            "schemas plan",
            "poll openmeteo_archive --once",
            "poll openmeteo_archive --once --json",
            "run bronze --once",
            "status",
            "sources",
            "config show --origin",
            "config validate",
        )
    ]
    debug = cli("--debug", "poll", "openmeteo_archive", "--once", **variables)
    wrong = cli("--debug", "status", **variables | {"CORRENTEZA_API_KEYS": json.dumps({"openmeteo_archive": [KEY]})})
    away = cli("schemas", "plan", CORRENTEZA_REGISTRY_URL=with_password("http://127.0.0.1:9"))

    assert away.returncode == 4
    assert "Traceback" in debug.stderr
    assert wrong.returncode == 2
    assert httpserver.log, "nobody asked the source that tells"
    texts = [text for each in (*said, away) for text in (each.stdout, each.stderr)]
    assert "may not ask for this" in "".join(texts), "the source's words are shown"
    assert "Traceback" not in "".join(texts), texts
    assert (
        secrets_in(*texts, debug.stdout, debug.stderr, wrong.stdout, wrong.stderr, *kept(pipeline.settings.home)) == []
    )
    assert secrets_in(*(str(row) for row in outcomes(pipeline))) == [], "nor what is remembered of a poll"
    assert len(pipeline.rows(f"bronze.{DATASET}")) == 2  # where the bytes are kept, as they came


def outcomes(pipeline: Any) -> list[bytes]:
    """What stands in `poll.outcomes`: every process that shows a status reads it."""
    settings = pipeline.settings
    return schedule_kit.values(settings.bootstrap, settings.topic_prefix + OUTCOMES)


UNREDACTED = """
from foundation import redact
redact.redacted = lambda text: text
from correnteza.cli import main
main()
"""


def test_o13_control_without_the_redaction_the_same_commands_print_the_secrets(
    settings, tmp_path, repeats_the_key, control
):
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)

    def said(*start: str) -> list[str]:
        asked = (
            (["poll", "openmeteo_archive", "--once"], repeats_the_key),
            (["schemas", "plan"], {"CORRENTEZA_REGISTRY_URL": with_password("http://127.0.0.1:9")}),
        )
        done = [run_to_its_end(settings, tmp_path, start, arguments, variables) for arguments, variables in asked]
        return [text for each in done for text in (each.stdout, each.stderr)]

    control.holds(secrets_in, *said(*UNMODIFIED))
    damage = ("canary-7f3a is said", "529.982.247-25 is said", "canary-51c0 is said")
    control.objects(secrets_in, *said("-c", UNREDACTED), damage=damage)

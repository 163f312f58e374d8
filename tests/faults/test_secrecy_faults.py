"""O13: passwords, keys and taxpayers' numbers that are planted wherever one can stand occur in nothing that is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import TransientError
from schemas.contracts import load_all
from schemas.registry import Registry
from tests.pipeline import pipeline
from tests.spark_fixtures import spark

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]

UNKNOWN_SCHEMA = b"\x00\xff\xff\xff\xfe"
PASSWORD, KEY, TAXPAYER = "canary-51c0", "canary-7f3a", "529.982.247-25"
DATASET = "inmet_stations"


def secrets_in(*said: str) -> set[str]:
    """Which of the planted ones occur."""
    return {secret for secret in (PASSWORD, KEY, TAXPAYER) for text in said if secret in text}


def with_password(url: str) -> str:
    return url.replace("://", f"://somebody:{PASSWORD}@")


def kept(home: Path) -> list[str]:
    """All that the pipeline wrote beside the data themselves: logs, records of processes, checkpoints."""
    files = [file for folder in ("logs", "run", "checkpoints") for file in (home / folder).rglob("*")]
    return [file.read_text(errors="replace") for file in files if file.is_file()]


def test_o13_no_command_says_and_no_log_keeps_what_is_planted(pipeline, cli, httpserver):
    httpserver.expect_request("/").respond_with_data(f"key {KEY} of {TAXPAYER}", 500)
    pipeline.declare(*load_all())
    pipeline.send(DATASET, [(TAXPAYER.encode(), framing + TAXPAYER.encode()) for framing in (b"\x01", UNKNOWN_SCHEMA)])
    variables: dict[str, Any] = {
        "CORRENTEZA_REGISTRY_URL": with_password(pipeline.settings.registry),
        "CORRENTEZA_API_KEYS": json.dumps({"openmeteo_archive": KEY}),
        "CORRENTEZA_BASE_URLS": json.dumps({"openmeteo_archive": httpserver.url_for("/")}),
    }

    said = [
        cli(*command.split(), **variables)
        for command in (
            "topics apply",
            "schemas plan",
            "poll openmeteo_archive --once",
            "run bronze --once",
            "status",
            "sources",
            "--debug sources",
        )
    ]
    away = cli("schemas", "plan", CORRENTEZA_REGISTRY_URL=with_password("http://127.0.0.1:9"))

    assert away.returncode == 4
    texts = [text for each in (*said, away) for text in (each.stdout, each.stderr)]
    assert "Traceback" not in "".join(texts[:-2]), texts
    assert secrets_in(*texts, *kept(pipeline.settings.home)) == set()
    assert len(pipeline.rows(f"bronze.{DATASET}")) == 2  # where the bytes are kept, as they came


def test_o13_control_the_oracle_finds_a_password_in_an_error_that_nobody_redacted():
    with pytest.raises(TransientError) as silent:
        Registry(with_password("http://127.0.0.1:9")).versions("any")
    assert secrets_in(str(silent.value)) == {PASSWORD}

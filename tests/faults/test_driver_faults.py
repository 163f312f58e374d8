"""One driver, many queries, in a process of its own: F33 (told to stop in the midst of a batch), F34 (one is poisoned).

The bounds in seconds, and controls without a JVM, are in `tests/stream_jobs/test_supervisor.py`.
"""

import json
import os
import signal
import time
from datetime import date
from typing import Any

import pytest

from tests.helpers import wait_for
from tests.pipeline import pipeline
from tests.spark_fixtures import spark

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]

DATASET = "inmet_stations"
REVISIONS = f"silver.{DATASET}_revisions"
EVERY_SECOND = {"CORRENTEZA_SILVER_INTERVAL_SECONDS": "1"}


def stations(first: int, last: int) -> list[dict[str, Any]]:
    return [{"station_code": f"A{n:03}", "valid_from_on": date(2024, 1, 1)} for n in range(first, last)]


def test_f33_a_batch_that_outlasts_the_stop_timeout_is_abandoned_with_code_0_and_repeated(
    pipeline, cli_process, tmp_path
):
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.driver.locks.release()
    gate = tmp_path / "gate"
    driver = cli_process(
        "run",
        "silver",
        CORRENTEZA_FAILPOINT=f"after_revisions:wait={gate}",
        CORRENTEZA_STOP_TIMEOUT_SECONDS="2",
        **EVERY_SECOND,
    )
    reached = gate.with_name("gate.reached")
    wait_for(lambda: reached.exists() or driver.poll() is not None, "the midst of a batch", 200)

    began = time.monotonic()
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait(timeout=60) == 0, driver.said
    assert 2 <= time.monotonic() - began < 30
    assert len(pipeline.rows(REVISIONS)) == 5
    assert pipeline.rows(f"silver.{DATASET}") == []

    pipeline.run(pipeline.silver(DATASET))
    assert len(pipeline.rows(REVISIONS)) == len(pipeline.rows(f"silver.{DATASET}")) == 5


def test_f33_a_second_sigterm_ends_the_driver_at_once_with_code_143(pipeline, cli_process, tmp_path):
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.driver.locks.release()
    gate = tmp_path / "gate"
    driver = cli_process("run", "silver", CORRENTEZA_FAILPOINT=f"after_revisions:wait={gate}", **EVERY_SECOND)
    reached = gate.with_name("gate.reached")
    wait_for(lambda: reached.exists() or driver.poll() is not None, "the midst of a batch", 200)

    os.kill(driver.pid, signal.SIGTERM)
    os.kill(driver.pid, signal.SIGTERM)
    # Two signals that arrive as one are one: it is sent until the process has heard a second.
    wait_for(lambda: driver.poll() is not None or os.kill(driver.pid, signal.SIGTERM), "its end", 20)
    assert driver.returncode == 143

    pipeline.run(pipeline.silver(DATASET))
    assert len(pipeline.rows(REVISIONS)) == len(pipeline.rows(f"silver.{DATASET}")) == 5


def test_f34_a_poisoned_query_is_restarted_alone_and_then_ends_the_driver_with_its_name(pipeline, cli_process):
    pipeline.bronze_after("inmet_stations", stations(0, 5))
    pipeline.driver.locks.release()
    driver = cli_process("run", "silver", CORRENTEZA_FAILPOINT=f"batch.silver.{DATASET}:raise", **EVERY_SECOND)

    assert driver.wait(timeout=300) == 1, driver.said
    lines = [json.loads(line) for line in driver.said.splitlines() if line.startswith("{")]
    pauses = [(line["query"], line["restart_in_seconds"]) for line in lines if line["event"] == "query_failed"]
    assert pauses == [(f"silver.{DATASET}", float(2**n)) for n in range(5)]
    last = driver.said.splitlines()[-1]
    assert f"correnteza checkpoint inspect silver.{DATASET}" in last
    assert f"failure point batch.silver.{DATASET}" in last
    assert pipeline.rows(REVISIONS) == []

"""One driver, many queries, in a process of its own: F33 (told to stop during a batch), F34 (one always fails).

The bounds in seconds, and controls without a JVM, are in `tests/stream_jobs/running/test_supervisor.py`.
"""

import json
import os
import signal
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import silver_oracles
from tests.helpers import Command, wait_at_gate, wait_for
from tests.pipeline import pipeline
from tests.spark_fixtures import spark
from tests.stations import DATASET, stations

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

OTHER = "bcb_sgs"
REVISIONS = f"silver.{DATASET}_revisions"
EVERY_SECOND = {"CORRENTEZA_SILVER_INTERVAL_SECONDS": "1"}


def observation(day: int) -> dict[str, Any]:
    return {"series_code": 1, "reference_on": date(2024, 1, day), "value": Decimal("5.25")}


def in_mid_batch(pipeline, cli_process, tmp_path, **variables: str) -> tuple[Command, Path]:
    """A driver of silver that waits between the two writes of its first batch, and the gate that lets it continue."""
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.driver.locks.release()
    gate = tmp_path / "gate"
    point = f"after_revisions:wait={gate}"
    driver = cli_process("run", "silver", CORRENTEZA_FAILPOINT=point, **EVERY_SECOND, **variables)
    wait_at_gate(gate, driver, "the midst of a batch")
    return driver, gate


@pytest.mark.slow
def test_f33_sigterm_in_the_midst_of_a_batch_lets_it_end_and_be_noted(pipeline, cli_process, tmp_path):
    """The stop is asked for between the batch's two writes, and nothing is left for the next driver to repeat."""
    driver, gate = in_mid_batch(pipeline, cli_process, tmp_path)

    os.killpg(driver.pid, signal.SIGTERM)
    assert pipeline.rows(f"silver.{DATASET}") == []
    gate.touch()
    assert driver.wait() == 0, driver.said
    assert "batch_abandoned" not in driver.said
    assert len(pipeline.rows(REVISIONS)) == len(pipeline.rows(f"silver.{DATASET}")) == 5
    assert (pipeline.checkpoint(f"silver.{DATASET}") / "commits" / "0").exists()

    before = pipeline.version(REVISIONS), pipeline.version(f"silver.{DATASET}")
    pipeline.run(pipeline.silver(DATASET))
    assert (pipeline.version(REVISIONS), pipeline.version(f"silver.{DATASET}")) == before


@pytest.mark.slow
def test_f33_a_batch_that_outlasts_the_stop_timeout_is_abandoned_with_code_0_and_repeated(
    pipeline, cli_process, tmp_path
):
    driver, _ = in_mid_batch(pipeline, cli_process, tmp_path, CORRENTEZA_STOP_TIMEOUT_SECONDS="2")

    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait() == 0, driver.said  # the gate stays shut: it did not wait for the batch
    assert "batch_abandoned" in driver.said
    assert len(pipeline.rows(REVISIONS)) == 5
    assert pipeline.rows(f"silver.{DATASET}") == []

    pipeline.run(pipeline.silver(DATASET))
    assert len(pipeline.rows(REVISIONS)) == len(pipeline.rows(f"silver.{DATASET}")) == 5


@pytest.mark.slow
def test_f33_a_second_sigterm_ends_the_driver_at_once_with_code_143(pipeline, cli_process, tmp_path):
    driver, _ = in_mid_batch(pipeline, cli_process, tmp_path)

    os.kill(driver.pid, signal.SIGTERM)
    os.kill(driver.pid, signal.SIGTERM)
    # Two signals that arrive as one are one: it is sent until the process has heard a second.
    wait_for(lambda: driver.poll() is not None or os.kill(driver.pid, signal.SIGTERM), "its end")
    assert driver.returncode == 143

    pipeline.run(pipeline.silver(DATASET))
    assert len(pipeline.rows(REVISIONS)) == len(pipeline.rows(f"silver.{DATASET}")) == 5


@pytest.mark.slow  # its pauses alone are half a minute; test_supervisor.py has the same without processes
def test_f34_a_query_that_always_fails_is_restarted_alone_and_then_ends_the_driver_with_its_name(pipeline, cli_process):
    """The other query of the driver writes meanwhile.

    Once it is given up the process ends by itself; within which time shows
    `tests/stream_jobs/running/test_supervisor.py`.
    """
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.bronze_after(OTHER, [observation(1)])
    pipeline.driver.locks.release()
    driver = cli_process("run", "silver", CORRENTEZA_FAILPOINT=f"batch.silver.{DATASET}:raise", **EVERY_SECOND)

    assert driver.wait() == 1, driver.said
    lines = [json.loads(line) for line in driver.said.splitlines() if line.startswith("{")]
    pauses = [(line["query"], line["restart_in_seconds"]) for line in lines if line["event"] == "query_failed"]
    assert pauses == [(f"silver.{DATASET}", float(2**n)) for n in range(5)]
    last = driver.said.splitlines()[-1]
    assert f"correnteza checkpoint inspect silver.{DATASET}" in last
    assert f"failure point batch.silver.{DATASET}" in last
    assert pipeline.rows(REVISIONS) == []
    assert len(pipeline.rows(f"silver.{OTHER}_revisions")) == 1


def test_f34_control_without_a_supervisor_a_driver_runs_on_with_half_of_its_queries(pipeline, monkeypatch, control):
    """The oracle: while a query of the driver runs, silver of every dataset is what bronze gives."""
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.bronze_after(OTHER, [observation(1)])

    def left_behind() -> list[str]:
        lake = pipeline.settings.lake_root
        return [each for name in (DATASET, OTHER) for each in silver_oracles.silver_follows(lake, name)]

    pipeline.run(pipeline.silver(DATASET), pipeline.silver(OTHER))
    control.holds(left_behind)
    monkeypatch.setenv("CORRENTEZA_FAILPOINT", f"batch.silver.{DATASET}:raise")
    pipeline.publish(DATASET, *stations(5, 6))
    pipeline.publish(OTHER, observation(2))
    pipeline.run(pipeline.bronze(DATASET), pipeline.bronze(OTHER))
    poisoned, other = (pipeline.silver(each).start({"processingTime": "1 second"}) for each in (DATASET, OTHER))
    wait_for(lambda: not poisoned.isActive, "one query has ended")
    wait_for(lambda: len(pipeline.rows(f"silver.{OTHER}_revisions")) == 2, "the other goes on")
    assert f"failure point batch.silver.{DATASET}" in str(poisoned.exception())
    assert other.isActive, "and nobody is told that nothing arrives in the first one's tables"
    control.objects(left_behind, damage=f"{REVISIONS}: key ('A005'")
    other.stop()

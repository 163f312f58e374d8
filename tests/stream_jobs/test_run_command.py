"""`correnteza run` as a process: it follows its topics, says what it does, and ends when told to."""

import json
import os
import signal
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from schemas.contracts import load_all
from sinks.tables import has_rows
from tests.helpers import wait_for

pytestmark = pytest.mark.integration

OBSERVATION = {
    "series_code": 433,
    "reference_on": date(2024, 1, 1),
    "value": Decimal("0.4200000000000"),
    "published_at": datetime(2024, 2, 8, 12, tzinfo=UTC),
    "published_at_basis": "api_field",
}


def test_one_driver_brings_a_record_to_gold_and_sigterm_ends_it_in_order(pipeline, cli_process, cli):
    pipeline.declare(*load_all())
    seconds = {f"CORRENTEZA_{layer}_INTERVAL_SECONDS": "1" for layer in ("BRONZE", "SILVER", "GOLD")}
    driver = cli_process("run", "all", **seconds)
    pipeline.publish("bcb_sgs", OBSERVATION)
    gold = pipeline.places.table("gold.fact_economic_observation")
    wait_for(lambda: has_rows(gold) or driver.poll() is not None, "the record is in gold", 200)
    wait_for(lambda: "driver_ready" in driver.said or driver.poll() is not None, "the ready line")

    os.killpg(driver.pid, signal.SIGTERM)  # as service managers do: to the JVM too

    assert driver.wait(timeout=100) == 0, driver.said
    lines = [json.loads(line) for line in driver.said.splitlines() if line.startswith("{")]
    progressed = {line["query"]: line["rows"] for line in lines if line["event"] == "query_progressed"}
    assert progressed["bronze.bcb_sgs"] == 1
    assert progressed["gold.fact_economic_observation"] == 1
    assert pipeline.offsets("bronze.bcb_sgs") == pipeline.committed("bcb_sgs")


def test_a_run_to_the_end_reports_what_it_read(pipeline, cli):
    pipeline.declare(*load_all())
    pipeline.publish("bcb_sgs", OBSERVATION)

    done = cli("run", "bronze", "--once", "--json")

    assert done.returncode == 0, done.stderr
    [stage] = json.loads(done.stdout)
    assert (stage["layer"], stage["rows"]["bronze.bcb_sgs"], stage["rows"]["bronze.ingest_rejects"]) == ("bronze", 1, 0)


def test_topics_that_do_not_exist_are_named_with_the_command_that_makes_them(cli):
    missing = cli("run", "bronze", "--once")

    assert missing.returncode == 4, missing.stderr
    assert "correnteza topics apply" in missing.stderr.splitlines()[-1]


def test_a_wrong_layer_is_a_usage_error(cli):
    wrong = cli("run", "platinum")

    assert (wrong.returncode, wrong.stdout) == (2, "")

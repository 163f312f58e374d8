"""`correnteza run` as a process: it follows its topics, logs what it does, and ends at SIGTERM."""

import json
import os
import shutil
import signal
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from confluent_kafka.admin import AdminClient

from schemas.contracts import load, load_all
from sinks.tables import has_rows
from tests.helpers import wait_for
from tests.samples import sample

pytestmark = pytest.mark.integration


def station(number):
    return {"station_code": f"A{number:03}", "valid_from_on": date(2024, 1, 1)}


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
    wait_for(lambda: has_rows(gold) or driver.poll() is not None, "the record is in gold")
    wait_for(lambda: "driver_ready" in driver.said or driver.poll() is not None, "the ready line")

    os.killpg(driver.pid, signal.SIGTERM)  # as service managers do: to the JVM too

    assert driver.wait() == 0, driver.said
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


@pytest.mark.slow
def test_f21_f22_a_driver_stops_the_unsafe_queries_alone_names_them_and_ends_with_3_at_sigterm(
    pipeline, cli_process, cli
):
    """One has lost its checkpoint before the start, the topic of another is recreated while it runs."""
    pipeline.declare(*load_all())
    pipeline.bronze_after("bcb_sgs", [OBSERVATION])
    pipeline.bronze_after("inmet_stations", [station(0)])
    pipeline.driver.locks.release()
    shutil.rmtree(pipeline.places.checkpoint("bronze.bcb_sgs"))
    pipeline.publish("bcb_sgs", OBSERVATION)

    driver = cli_process("run", "bronze", CORRENTEZA_BRONZE_INTERVAL_SECONDS="1")
    wait_for(lambda: "driver_ready" in driver.said or driver.poll() is not None, "the ready line")
    topic = pipeline.topic("inmet_stations")
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap})
    admin.delete_topics([topic])[topic].result()
    pipeline.declare_until_there("inmet_stations")
    pipeline.publish("inmet_stations", *(station(number) for number in range(1, 9)))
    wait_for(lambda: driver.said.count("query_stands_still") == 2 or driver.poll() is not None, "both are stopped")
    assert driver.poll() is None, driver.said
    pipeline.publish("ibge_municipalities", sample(load("ibge_municipalities"), 1))
    wait_for(lambda: has_rows(pipeline.places.table("bronze.ibge_municipalities")), "the others go on")

    lines = json.loads(cli("status", "--json").stdout)["layers"]
    stopped = {line["table"]: (line["reason"], line["hint"]) for line in lines if line["state"] == "stopped"}
    assert "is lost" in stopped["bcb_sgs"][0]
    assert "recreated" in stopped["inmet_stations"][0] or topic in stopped["inmet_stations"][0]
    assert sorted(stopped) == ["bcb_sgs", "inmet_stations"]
    for name, (_, hint) in stopped.items():
        assert hint.startswith(f"correnteza checkpoint adopt bronze.{name}")
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait() == 3, driver.said
    for name in stopped:
        assert len(pipeline.rows(f"bronze.{name}")) == 1, "a refused query writes nothing"

"""A topic of others that the broker does not have: its own query waits for it, is named, and no other query does."""

import json
import os
import signal
from datetime import date
from decimal import Decimal
from threading import Event
from typing import Any

import pytest

from foundation.errors import TransientError
from schemas import contracts
from schemas.contracts import load_all
from sinks.tables import has_rows
from stream_jobs.running import driver
from stream_jobs.running.driver import StreamDriver
from stream_jobs.running.jobs import absent
from stream_jobs.running.unread import topics_now
from tests import foreign
from tests.helpers import wait_for

DATASET = "shop_orders"
OTHER = "bcb_sgs"
OBSERVATION = {"series_code": 433, "reference_on": date(2024, 1, 1), "value": Decimal("0.42")}


@pytest.fixture
def topic(pipeline):
    """The name of a topic that a contract declares, and that does not exist."""
    pipeline.declare(*load_all())
    name = f"{pipeline.settings.topic_prefix}shop.orders"
    foreign.declare(pipeline.settings, DATASET, foreign.contract(name))
    yield name
    contracts.use_also(pipeline.settings.home / "none")


def unread(pipeline: Any) -> list[str]:
    """What a run to the end leaves undone of another topic, and whether it names the absent one."""
    bronze = StreamDriver(
        pipeline.spark, pipeline.places, broker=pipeline.broker, registry=pipeline.registry, layers=["bronze"]
    )
    said = ""
    try:
        bronze.run_once(Event())
    except TransientError as error:
        said = str(error)
    found = [] if f"bronze.{DATASET} is stopped" in said else [f"the absent topic is not named: {said}"]
    left = len(pipeline.committed(OTHER)) - len(pipeline.offsets(f"bronze.{OTHER}"))
    return [*found, f"{left} records of {OTHER} were left unread"] if left else found


def all_or_none(broker: Any, names: Any) -> Any:
    """The protection removed: one topic that is missing is a failure of them all."""
    found = topics_now(broker, names)
    if missing := [name for name in names if name not in found]:
        raise absent(missing[0])
    return found


def test_control_an_absent_topic_of_others_keeps_no_other_query_from_reading(pipeline, topic, control, monkeypatch):
    pipeline.publish(OTHER, OBSERVATION)
    control.holds(unread, pipeline)

    pipeline.publish(OTHER, OBSERVATION)
    monkeypatch.setattr(driver, "topics_now", all_or_none)
    control.objects(unread, pipeline, damage=f"1 records of {OTHER} were left unread")


@pytest.mark.slow
def test_while_a_driver_runs_the_query_waits_for_its_topic_and_reads_it_once_it_is_there(
    pipeline, topic, cli_process, cli
):
    running = cli_process("run", "bronze", CORRENTEZA_BRONZE_INTERVAL_SECONDS="1")
    wait_for(lambda: "driver_ready" in running.said or running.poll() is not None, "the ready line")
    pipeline.publish(OTHER, OBSERVATION)
    wait_for(lambda: has_rows(pipeline.places.table(f"bronze.{OTHER}")), "the others read")
    assert f"topic {topic} does not exist" in running.said

    told = json.loads(cli("status", "--json").stdout)["layers"]
    lines = {line["table"]: line for line in told if line["layer"] == "bronze"}
    assert (lines[DATASET]["state"], lines[DATASET]["reason"]) == ("not_started", f"topic {topic} does not exist")
    assert lines[OTHER]["reason"] is None
    found = cli("doctor", "--json")
    assert found.returncode == 4, found.stdout + found.stderr
    [said] = [each for each in json.loads(found.stdout) if each["kind"] == "away"]
    assert f"topic {topic} does not exist: bronze.{DATASET} waits for it" in said["what"]

    foreign.create(pipeline.settings, topic)
    foreign.send(pipeline.settings, topic, (b"a", b"no Avro", 1_700_000_000_000))
    wait_for(lambda: has_rows(pipeline.places.table(f"bronze.{DATASET}")), "the topic is read")
    assert json.loads(cli("status", "--json").stdout)["unreachable"] == []
    os.killpg(running.pid, signal.SIGTERM)
    assert running.wait() == 0, running.said

"""F27 with processes: a driver and a rebuild run at the same time, and one of them is killed."""

import json
import os
import signal

import pytest

from tests.helpers import wait_for
from tests.pipeline import Pipeline, pipeline
from tests.spark_fixtures import spark
from tests.stations import DATASET, stations

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

SILVER = f"silver.{DATASET}"
DEADLINE = 600
OFTEN = {"CORRENTEZA_SILVER_INTERVAL_SECONDS": "1"}


def filled(pipeline: Pipeline, last: int) -> None:
    """Silver has so many stations; its locks are free."""
    pipeline.bronze_after(DATASET, stations(0, last))
    pipeline.run(pipeline.silver(DATASET))
    pipeline.driver.locks.release()


def codes(pipeline: Pipeline) -> list[str]:
    return sorted(row["station_code"] for row in pipeline.rows(SILVER))


def expected(last: int) -> list[str]:
    return sorted(row["station_code"] for row in stations(0, last))


def test_the_plan_is_printed_without_a_jvm_and_what_cannot_be_rebuilt_is_refused(pipeline, cli, here):
    filled(pipeline, 5)
    told = cli("rebuild", f"{SILVER}_revisions", "--dry-run", "--json")
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    [planned] = document["queries"]
    assert (planned["query"], planned["rows"], planned["seconds"]) == (SILVER, 5, None)
    assert "gold.dim_weather_station" in planned["downstream"]
    assert document["oldest_offsets"] == {pipeline.topic(DATASET): {"0": 0}}
    assert 0 < document["needed_bytes"] < document["free_bytes"]
    for_people = here("rebuild", SILVER, "--downstream", "--dry-run").stdout
    assert f"Kafka holds {pipeline.topic(DATASET)}" in for_people
    assert "gold.dim_weather_station" in for_people

    for arguments, code, words in (
        (("bronze.pipeline_canary", "--yes"), 2, "no table bronze.pipeline_canary that a query fills"),
        (("gold.dim_date", "--yes"), 2, "no table gold.dim_date that a query fills"),
        (("--resume",), 2, "no rebuild is known here"),
        ((SILVER,), 2, "no terminal to ask on"),
        ((), 2, "name tables, or one of"),
    ):
        refused = here("rebuild", *arguments)
        assert (refused.returncode, words in refused.stderr) == (code, True), refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_f27_a_rebuild_is_killed_beside_a_driver_then_the_driver_in_the_midst_of_the_swap(pipeline, cli, cli_process):
    filled(pipeline, 20)
    driver = cli_process("run", "silver", **OFTEN)
    wait_for(lambda: "driver_ready" in driver.said or driver.poll(), "the driver runs", DEADLINE)

    killed = cli_process("rebuild", SILVER, "--yes", CORRENTEZA_FAILPOINT="shadow_built:kill")
    assert killed.wait(timeout=DEADLINE) == -signal.SIGKILL, killed.said
    assert "building" in cli("rebuild", "--status").stdout
    again = cli("rebuild", SILVER, "--yes")
    assert (again.returncode, "is unfinished" in again.stderr) == (3, True)
    resumed = cli_process("rebuild", "--resume")
    assert resumed.wait(timeout=DEADLINE) == 0, resumed.said
    assert f"{SILVER}: 20 rows, the same as in the live table" in resumed.said
    assert "rebuild_handed_over" in driver.said

    pipeline.publish(DATASET, *stations(20, 25))
    pipeline.run(pipeline.bronze(DATASET))
    wait_for(lambda: codes(pipeline) == expected(25) or driver.poll(), "the live query goes on", DEADLINE)
    back = cli("rebuild", "--rollback", "--yes")
    assert back.returncode == 0, back.stderr
    wait_for(lambda: codes(pipeline) == expected(25) or driver.poll(), "what came since is read again", DEADLINE)
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait() == 0, driver.said

    failing = cli_process("run", "silver", CORRENTEZA_FAILPOINT="mid_swap@1:kill", **OFTEN)
    wait_for(lambda: "driver_ready" in failing.said or failing.poll(), "the driver runs", DEADLINE)
    ended = cli_process("rebuild", SILVER, "--yes")
    assert ended.wait(timeout=DEADLINE) == 0, ended.said
    assert failing.wait() == -signal.SIGKILL, failing.said
    assert codes(pipeline) == expected(25)
    pipeline.publish(DATASET, *stations(25, 30))
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET))
    assert codes(pipeline) == expected(30)
    assert pipeline.contradictions(DATASET, without=("manifests = rows",)) == {}

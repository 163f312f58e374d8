"""Rebuild, maintenance and status of a topic that others own: as for the sources that come with the product."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable

from foundation.errors import UnsafeState
from schemas import contracts
from tests import foreign
from tests.stream_jobs.running.months import compacted
from tests.stream_jobs.test_external import DATASET, FIRST, SECOND, Shop, not_newest, read
from tests.stream_jobs.test_rebuild_bronze import rebuilt

BRONZE, SILVER, REVISIONS = f"bronze.{DATASET}", f"silver.{DATASET}", f"silver.{DATASET}_revisions"


@pytest.fixture
def shop(pipeline) -> Iterator[Shop]:
    """A topic with six records of three orders, one of them withdrawn, in bronze and silver."""
    made = Shop(pipeline, f"{pipeline.settings.topic_prefix}shop.orders")
    foreign.declare(pipeline.settings, DATASET, foreign.contract(made.topic))
    for part, at, status in ((1, 0, "NEW"), (2, 1, "NEW"), (1, 2, "PAID"), (3, 3, "NEW"), (2, 4, None), (3, 5, "SENT")):
        made.send(FIRST, part, at, status)
    read(pipeline)
    yield made
    contracts.use_also(pipeline.settings.home / "none")


def forgotten(pipeline: Any, table: str, which: str) -> None:
    """Take rows out of a table by hand."""
    DeltaTable(pipeline.places.table(table)).delete(which)


def wrong_rows(pipeline: Any, shop: Shop) -> list[str]:
    """Rows that are not the shop's last messages, and findings of `verify`."""
    return [*not_newest(pipeline, shop), *foreign.wrong(pipeline.settings, DATASET)]


def test_control_silver_that_lost_a_row_is_rebuilt_from_bronze_and_goes_on(pipeline, shop, control):
    control.holds(wrong_rows, pipeline, shop)
    before = pipeline.rows(REVISIONS)
    pipeline.driver.locks.release()
    assert any("the same as in the live table" in line for line in rebuilt(pipeline, SILVER))
    assert sorted(map(str, pipeline.rows(REVISIONS))) == sorted(map(str, before))

    forgotten(pipeline, SILVER, "part = 3")
    forgotten(pipeline, REVISIONS, "part = 3")
    control.objects(wrong_rows, pipeline, shop, damage="rows of the batch over bronze are missing")
    pipeline.driver.locks.release()
    with pytest.raises(UnsafeState, match="differ"):
        rebuilt(pipeline, SILVER)
    rebuilt(pipeline, SILVER, accept=True)

    control.holds(wrong_rows, pipeline, shop)
    shop.send(SECOND, 1, 9, "NEW")
    read(pipeline)
    assert wrong_rows(pipeline, shop) == []


def test_bronze_is_rebuilt_from_the_topic_and_keeps_what_its_owner_removed(pipeline, shop):
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap, "log_level": 0})
    place = TopicPartition(shop.topic, 0, 3)
    admin.delete_records([place])[place].result()
    before = pipeline.rows(BRONZE)
    pipeline.driver.locks.release()

    assert f"{BRONZE}: 6 rows, the same as in the live table" in rebuilt(pipeline, BRONZE)

    def places(rows: list[dict[str, Any]]) -> list[str]:
        return sorted(map(str, rows))

    assert places(pipeline.rows(BRONZE)) == places(before)
    shop.send(FIRST, 1, 9, "SENT")
    read(pipeline)
    assert wrong_rows(pipeline, shop) == []


def test_control_what_neither_the_topic_nor_the_table_has_is_named_as_lost(pipeline, shop, control):
    def lost(until: int) -> list[str]:
        admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap, "log_level": 0})
        place = TopicPartition(shop.topic, 0, until)
        admin.delete_records([place])[place].result()
        pipeline.driver.locks.release()
        try:
            return [line for line in rebuilt(pipeline, BRONZE) if "no payload has them" in line]
        except UnsafeState as error:
            return [str(error)]

    control.holds(lost, 2)
    forgotten(pipeline, BRONZE, '"offset" < 3')
    control.objects(lost, 3, damage="cannot be recovered completely")


@pytest.mark.slow
def test_maintenance_makes_its_files_few_changes_no_row_and_no_stream_reads_one_again(pipeline, shop, here):
    for at in range(10, 18):
        shop.send(SECOND, at, at, "NEW")
        read(pipeline)
    before = {table: sorted(map(str, pipeline.rows(table))) for table in (BRONZE, SILVER, REVISIONS)}
    files = len(DeltaTable(pipeline.places.table(BRONZE)).file_uris())
    pipeline.driver.locks.release()

    done = here("maintain", BRONZE, SILVER, REVISIONS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(DeltaTable(pipeline.places.table(BRONZE)).file_uris()) < files
    compacted(pipeline.places.table(SILVER))
    compacted(pipeline.places.table(REVISIONS))
    assert {table: sorted(map(str, pipeline.rows(table))) for table in before} == before
    assert pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET)) == {BRONZE: 0, SILVER: 0}
    shop.send(SECOND, 10, 30, "PAID")
    assert pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET)) == {BRONZE: 1, SILVER: 1}
    assert wrong_rows(pipeline, shop) == []


@pytest.mark.usefixtures("patient")
def test_status_counts_what_waits_and_since_when(pipeline, shop, here):
    def lines() -> dict[str, Any]:
        told = json.loads(here("status", "--json").stdout)["layers"]
        found = {f"{line['layer']}.{line['table']}": line for line in told}
        return {name: (found[name]["state"], found[name]["records_behind"]) for name in (BRONZE, SILVER)}

    assert lines() == {BRONZE: ("ok", 0), SILVER: ("ok", 0)}
    shop.send(FIRST, 4, 20, "NEW")
    shop.send(FIRST, 4, 21, None)
    assert lines() == {BRONZE: ("behind", 2), SILVER: ("ok", 0)}
    pipeline.run(pipeline.bronze(DATASET))
    assert lines() == {BRONZE: ("ok", 0), SILVER: ("behind", 2)}
    pipeline.run(pipeline.silver(DATASET))
    assert lines() == {BRONZE: ("ok", 0), SILVER: ("ok", 0)}

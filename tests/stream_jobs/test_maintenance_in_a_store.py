"""`maintain` with lake and archive in an object store: few files instead of many, former ones gone, no row changed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from producers.archive import Archive
from sinks import removable
from storage import delta, files
from storage.location import location
from stream_jobs.running import maintained_tables
from tests.helpers import run_here
from tests.stores import in_store, lake, store
from tests.stream_jobs.test_rebuild_bronze_from_archive import (
    CONTRACTS,
    MOBILE,
    SILVER,
    TABLE,
    YEAR,
    content,
    filled,
    member,
    publish,
    served,
)

__all__ = ["filled", "in_store", "lake", "served", "store"]

REVISIONS = f"{SILVER}_revisions"
LATER_DAYS = 40
"""Days are over then, log entries old, and a payload that nothing refers to is listed."""


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files are worth a compaction, and what left a table may go at once: nobody can wait for a store's clock."""
    for name in ("BRONZE", "OTHERS"):
        monkeypatch.setattr(maintained_tables, name, replace(getattr(maintained_tables, name), at_least=2))
    monkeypatch.setattr(removable, "KEPT_DAYS", 0)


def maintained(settings: Any, *arguments: str) -> str:
    """What `maintain` says some weeks later."""
    later = datetime.now(UTC) + timedelta(days=LATER_DAYS)
    done = run_here(settings, ["maintain", *arguments], {"CORRENTEZA_CLOCK": f"{later.isoformat()}@1"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def contradictions(pipeline: Any) -> list[str]:
    """The oracle: what verify and the tests' own readers find wrong; an object that one of them misses."""
    try:
        found = pipeline.contradictions(*CONTRACTS)
    except FileNotFoundError as error:
        return [f"a reader fails: {str(error).splitlines()[0]}"]
    return [f"{check}: {each}" for check, said in found.items() for each in said]


def stored(pipeline: Any, table: str) -> set[str]:
    """Data files that stand in a table's folder."""
    below = files.walk(location(pipeline.places.table(table)))
    return {each.name for each in below if each.name.endswith(".parquet") and "_delta_log" not in each.name}


def in_use(pipeline: Any, table: str) -> set[str]:
    """Data files of a table's present version."""
    path = pipeline.places.table(table)
    return {each.removeprefix(f"{path}/") for each in delta.table(path).file_uris()}


def run_all(pipeline: Any) -> None:
    pipeline.run(*(pipeline.bronze(name) for name in CONTRACTS), pipeline.silver(MOBILE.name))
    pipeline.driver.locks.release()


def test_control_maintenance_in_a_store_leaves_every_row_and_a_lost_object_is_found(
    filled, served, settings, at_once, control
):
    publish(filled, served, {YEAR: member((1, "TIM", 1), (2, "VIVO", 9), (3, "VIVO", 5), (4, "OI", 2))}, days=8)
    run_all(filled)
    of_nobody = Archive(settings.archive_root, settings.spool).put([b"of nobody"], {"source": "some", "url": "a"})
    before = {table: content(filled, table) for table in (TABLE, "bronze.ingest_manifests")}
    rows = {table: sorted(map(str, filled.rows(table))) for table in (SILVER, REVISIONS)}
    many = {table: in_use(filled, table) for table in (TABLE, REVISIONS)}
    assert min(map(len, many.values())) > 1
    for table in maintained_tables.existing_tables(filled.places):
        eager = {"delta.deletedFileRetentionDuration": "interval 0 hours"}
        delta.table(filled.places.table(table)).alter.set_table_properties(eager)

    planned = json.loads(maintained(settings, "--dry-run", "--json"))
    assert [each["sha256"] for each in planned["payloads"]] == [of_nobody.sha256]
    assert {each["table"] for each in planned["tables"] if each["would_compact"]} >= {TABLE, REVISIONS}

    assert "files became 1" in maintained(settings)
    run_all(filled)  # the streams skip the compaction, and hold nothing of it back any more
    assert "files were removed" in maintained(settings)
    assert [len(in_use(filled, table)) for table in many] == [1, 1]
    assert stored(filled, TABLE) == in_use(filled, TABLE), "what left the table is gone"
    assert stored(filled, REVISIONS) == in_use(filled, REVISIONS) | many[REVISIONS], "gold has not begun: it needs all"
    assert {table: content(filled, table) for table in before} == before
    assert {table: sorted(map(str, filled.rows(table))) for table in rows} == rows
    control.holds(contradictions, filled)

    publish(filled, served, {YEAR: member((1, "TIM", 1), (2, "VIVO", 7), (3, "VIVO", 5), (4, "OI", 2))}, days=9)
    run_all(filled)
    assert 7 in [row["accesses"] for row in filled.rows(SILVER)], "the streams go on"
    control.holds(contradictions, filled)

    [lost, *_] = sorted(in_use(filled, TABLE))
    files.remove(location(filled.places.table(TABLE)) / lost)
    control.objects(contradictions, filled, damage=".parquet not found")

"""Writers that race for the versions of one table: every commit is there once, and none has overwritten another."""

import json
import multiprocessing
import uuid

import pyarrow as pa
import pytest
from deltalake import Schema

from sinks.arrow_commit import append
from storage import delta, files, location
from storage.location import Remote
from storage.s3 import S3
from tests.controls import counted
from tests.stores import through

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

WRITERS, COMMITS = 8, 25
ROWS = pa.schema([pa.field("writer", pa.int64()), pa.field("number", pa.int64())])


def write(store: S3, path: str, writer: int) -> None:
    """Commit so many rows, one a commit, whatever others do."""
    location.connect(path, store)
    for number in range(COMMITS):
        append(pa.table({"writer": [writer], "number": [number]}, schema=ROWS), path)


def raced(store: S3, lake: Remote) -> str:
    """A table that all writers have written at once, each in a process of its own."""
    path = str(lake / f"t{uuid.uuid4().hex}")
    delta.create(path, Schema.from_arrow(ROWS), configuration={})
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(store, path, writer)) for writer in range(WRITERS)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(timeout=400)
    assert [each.exitcode for each in writers] == [0] * WRITERS
    return path


def rows_stand_once(path: str) -> list[str]:
    """The oracle: the table's rows, and the rows that its log brought, version by version, as a stream reads them."""
    rows = delta.table(path).to_pyarrow_table().to_pylist()
    found = counted(
        ((row["writer"], row["number"]) for row in rows),
        ((writer, number) for writer in range(WRITERS) for number in range(COMMITS)),
        "row",
    )
    log = [
        json.loads(line)
        for name in files.names(location.location(path) / "_delta_log")
        if name.endswith(".json")
        for line in files.read(location.location(path) / "_delta_log" / name).splitlines()
    ]
    added = [action["add"]["path"] for action in log if "add" in action]
    return found + counted(added, set(added), "file")


def test_none_of_the_commits_of_racing_writers_is_lost_or_overwritten(store, lake):
    path = raced(store, lake)
    assert rows_stand_once(path) == []
    assert delta.table(path).version() == WRITERS * COMMITS


def test_control_without_conditional_writes_racing_commits_overwrite_each_other(store, lake, liar, control):
    liar.lie = lambda method, path, headers: None
    control.holds(rows_stand_once, raced(through(liar, store), lake))

    liar.lie = lambda method, path, headers: "unconditional" if "if-none-match" in headers else None
    control.objects(rows_stand_once, raced(through(liar, store), lake), damage="stands 0 times instead of 1")

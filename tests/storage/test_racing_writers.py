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

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

WRITERS, COMMITS = 8, 25
FEW = 6
"""Commits of each writer where a proxy passes on every request: it is slow, and the race is as sharp."""
ROWS = pa.schema([pa.field("writer", pa.int64()), pa.field("number", pa.int64())])
JOIN_SECONDS = 800
"""Far more than any machine needs: no test checks how fast one is."""


def write(store: S3, path: str, writer: int, commits: int) -> None:
    """Commit so many rows, one a commit, whatever others do."""
    location.connect(path, store)
    for number in range(commits):
        append(pa.table({"writer": [writer], "number": [number]}, schema=ROWS), path)


def raced(store: S3, lake: Remote, commits: int) -> str:
    """A table that all writers have written at once, each in a process of its own."""
    path = str(lake / f"t{uuid.uuid4().hex}")
    delta.create(path, Schema.from_arrow(ROWS), configuration={})
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(store, path, writer, commits)) for writer in range(WRITERS)]
    try:
        for each in writers:
            each.start()
        for each in writers:
            each.join(timeout=JOIN_SECONDS)
        assert [each.exitcode for each in writers] == [0] * WRITERS
    finally:
        for each in writers:
            each.kill()
    return path


def rows_stand_once(path: str, commits: int) -> list[str]:
    """The oracle: the table's rows, and the rows that its log brought, version by version, as a stream reads them."""
    rows = delta.table(path).to_pyarrow_table().to_pylist()
    found = counted(
        ((row["writer"], row["number"]) for row in rows),
        ((writer, number) for writer in range(WRITERS) for number in range(commits)),
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
    path = raced(store, lake, COMMITS)
    assert rows_stand_once(path, COMMITS) == []
    assert delta.table(path).version() == WRITERS * COMMITS


def test_control_without_conditional_writes_racing_commits_overwrite_each_other(store, lake, liar, control):
    liar.lie = lambda method, path, headers: None
    control.holds(rows_stand_once, raced(through(liar, store), lake, FEW), FEW)

    liar.lie = lambda method, path, headers: "unconditional" if "if-none-match" in headers else None
    control.objects(rows_stand_once, raced(through(liar, store), lake, FEW), FEW, damage="stands 0 times instead of 1")

"""Create Delta tables as declared, and read the facts about them that writers need. No JVM is needed here.

Spark needs a quarter of a second to create a table and a job to describe one; delta-rs does both in milliseconds.
Even Spark's Python modules are imported only where columns are compared: `correnteza status` plans maintenance, and a
person waits for it.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable, Schema, write_deltalake
from deltalake.exceptions import DeltaError

from foundation.errors import UnsafeState
from storage import delta, files
from storage.location import Location, is_remote, location

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import DataType, StructType

PROPERTIES = {
    "delta.enableDeletionVectors": "false",  # readers without a JVM cannot read them
    # A log checkpoint costs as much as a small commit, and on a disk readers are quick over some dozens of commits.
    "delta.checkpointInterval": "50",
    # It would go by age only, even if a stream still has to read the entries; sinks/removable.py considers the streams.
    "delta.enableExpiredLogCleanup": "false",
}

CHECKPOINT_INTERVAL_IN_STORE = "10"
"""There each commit file is a request, of every reader: of the writer too, twice for a commit of its own."""

NOTE = "userMetadata"
"""Where a commit says something of itself."""


def ensure(
    spark: "SparkSession",
    path: str,
    schema: "StructType",
    *,
    partition_by: tuple[str, ...] = (),
    statistics_on: tuple[str, ...],
) -> None:
    """Create the table if it is absent; add new columns, nested fields and properties of the declaration.

    A column that is no longer declared stays, and is null in every new row (see `padded`).

    Args:
        schema: all columns; a table that exists already can only get nullable new ones.
        statistics_on: columns that queries prune by; statistics on others cost time at every write.

    Raises:
        UnsafeState: the table exists and cannot take the declared schema by adding columns.
    """
    if not exists(path):
        delta.create(
            path,
            Schema.from_json(schema.json()),
            partition_by=partition_by,
            configuration={**properties_of(path), "delta.dataSkippingStatsColumns": ",".join(statistics_on)},
        )
        return
    table = delta.table(path)
    known = table.metadata().configuration
    if missing := {name: value for name, value in properties_of(path).items() if name not in known}:
        table.alter.set_table_properties(missing)
    if not holds(columns_of(table), schema):
        _add_columns(path, schema)


def properties_of(path: str) -> dict[str, str]:
    """What a new table gets, by where it stands."""
    return {**PROPERTIES, **({"delta.checkpointInterval": CHECKPOINT_INTERVAL_IN_STORE} if is_remote(path) else {})}


def exists(path: str) -> bool:
    """Whether there is a Delta table."""
    return delta.exists(path)


def identity(path: str) -> str:
    """The id that a table gets at its creation; a recreated table has a new one."""
    return str(delta.table(path).metadata().id)


def version(path: str) -> int:
    """The table's newest version."""
    return int(delta.table(path).version())


def has_gained(path: str, since: int, until: int | None = None) -> bool:
    """Whether a version from `since` on, and before `until`, added or removed rows; a compaction does neither. True too
    if the log no longer has the commit.
    """
    return any(_changes(path, each) for each in range(since, version(path) + 1 if until is None else until))


def has_appended(path: str, since: int, until: int) -> bool:
    """Whether a version from `since` on, and before `until`, added rows and removed none.

    A stream that skips changes reads exactly these; true too if the log no longer has the commit.
    """
    return any(
        "add" in changes and "remove" not in changes
        for each in range(since, until)
        if (changes := _changes(path, each))
    )


def _changes(path: str, version: int) -> set[str]:
    """`add`, `remove` or both, if a version added or removed rows; `add` if the log no longer has the commit."""
    actions = actions_of(path, version)
    if actions is None:
        return {"add"}
    return {kind for kind, action in actions if kind in ("add", "remove") and action.get("dataChange", True)}


def has_commit(path: str, version: int) -> bool:
    """Whether the log has the commit of a version."""
    return files.exists(_commit_file(path, version))


def _commit_file(path: str, version: int) -> Location:
    return location(path) / "_delta_log" / f"{version:020}.json"


def actions_of(path: str, version: int) -> list[tuple[str, dict[str, Any]]] | None:
    """Kind and content of the actions in a version's commit; None if the log no longer has it."""
    try:
        lines = files.read(_commit_file(path, version)).decode().splitlines()
    except FileNotFoundError:
        return None
    return [action for line in lines for action in json.loads(line).items()]


def has_rows(path: str) -> bool:
    """Whether the table's present version has any data file. False for a table that does not exist."""
    return exists(path) and bool(delta.table(path).file_uris())


def may_hold_rows(path: str) -> bool:
    """As `has_rows`, but a table that once had rows counts as having some: for decisions about speed."""
    if path not in _had_rows and has_rows(path):
        _had_rows.add(path)
    return path in _had_rows


_had_rows: set[str] = set()


def last_transaction(path: str, app_id: str) -> int | None:
    """The highest version that a table stores for an app id, such as the last batch id of a streaming query."""
    return delta.table(path).transaction_version(app_id) if exists(path) else None


def last_note(path: str) -> str | None:
    """The `userMetadata` of the last commit; None if it has none, or there is no table."""
    if not exists(path):
        return None
    note = delta.table(path).history(1)[0].get(NOTE)
    return None if note is None else str(note)


def path_of(root: str, name: str) -> str:
    """The path of a table named `<layer>.<table>` below the lake's root."""
    layer, _, table = name.partition(".")
    return f"{root}/{layer}/{table}"


def holds(there: "StructType", declared: "StructType") -> bool:
    """Whether a table has all fields that are declared, in any order, because added fields are at the end."""
    return next(_differing(there, declared), None) is None


def _differing(there: "StructType", declared: "StructType") -> Iterator[tuple[str, "DataType | None", "DataType"]]:
    """Declared fields, nested ones too, that a table lacks or has with another type: name, its type there or None, the
    declared type."""
    from pyspark.sql.types import StructType

    types = {field.name: field.dataType for field in there}
    for field in declared:
        found, wanted = types.get(field.name), field.dataType
        if isinstance(found, StructType) and isinstance(wanted, StructType):
            yield from _differing(found, wanted)
        elif found is None or found.simpleString() != wanted.simpleString():
            yield field.name, found, wanted


def columns_of(table: DeltaTable) -> "StructType":
    """All columns of a table."""
    from pyspark.sql.types import StructType

    return StructType.fromJson(json.loads(table.schema().to_json()))


def _add_columns(path: str, schema: "StructType") -> None:
    """Widen the table by appending no rows under the declared schema."""
    table = delta.table(path)
    # delta-rs would keep the column's type without a word: there is no row that it could not cast.
    for name, there, declared in _differing(columns_of(table), schema):
        if there is not None:
            raise _cannot_take(path, f"{name} is {there.simpleString()}, and {declared.simpleString()} is declared")
    rows = pa.schema(Schema.from_json(schema.json()).to_arrow()).empty_table()
    try:
        write_deltalake(table, rows, mode="append", schema_mode="merge")
    except (DeltaError, pa.ArrowException) as error:
        raise _cannot_take(path, str(error).splitlines()[0]) from error


def _cannot_take(path: str, why: str) -> UnsafeState:
    return UnsafeState(
        f"the table at {path} cannot take its declared columns: {why}",
        hint="rebuild the table, or change the contract back to the type of the table",
    )

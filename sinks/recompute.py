"""Replace the rows of some groups of a gold table by recomputed ones, and change nothing else.

Spark has computed the rows. They are judged, compared and written here, by SQL over Arrow tables (docs/adr/0025), so
that exactly the judged rows are written whatever others commit meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, Schema, write_deltalake
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from foundation import quoting
from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from sinks import sql, tables
from sinks.commit import is_known
from sinks.expectations import Expectation
from sinks.replace_rows import replace_rows
from sinks.snapshot import FILE, Filter, Snapshot, between
from sinks.transactions import Batch
from storage import delta

COMES = "_comes"
"""The column that is true for a changed row to write, and false for one to delete."""


@dataclass(frozen=True)
class GoldTarget:
    """Where recomputed groups go.

    Attributes:
        keys: columns that identify a row; never null.
        group: columns of the unit of recomputation, among the keys, never null; their bounds limit what is read.
        columns: all columns, in order.
        expectations: what must be true of a row: `warn` counts, `fail` stops the query. Gold has no quarantine: silver
            has already removed such rows.
    """

    table: str
    path: str
    keys: tuple[str, ...]
    group: tuple[str, ...]
    columns: tuple[str, ...]
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True)
class Recomputed:
    """The counts of a recomputation: rows that it wrote, and how many of them broke expectations.

    Attributes:
        broken: expectation → rows. flawed: rows that broke any.
    """

    rows: int
    broken: Mapping[str, int]
    flawed: int


def recompute(
    rows: pa.Table,
    groups: pa.Table,
    target: GoldTarget,
    batch: Batch,
    count: Callable[[Recomputed], None] = lambda found: None,
) -> Recomputed:
    """Make the table hold exactly the given rows in the given groups. If nothing differs, there is no commit.

    Args:
        rows: all rows of the groups, the target's columns.
        groups: the target's group columns, distinct; a group without a row in `rows` is emptied.
        count: stores the counts. Called before the write: after it a repetition finds no difference, and a batch that
            died in between would never be counted.

    Raises:
        UnsafeState: a row breaks an expectation whose action is `fail`; nothing was written.
    """
    # Compare and write against the same version of the table.
    held = Snapshot.of(target.path)
    changes = _changes(rows, groups, target, held)
    found = _judged(rows, changes, target)
    count(found)
    failpoint("before_groups")
    once = batch.once(target.table)
    if not is_known(held.table, once):
        with sql.stream(_written(target), rows=rows, changes=changes) as written:
            replace_rows(held, gone=changes, keys=target.keys, rows=written, once=once)
    failpoint("after_groups")
    return found


def extent(groups: pa.Table, columns: Sequence[str]) -> list[Filter]:
    """The bounds of some columns. Args: groups: at least one."""
    found = ((column, pc.min_max(groups[column])) for column in columns)
    return [limit for column, each in found for limit in between(column, each["min"].as_py(), each["max"].as_py())]


def _changes(rows: pa.Table, groups: pa.Table, target: GoldTarget, held: Snapshot) -> pa.Table:
    """Keys of the rows to insert, update and delete, whether each `COMES`, and the file it stands in.

    Rows without a difference are left out. As with Spark's `<=>`, null equals null, NaN equals NaN, and -0.0 equals
    0.0.
    """
    values = [column for column in target.columns if column not in target.keys]
    a_key = quoting.quoted(target.keys[0])  # never null, so it shows whether a side has a row
    differs = [f"r.{a_key} IS NULL", f"h.{a_key} IS NULL"]
    differs += [f"r.{quoting.quoted(name)} IS DISTINCT FROM h.{quoting.quoted(name)}" for name in values]
    return sql.table(
        f"""
        SELECT {", ".join(f"coalesce(r.{name}, h.{name}) AS {name}" for name in map(quoting.quoted, target.keys))},
            r.{a_key} IS NOT NULL AS {COMES}, h.{FILE}
        FROM rows r FULL JOIN (SELECT * FROM held SEMI JOIN groups USING ({sql.listed(target.group)})) h
            ON {_equal(target.keys, "r", "h")}
        WHERE {" OR ".join(differs)}
        """,
        rows=rows,
        groups=groups,
        held=held.scan(target.columns, extent(groups, target.group) if groups.num_rows else ()),
    )


def _equal(keys: Sequence[str], left: str, right: str) -> str:
    return " AND ".join(f"{left}.{quoting.quoted(name)} = {right}.{quoting.quoted(name)}" for name in keys)


def _written(target: GoldTarget) -> str:
    """SQL: the rows to write."""
    columns = ", ".join(f"r.{quoting.quoted(name)}" for name in target.columns)
    return f"SELECT {columns} FROM rows r SEMI JOIN (FROM changes WHERE {COMES}) c ON {_equal(target.keys, 'r', 'c')}"


def _judged(rows: pa.Table, changes: pa.Table, target: GoldTarget) -> Recomputed:
    """How many rows are written, and the expectations that they break."""
    # A rule is broken only where it is false. DuckDB's count_if gives a HUGEINT, which comes as a decimal.
    breaks = {f"broken:{each.name}": f"NOT ({each.sql})" for each in target.expectations}
    counts = breaks | {"flawed": " OR ".join(breaks.values()) or "false"}
    counted = [f"count(*) FILTER ({which}) AS {quoting.quoted(name)}" for name, which in counts.items()]
    found = sql.row(
        f"SELECT count(*) AS rows, {', '.join(counted)} FROM ({_written(target)}) written", rows=rows, changes=changes
    )
    broken: dict[str, int] = {each.name: found[f"broken:{each.name}"] for each in target.expectations}
    for each in target.expectations:
        if each.action == "fail" and broken[each.name]:
            raise UnsafeState(
                f"gold.{target.table}: {broken[each.name]} rows break {each.name} ({each.sql})",
                hint="nothing was written; fix silver or the computation, then run again",
            )
    return Recomputed(found["rows"], broken, found["flawed"])


def replace(rows: DataFrame, path: str) -> bool:
    """Replace a whole small table in one commit, unless it was last written with this very content.

    Returns: whether it wrote. Readers see the old content or the new. The commit stores a hash of the content that does
        not depend on the row order.
    """
    found = rows.agg(F.sum(F.xxhash64(*rows.columns).cast("decimal(38,0)")), F.count(F.lit(1))).first()
    content = f"content {found[0]} of {found[1]} rows: {rows.schema.simpleString()}" if found else ""
    if tables.last_note(path) == content:
        return False
    schema = Schema.from_json(rows.schema.json())
    if not tables.exists(path):
        delta.create(path, schema, configuration=tables.properties_of(path))
    write_deltalake(
        delta.table(path),
        rows.toArrow().cast(pa.schema(schema.to_arrow())),
        mode="overwrite",
        schema_mode="overwrite",
        commit_properties=CommitProperties(custom_metadata={tables.NOTE: content}),
    )
    return True

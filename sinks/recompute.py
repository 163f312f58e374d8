"""Replace the rows of some groups of a gold table by what was recomputed for them, and touch nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.storagelevel import StorageLevel

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from sinks import tables
from sinks.append import append
from sinks.expectations import Expectation
from sinks.transactions import Batch, transaction

ACTION = "_action"

Bounds = dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class GoldTarget:
    """Where recomputed groups go.

    Attributes:
        keys: columns that identify a row; never null.
        group: columns of the unit of recomputation, among the keys, never null; their bounds limit what is read.
        columns: all columns, in order.
        expectations: what must be true of a row: `warn` counts, `fail` stops the query. Gold sets no row aside: it
            follows from silver, where that was done.
    """

    table: str
    path: str
    keys: tuple[str, ...]
    group: tuple[str, ...]
    columns: tuple[str, ...]
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True)
class Recomputed:
    """What a recomputation found: rows that it wrote anew or otherwise, and of them those that broke expectations.

    Attributes:
        broken: expectation → rows. flawed: rows that broke any.
    """

    rows: int
    broken: Mapping[str, int]
    flawed: int


def recompute(
    rows: DataFrame,
    groups: DataFrame,
    target: GoldTarget,
    batch: Batch,
    count: Callable[[Recomputed], None] = lambda found: None,
) -> Recomputed:
    """Make the table hold, of the given groups, exactly the given rows. The same rows again commit nothing.

    Args:
        rows: all rows of the groups, the target's columns. Evaluated once.
        groups: the target's group columns, distinct; a group without a row in `rows` is emptied.
        count: keeps what was found. Called before the write: once that is done, a repetition finds no difference, and
            a batch that died in between would never be counted.

    Raises:
        UnsafeState: a row breaks an expectation whose action is `fail`; nothing was written.
    """
    rows = rows.select(*target.columns)
    is_first = not tables.may_hold_rows(target.path)
    bounds = {} if is_first else _bounds(groups, target.group)
    # A merge rewrites every file that holds a matched row, changed or not; so it gets only what differs.
    changes = rows.withColumn(ACTION, F.lit("insert")) if is_first else _changes(rows, groups, target, bounds)
    changes = changes.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        kinds, found = _judged(changes, target)
        count(found)
        failpoint("before_groups")
        if kinds == {"insert"}:
            append(changes.select(*target.columns), target.path, batch=batch, table=target.table)
        elif kinds:
            _merge(changes, target, batch, bounds)
        failpoint("after_groups")
        return found
    finally:
        changes.unpersist()


def _judged(changes: DataFrame, target: GoldTarget) -> tuple[set[str], Recomputed]:
    """The actions there are, and the expectations broken by what is to be written, in the job that fills the cache."""
    written = F.col(ACTION) != "delete"
    breaks = {each.name: written & ~F.coalesce(F.expr(f"({each.sql})"), F.lit(True)) for each in target.expectations}
    row = changes.agg(
        F.collect_set(ACTION).alias("kinds"),
        F.count_if(written).alias("rows"),
        F.count_if(reduce(Column.__or__, breaks.values(), F.lit(False))).alias("flawed"),
        *(F.count_if(predicate).alias(f"broken:{name}") for name, predicate in breaks.items()),
    ).first()
    if row is None:
        raise ValueError("an aggregate without grouping always has a row")
    broken = {name: int(row[f"broken:{name}"]) for name in breaks}
    for each in target.expectations:
        if each.action == "fail" and broken[each.name]:
            raise UnsafeState(
                f"gold.{target.table}: {broken[each.name]} rows break {each.name} ({each.sql})",
                hint="nothing was written; mend silver or the computation, then run again",
            )
    return set(row["kinds"]), Recomputed(int(row["rows"]), broken, int(row["flawed"]))


def replace(rows: DataFrame, path: str) -> bool:
    """Replace a whole small table in one commit, unless it was last written with this very content.

    Returns: whether it wrote. Readers see the old content or the new. The commit notes the content's order-free hash.
    """
    found = rows.agg(F.sum(F.xxhash64(*rows.columns).cast("decimal(38,0)")), F.count(F.lit(1))).first()
    content = f"content {found[0]} of {found[1]} rows: {rows.schema.simpleString()}" if found else ""
    if tables.last_note(path) == content:
        return False
    writer = rows.coalesce(1).write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    writer.option("userMetadata", content).save(path)
    return True


def _bounds(groups: DataFrame, columns: Sequence[str]) -> Bounds:
    """Least and greatest value of each column, in one job."""
    limits = [limit for column in columns for limit in (F.min(column), F.max(column))]
    row = groups.agg(*limits).first()
    found = tuple(row) if row else ()
    return {column: (found[2 * i], found[2 * i + 1]) for i, column in enumerate(columns)}


def _within(bounds: Bounds, prefix: str = "") -> Column:
    """The bounds as a predicate with literals, for the side of a merge that the prefix names."""
    each = (F.col(prefix + column).between(F.lit(low), F.lit(high)) for column, (low, high) in bounds.items())
    return reduce(Column.__and__, each)


def _changes(rows: DataFrame, groups: DataFrame, target: GoldTarget, bounds: Bounds) -> DataFrame:
    """Rows to insert, update and delete, each with its action; what is as it should be is left out."""
    held = tables.read(rows.sparkSession, target.path).where(_within(bounds))
    held = held.join(groups, list(target.group), "left_semi").select(*target.columns)
    return (
        rows.alias("r")
        .join(held.alias("h"), list(target.keys), "full_outer")
        .withColumn(ACTION, _action(target))
        .where(F.col(ACTION).isNotNull())
        .select(*target.keys, *(F.col(f"r.{value}").alias(value) for value in _values(target)), ACTION)
        .select(*target.columns, ACTION)
    )


def _action(target: GoldTarget) -> Column:
    """Insert, update or delete; null where both sides are equal. Keys are never null, so one tells a side's absence."""
    recomputed, held = (F.col(f"{side}.{target.keys[0]}").isNotNull() for side in ("r", "h"))
    differs = (~F.col(f"r.{value}").eqNullSafe(F.col(f"h.{value}")) for value in _values(target))
    return (
        F.when(recomputed & ~held, "insert")
        .when(~recomputed, "delete")
        .when(reduce(Column.__or__, differs, F.lit(False)), "update")
    )


def _values(target: GoldTarget) -> list[str]:
    return [column for column in target.columns if column not in target.keys]


def _merge(changes: DataFrame, target: GoldTarget, batch: Batch, bounds: Bounds) -> None:
    spark = changes.sparkSession
    same_key = reduce(Column.__and__, (F.col(f"t.{key}") == F.col(f"s.{key}") for key in target.keys))
    every: dict[str, str | Column] = {column: F.col(f"s.{column}") for column in target.columns}
    with transaction(spark, batch, target.table):
        (
            DeltaTable.forPath(spark, target.path)
            .alias("t")
            .merge(changes.alias("s"), _within(bounds, "t.") & same_key)
            .whenMatchedDelete(condition=F.col(f"s.{ACTION}") == "delete")
            .whenMatchedUpdate(set=every)
            .whenNotMatchedInsert(values=every)
            .execute()
        )

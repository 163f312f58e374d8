"""Replace the rows of some groups of a gold table by what was recomputed for them, and touch nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from sinks import tables
from sinks.commit import is_known
from sinks.expectations import Expectation
from sinks.frames import fixed
from sinks.rewrite import rewrite
from sinks.snapshot import FILE, Filter, Snapshot, between
from sinks.transactions import Batch

ACTION = "_action"


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
    *,
    within: Sequence[Filter] = (),
) -> Recomputed:
    """Make the table hold, of the given groups, exactly the given rows. The same rows again commit nothing.

    Args:
        rows: all rows of the groups, the target's columns. Evaluated once.
        groups: the target's group columns, distinct; a group without a row in `rows` is emptied.
        count: keeps what was found. Called before the write: once that is done, a repetition finds no difference, and
            a batch that died in between would never be counted.
        within: bounds of the groups, by which files of the table are left out.

    Raises:
        UnsafeState: a row breaks an expectation whose action is `fail`; nothing was written.
    """
    # Judged and written against one version of the table and of what the rows were made from.
    held = Snapshot.of(target.path)
    with fixed(_changes(rows.select(*target.columns), groups, target, held, within)) as changes:
        addresses, found = _judged(changes, target)
        count(found)
        failpoint("before_groups")
        once = batch.once(target.table)
        if not is_known(held.table, once):
            written = changes.where(F.col(ACTION) != "delete").select(*target.columns)
            rewrite(held, addresses, changes, target.keys, rows=written, count=found.rows, once=once)
        failpoint("after_groups")
        return found


def _judged(changes: DataFrame, target: GoldTarget) -> tuple[list[str], Recomputed]:
    """The files that the changes concern, and the expectations broken by what is to be written, in the job
    that fixes the frame."""
    written = F.col(ACTION) != "delete"
    breaks = {each.name: written & ~F.coalesce(F.expr(f"({each.sql})"), F.lit(True)) for each in target.expectations}
    row = changes.agg(
        F.collect_set(FILE).alias("files"),
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
    return row["files"], Recomputed(int(row["rows"]), broken, int(row["flawed"]))


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


def extent(groups: DataFrame, columns: Sequence[str]) -> tuple[int, list[Filter]]:
    """How many groups there are, and the bounds of each column, in one job."""
    limits = [limit for column in columns for limit in (F.min(column), F.max(column))]
    row = groups.agg(F.count(F.lit(1)), *limits).first()
    if row is None:
        raise ValueError("an aggregate without grouping always has a row")
    each = (between(column, row[1 + 2 * i], row[2 + 2 * i]) for i, column in enumerate(columns))
    return int(row[0]), [limit for pair in each for limit in pair]


def _changes(
    rows: DataFrame, groups: DataFrame, target: GoldTarget, table: Snapshot, within: Sequence[Filter]
) -> DataFrame:
    """Rows to insert, update and delete, each with its action, and where it stands; what is right is left out."""
    if not table.files():
        return rows.withColumns({ACTION: F.lit("insert"), FILE: F.lit(None).cast("string")})
    held = table.read(rows.sparkSession, within)
    held = held.join(groups, list(target.group), "left_semi").select(*target.columns, FILE)
    return (
        rows.alias("r")
        .join(held.alias("h"), list(target.keys), "full_outer")
        .withColumn(ACTION, _action(target))
        .where(F.col(ACTION).isNotNull())
        .select(*target.keys, *(F.col(f"r.{value}").alias(value) for value in _values(target)), ACTION, FILE)
        .select(*target.columns, ACTION, FILE)
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

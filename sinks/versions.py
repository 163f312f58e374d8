"""Distinguish versions from repetitions: pure logic over Arrow tables, without reading or writing the lake.

A version of a row has the values that were known from one instant on, or is a withdrawal: from that instant on there is
no such row. A key's rows are in the order (known_from, values before withdrawals, Kafka offset), and of all rows with
one key and one `known_from` only the first counts: values come before a withdrawal, a lower offset before a higher one
(docs/adr/0008, 0016). A row that only repeats the version before it is not a new version; neither is a withdrawal of a
key that has no value. Where a clock is too coarse to tell one record from the next, the last row of a clock counts
instead of the first, nothing conflicts, and a withdrawal is a version of a key without a value, too (docs/adr/0032).

The result for each row of a batch is its *outcome*:

    new          a version that revisions do not hold yet
    stored       such a version, appended by an earlier attempt at this batch
    unchanged    repeats the version before it in time; or withdraws a key without a value, or with one of that clock;
                 or is followed by one of that clock, where the last counts
    duplicate    repeats the version with the same (key, known_from)
    conflicting  differs from the version with the same (key, known_from)
    quarantined  broke an expectation; not considered in the above

`new` and `stored` together are the same rows in every attempt at a batch. Therefore the table that is written second
can be computed from the batch, whether or not the first write had already happened.
"""

from collections.abc import Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import ArrayType, DataType, MapType, StructField, StructType

from sinks import sql

OUTCOMES = ("new", "stored", "unchanged", "duplicate", "conflicting", "quarantined")
IDENTITY = ("is_withdrawn", "kafka_partition", "kafka_offset")
"""The columns that identify one row of one dataset: records and withdrawals are in two topics, whose offsets may be
equal."""
STORED_COLUMNS = ("known_from", *IDENTITY, "version_hash")
JUDGEMENT = ("outcome", "is_newest", "is_first_of_key", "is_disturbed")


def version_hash(fields: Sequence[StructField]) -> Column:
    """The hash by which versions are compared: over names and values of the fields that are not null.

    Spark's hash skips nulls, so a hash of values only would make (null, 5) and (5, null) the same version. With the
    names they differ, and a field that a contract gains later, null in old rows, does not change a hash.
    """
    named = [each for field in fields for each in (F.when(F.col(field.name).isNotNull(), field.name), _hashable(field))]
    return F.xxhash64(*named)


def _hashable(field: StructField) -> Column:
    """A map as its entries in order: Spark neither hashes nor compares maps, because equal ones may differ in order."""
    column = F.col(field.name)
    return F.array_sort(F.map_entries(column)) if isinstance(field.dataType, MapType) else _told(column, field.dataType)


def _told(column: Column, kind: DataType) -> Column:
    """A value with parts, so that different values never hash the same sequence: Spark's hash skips nulls inside too,
    and does not tell where an array ends.

    As for whole rows, a part of a record is told by its name if it is not null, so that a part that is gained later
    does not change a hash; before them comes their number. An array is told by its length and, per item, whether it is
    null.
    """
    if isinstance(kind, StructType):
        parts = {field.name: (column.getField(field.name), field.dataType) for field in kind}
        named = [
            each
            for name, (part, of) in parts.items()
            for each in (F.when(part.isNotNull(), F.lit(name)), _told(part, of))
        ]
        count = reduce(Column.__add__, (part.isNotNull().cast("int") for part, _ in parts.values()), F.lit(0))
        whole = F.struct(*(each.alias(f"_{number}") for number, each in enumerate((count, *named))))
    elif isinstance(kind, ArrayType):
        items = F.transform(column, lambda item: F.struct(item.isNull(), _told(item, kind.elementType)))
        whole = F.struct(F.size(column), items)
    else:
        return column
    return F.when(column.isNotNull(), whole)


def classify(
    incoming: pa.Table, stored: pa.Table | None, *, keys: Sequence[str], last_counts: bool = False
) -> pa.Table:
    """The batch, in its order, with `outcome`, `is_newest`, `is_first_of_key` and `is_disturbed`.

    `is_newest`: whether the row is a new or stored version, and the newest that its key has. `is_first_of_key`: whether
    revisions hold nothing of its key, not even from an earlier attempt at this batch. `is_disturbed`: whether the batch
    makes a stored version of its key obsolete.

    Args:
        incoming: the batch, with the keys, `STORED_COLUMNS` and a boolean `is_valid`. The `version_hash` of a
            withdrawal is null.
        stored: keys and `STORED_COLUMNS` of the revisions of at least the batch's keys; None when there are none.
        last_counts: whether of a key's rows with one clock the last in Kafka counts, a withdrawal too.
    """
    in_time = _in_time(keys, last_counts=last_counts)
    other = "unchanged" if last_counts else "conflicting"
    # A key may lose its only value to a withdrawal of the same clock: then the withdrawal must take its place.
    follows = "_before IS NOT NULL AND" if last_counts else ""
    columns = sql.listed((*keys, *STORED_COLUMNS))
    # Windows over few columns: each of them would copy and sort all the others too.
    rows = incoming.select([*keys, *STORED_COLUMNS, "is_valid"]).append_column(
        "_row", pc.cumulative_sum(pa.repeat(1, incoming.num_rows))
    )
    known = stored if stored is not None else rows.select([*keys, *STORED_COLUMNS]).slice(0, 0)
    # A struct is never null, so a withdrawal is treated like any other version.
    standing = f"struct_pack({', '.join(f'{name} := {name}' for name in (*IDENTITY, 'version_hash'))})"
    found = sql.table(
        f"""
        WITH timeline AS (
            SELECT *, false AS _stored FROM rows
            UNION ALL BY NAME SELECT {columns}, true AS is_valid, true AS _stored FROM known
        ), placed AS (
            SELECT *, lag(known_from) OVER in_time IS DISTINCT FROM known_from AS _stands
            FROM timeline {in_time}
        ), compared AS (
            SELECT *,
                last_value(CASE WHEN _stands THEN {standing} END IGNORE NULLS)
                    OVER (in_time ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS _standing,
                last_value(CASE WHEN _stands THEN struct_pack(version_hash := version_hash) END IGNORE NULLS)
                    OVER (in_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _before
            FROM placed {in_time}
        ), told AS (
            SELECT *, {follows} _before.version_hash IS NOT DISTINCT FROM version_hash AS _repeats FROM compared
        ), judged AS (
            SELECT *, CASE
                WHEN NOT is_valid THEN 'quarantined'
                WHEN _stands AND _repeats THEN 'unchanged'
                WHEN _stands THEN 'new'
                WHEN {" AND ".join(f"_standing.{name} = {name}" for name in IDENTITY)} THEN 'stored'
                WHEN is_withdrawn AND NOT _standing.is_withdrawn THEN 'unchanged'
                WHEN _standing.version_hash IS NOT DISTINCT FROM version_hash THEN 'duplicate'
                ELSE '{other}' END AS outcome
            FROM told
        ), versions AS (
            SELECT *, CASE WHEN _stored THEN _stands AND NOT _repeats
                ELSE outcome IN ('new', 'stored') END AS _is_version
            FROM judged
        ), whole AS (
            SELECT *,
                _is_version AND known_from = max(known_from) FILTER (_is_version) OVER key AS is_newest,
                NOT bool_or(_stored) OVER key AS is_first_of_key,
                bool_or(_stored AND NOT _is_version) OVER key AS is_disturbed
            FROM versions WINDOW key AS (PARTITION BY is_valid, {sql.listed(keys)})
        )
        SELECT {", ".join(JUDGEMENT)} FROM whole WHERE NOT _stored ORDER BY _row
        """,
        rows=rows,
        known=known,
    )
    for name in JUDGEMENT:
        incoming = incoming.append_column(name, found[name])
    return incoming


def _in_time(keys: Sequence[str], *, last_counts: bool) -> str:
    of_clock = "kafka_offset DESC" if last_counts else "is_withdrawn, kafka_offset"
    order = f"known_from, {of_clock}, kafka_partition, _stored DESC"
    return f"WINDOW in_time AS (PARTITION BY is_valid, {sql.listed(keys)} ORDER BY {order})"

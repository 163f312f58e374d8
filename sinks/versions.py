"""Tell versions from repetitions: pure frame logic, no table is read or written here.

A version of a row is its values as they could be known from one instant on. Of all rows with one key and one
`known_from`, the lowest Kafka offset stands. A version that only repeats the values of the version before it in time
says nothing new. What a row of a batch turns out to be is its *fate*:

    new          a version that revisions do not hold yet
    stored       such a version, appended by an earlier attempt at this very batch
    unchanged    repeats the version before it in time
    duplicate    repeats the version that stands at its own (key, known_from)
    conflicting  differs from the version that stands at its own (key, known_from)
    quarantined  broke an expectation; takes no part in the above

`new` and `stored` together are the same rows in every attempt at a batch. That is what lets a table that is written
second be computed from the batch, whether or not the first write had already happened.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import MapType, StructField

FATES = ("new", "stored", "unchanged", "duplicate", "conflicting", "quarantined")
STORED_COLUMNS = ("known_from", "kafka_partition", "kafka_offset", "version_hash")


def version_hash(fields: Sequence[StructField]) -> Column:
    """The hash by which versions are compared: over names and values of the fields that hold one.

    Spark's hash skips nulls, so over values alone (null, 5) and (5, null) would be the same version. With the names it
    is sound, and a field that a contract gains later, null in old rows, still changes no hash.
    """
    named = [each for field in fields for each in (F.when(F.col(field.name).isNotNull(), field.name), _hashable(field))]
    return F.xxhash64(*named)


def _hashable(field: StructField) -> Column:
    """A map as its entries in order: Spark neither hashes nor compares maps, because equal ones may differ in order."""
    column = F.col(field.name)
    return F.array_sort(F.map_entries(column)) if isinstance(field.dataType, MapType) else column


def classify(incoming: DataFrame, stored: DataFrame | None, *, keys: Sequence[str]) -> DataFrame:
    """Add `fate`, `is_newest` and `is_first_of_key`.

    `is_newest`: whether the row is its key's newest among the batch's new and stored versions. `is_first_of_key`:
    whether revisions hold nothing of its key, not even by an earlier attempt at this batch.

    Args:
        incoming: the batch, with the keys, `STORED_COLUMNS` and a boolean `is_valid`.
        stored: keys and `STORED_COLUMNS` of the revisions of at least the batch's keys; None when there are none.
    """
    timeline = incoming.withColumn("_stored", F.lit(False))
    if stored is not None:
        known = stored.withColumns({"_stored": F.lit(True), "is_valid": F.lit(True)})
        timeline = timeline.unionByName(known, allowMissingColumns=True)

    # One partitioning and one order serve every window below, so the plan shuffles and sorts once.
    key = Window.partitionBy("is_valid", *keys)
    in_time = key.orderBy(F.col("known_from"), F.col("_stored").desc(), F.col("kafka_offset"))
    up_to_here = in_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    before_here = in_time.rowsBetween(Window.unboundedPreceding, -1)

    stands = F.col("_stands")
    identity = F.struct("version_hash", "kafka_partition", "kafka_offset")
    compared = timeline.withColumn(
        "_stands", ~F.lag("known_from").over(in_time).eqNullSafe(F.col("known_from"))
    ).withColumns(
        {
            "_standing": F.last(F.when(stands, identity), ignorenulls=True).over(up_to_here),
            "_before": F.last(F.when(stands, F.col("version_hash")), ignorenulls=True).over(before_here),
        }
    )
    is_itself = (F.col("_standing.kafka_partition") == F.col("kafka_partition")) & (
        F.col("_standing.kafka_offset") == F.col("kafka_offset")
    )
    fate = (
        F.when(~F.col("is_valid"), "quarantined")
        .when(stands & F.col("_before").eqNullSafe(F.col("version_hash")), "unchanged")
        .when(stands, "new")
        .when(is_itself, "stored")
        .when(F.col("_standing.version_hash") == F.col("version_hash"), "duplicate")
        .otherwise("conflicting")
    )
    sequence = F.when(F.col("_is_version"), F.struct("known_from", "kafka_offset"))
    return (
        compared.withColumn("fate", fate)
        .withColumn("_is_version", ~F.col("_stored") & F.col("fate").isin("new", "stored"))
        .withColumn("_sequence", sequence)
        .withColumn("is_newest", F.col("_is_version") & (F.col("_sequence") == F.max("_sequence").over(key)))
        .withColumn("is_first_of_key", ~F.max("_stored").over(key))
        .where(~F.col("_stored"))
        .drop("_stored", "_stands", "_standing", "_before", "_is_version", "_sequence")
    )

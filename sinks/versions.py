"""Tell versions from repetitions: pure frame logic, no table is read or written here.

A version of a row is its values as they could be known from one instant on, or a withdrawal: from that instant on
there is no such row. A key's rows are in the order (known_from, values before withdrawals, Kafka offset), and of all
rows with one key and one `known_from` the first stands: a value beats a withdrawal, a lower offset a higher one
(docs/adr/0008, 0016). A row that stands and only repeats what the version before it says is no new version; neither is
a withdrawal of a key that holds no value. What a row of a batch turns out to be is its *outcome*:

    new          a version that revisions do not hold yet
    stored       such a version, appended by an earlier attempt at this very batch
    unchanged    repeats the version before it in time; or withdraws what holds no value, or has one at that very clock
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

OUTCOMES = ("new", "stored", "unchanged", "duplicate", "conflicting", "quarantined")
IDENTITY = ("is_withdrawn", "kafka_partition", "kafka_offset")
"""What names one row of one dataset: records and withdrawals stand in two topics, whose offsets may be equal."""
STORED_COLUMNS = ("known_from", *IDENTITY, "version_hash")


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
    """Add `outcome`, `is_newest`, `is_first_of_key` and `is_disturbed`.

    `is_newest`: whether the row is a new or stored version, and the newest that its key has. `is_first_of_key`: whether
    revisions hold nothing of its key, not even by an earlier attempt at this batch. `is_disturbed`: whether, with the
    batch, a stored version of its key is none any more.

    Args:
        incoming: the batch, with the keys, `STORED_COLUMNS` and a boolean `is_valid`. The `version_hash` of a
            withdrawal is null: it says what no row at all says.
        stored: keys and `STORED_COLUMNS` of the revisions of at least the batch's keys; None when there are none.
    """
    timeline = incoming.withColumn("_stored", F.lit(False))
    if stored is not None:
        known = stored.withColumns({"_stored": F.lit(True), "is_valid": F.lit(True)})
        timeline = timeline.unionByName(known, allowMissingColumns=True)

    # One partitioning and one order serve every window below, so the plan shuffles and sorts once.
    key = Window.partitionBy("is_valid", *keys)
    in_time = key.orderBy("known_from", "is_withdrawn", "kafka_offset", "kafka_partition", F.col("_stored").desc())
    up_to_here = in_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    before_here = in_time.rowsBetween(Window.unboundedPreceding, -1)

    stands = F.col("_stands")
    compared = timeline.withColumn(
        "_stands", ~F.lag("known_from").over(in_time).eqNullSafe(F.col("known_from"))
    ).withColumns(
        {
            "_standing": F.last(F.when(stands, F.struct(*IDENTITY, "version_hash")), ignorenulls=True).over(up_to_here),
            # A struct is not null, whatever is in it: a withdrawal is looked at like any other version.
            "_before": F.last(F.when(stands, F.struct("version_hash")), ignorenulls=True).over(before_here),
        }
    )
    says_nothing_new = F.col("_before.version_hash").eqNullSafe(F.col("version_hash"))
    is_itself = F.struct(*(F.col(f"_standing.{name}") for name in IDENTITY)) == F.struct(*IDENTITY)
    outcome = (
        F.when(~F.col("is_valid"), "quarantined")
        .when(stands & says_nothing_new, "unchanged")
        .when(stands, "new")
        .when(is_itself, "stored")
        .when(F.col("is_withdrawn") & ~F.col("_standing.is_withdrawn"), "unchanged")
        .when(F.col("_standing.version_hash").eqNullSafe(F.col("version_hash")), "duplicate")
        .otherwise("conflicting")
    )
    is_version = F.when(F.col("_stored"), stands & ~says_nothing_new).otherwise(F.col("outcome").isin("new", "stored"))
    newest = F.max(F.when(F.col("_is_version"), F.col("known_from"))).over(key)
    return (
        compared.withColumn("outcome", outcome)
        .withColumn("_is_version", is_version)
        .withColumn("is_newest", F.col("_is_version") & (F.col("known_from") == newest))
        .withColumn("is_first_of_key", ~F.max("_stored").over(key))
        .withColumn("is_disturbed", F.max(F.col("_stored") & ~F.col("_is_version")).over(key))
        .where(~F.col("_stored"))
        .drop("_stored", "_stands", "_standing", "_before", "_is_version")
    )

"""Take single rows out of a table and put others in, by writing anew the files that hold them (copy on write)."""

from collections.abc import Collection, Sequence
from functools import partial, reduce

from deltalake import Transaction
from pyspark.sql import DataFrame

from sinks.commit import BYTES_PER_FILE, ROWS_PER_FILE, replace_files
from sinks.snapshot import FILE, Snapshot
from sinks.target import matching


def rewrite(
    snapshot: Snapshot,
    found_in: Collection[str],
    gone: DataFrame,
    keys: Sequence[str],
    *,
    rows: DataFrame | None = None,
    count: int = 0,
    once: Transaction | None = None,
) -> None:
    """Replace rows, in one commit; none where nothing goes or comes.

    Args:
        snapshot: the version that `found_in` names files of.
        found_in: `FILE` of every row of the table that `gone` names.
        gone: keys that leave those files; null equals null.
        rows: that come in, the table's columns; none by default.
        count: how many of them there are.
    """
    if not found_in and not count:
        return
    files = snapshot.named(found_in)
    written = [] if rows is None else [rows]
    if files:
        stay = snapshot.read_files(gone.sparkSession, files).drop(FILE)
        written.insert(0, matching(stay, gone, keys, "left_anti"))
    parts = 1 + snapshot.bytes_of(files) // BYTES_PER_FILE + count // ROWS_PER_FILE
    every = reduce(partial(DataFrame.unionByName, allowMissingColumns=True), written)
    replace_files(snapshot, files, every.coalesce(parts), once=once)

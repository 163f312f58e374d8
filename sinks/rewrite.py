"""Take single rows out of a table and put others in, by writing anew the files that hold them (copy on write)."""

from collections.abc import Collection, Sequence

from deltalake import Transaction
from pyspark.sql import DataFrame

from sinks.commit import replace_files
from sinks.snapshot import FILE, Snapshot
from sinks.target import ROWS_PER_FILE, matching

BYTES_PER_FILE = 128 * 1024**2
"""Of the files that are written anew."""


def rewrite(
    snapshot: Snapshot,
    addresses: Collection[str],
    gone: DataFrame,
    keys: Sequence[str],
    *,
    rows: DataFrame | None = None,
    count: int = 0,
    once: Transaction | None = None,
) -> None:
    """Replace rows, in one commit.

    Args:
        snapshot: the version that `addresses` were found in.
        addresses: `FILE` of every row of the table that `gone` names.
        gone: keys that leave those files; null equals null.
        rows: that come in, the table's columns; none by default.
        count: how many of them there are.
    """
    files = snapshot.named(addresses)
    stay = matching(snapshot.read_files(gone.sparkSession, files).drop(FILE), gone, keys, "left_anti")
    written = stay if rows is None else stay.unionByName(rows, allowMissingColumns=True)
    parts = 1 + snapshot.bytes_of(files) // BYTES_PER_FILE + count // ROWS_PER_FILE
    replace_files(snapshot, files, written.coalesce(parts), once=once)

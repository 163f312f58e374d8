"""Replace the whole content of a table in one commit, and restore a former content in the same way.

The table keeps its path and its id, so readers see the old content or the new one, and versions from before the swap
can be read until VACUUM. The files of the new content are linked below the table's folder first: a file that no commit
names is not part of the table, so this may stop at any point and be repeated.

The commit has every transaction id of the new content's writer, which continues with them, and one of its own, by which
a repetition finds the swap done. delta-rs finds no conflict between commits that remove files, so the caller must be
the only writer of the table, or of its partition, meanwhile.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import Transaction
from deltalake.transaction import AddAction, RemoveAction

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from sinks import tables
from sinks.commit import in_place, is_known, partition_of, removed, transact
from sinks.snapshot import Snapshot
from sinks.statistics import statistics_of
from storage import delta, files, parquet
from storage.location import location

Partition = Mapping[str, str]
"""Column → value, of the part of a table that is replaced; empty for the whole table."""


def files_of(path: str, partition: Partition) -> list[str]:
    """Files of the present version, below the table's folder; none if there is no table."""
    if not tables.exists(path):
        return []
    actions = pa.table(delta.table(path).get_add_actions(flatten=True)).to_pylist()
    return sorted(
        unquote(action["path"])
        for action in actions
        if all(str(action[f"partition.{column}"]) == value for column, value in partition.items())
    )


def swap(path: str, source: str, partition: Partition, *, mark: Transaction, carried: Sequence[Transaction]) -> None:
    """Replace a table's content by that of another table, in one commit; nothing happens if the table has the mark
    already.

    Args:
        path: the table; created if it is absent.
        source: the other table, of the same columns. Its files are linked, and copied where that is not possible.
        mark: the transaction id of this swap.
        carried: transaction ids of the source's writer.

    Raises:
        UnsafeState: the table lacks a column of the source.
    """
    _ensure_like(path, source)
    live, new = Snapshot.of(path), Snapshot.of(source)
    if is_known(live.table, mark):
        return
    if not tables.holds(live.schema, new.schema):
        raise UnsafeState(
            f"the table at {path} lacks a column of its rebuilt content",
            hint="start the driver of this release once: it adds the new columns; then run this again",
        )
    names = files_of(source, partition)
    for name in names:
        files.link(location(source) / name, location(path) / name)
    failpoint("swap_linked")
    _commit(live, names, partition, [mark, *carried])


def restore(path: str, names: Sequence[str], partition: Partition, *, mark: Transaction) -> None:
    """Replace a table's content by these files of a former version, in one commit; nothing happens if the table has the
    mark.

    Raises:
        UnsafeState: one of them has been removed since.
    """
    live = Snapshot.of(path)
    if is_known(live.table, mark):
        return
    require_files(path, names)
    _commit(live, names, partition, [mark])


def require_files(path: str, names: Sequence[str]) -> None:
    """Raises: UnsafeState when one of a former version's files is not there any more."""
    if gone := [name for name in names if not files.exists(location(path) / name)]:
        raise UnsafeState(
            f"{gone[0]} and {len(gone) - 1} more files of the former content of {path} were removed since",
            hint="former files are kept for seven days only; rebuild the table again instead",
        )


def _commit(live: Snapshot, names: Sequence[str], partition: Partition, transactions: Sequence[Transaction]) -> None:
    before = set(files_of(live.path, partition))
    actions: list[AddAction | RemoveAction] = [removed(name, data_change=True) for name in sorted(before - set(names))]
    actions += _added(live, [name for name in names if name not in before])
    transact(live.table, actions, *transactions)
    failpoint("mid_swap")


def _added(live: Snapshot, names: Sequence[str]) -> Iterator[AddAction]:
    for name in names:
        file = location(live.path) / name
        statistics = statistics_of(parquet.footer(file), live)
        size = files.size(file)
        assert size is not None
        yield in_place(name, size, partition_of(Path(name)), statistics, data_change=True)


def _ensure_like(path: str, source: str) -> None:
    if tables.exists(path):
        return
    table = delta.table(source)
    delta.create(
        path,
        table.schema(),
        partition_by=table.metadata().partition_columns,
        configuration=table.metadata().configuration,
    )

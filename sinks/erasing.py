"""Take rows out of a Delta table for good: out of its present version, its former files, and its log's statistics.

`take_out` commits the present version without the rows. What held them stays in the folder until `purge`: files that
left the table then or earlier, and the log, whose entries name the least and greatest values of a file's columns. All
of it is found again by looking, so whoever was killed begins anew and ends with the same.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foundation.failpoints import failpoint
from sinks import tables
from sinks.arrow_commit import replace_files
from sinks.commit import partition_of
from sinks.snapshot import FILE, Snapshot
from sinks.swap import Partition, files_of
from storage import files, parquet
from storage.location import Location, location

_STATISTICS = ("stats", "stats_parsed")


@dataclass(frozen=True)
class Matching:
    """Which rows of a table are meant.

    Attributes:
        columns: that `of` looks at; a file without one of them holds no such row.
        of: rows with these columns → whether each is meant.
        within: column of the table's partitions → the value of those that may hold such rows.
    """

    columns: tuple[str, ...]
    of: Callable[[pa.Table], pa.Array]
    within: Partition


@dataclass(frozen=True)
class Held:
    """Where such rows stand.

    Attributes:
        live: file of the present version → how many such rows it holds.
        former: files that left the table, or never were in it, and hold such rows.
    """

    live: dict[str, int]
    former: list[str]

    @property
    def rows(self) -> int:
        """In the present version."""
        return sum(self.live.values())


def held(path: str, matching: Matching) -> Held:
    """Every file below a table's folder that holds such rows; none where there is no table."""
    if not tables.exists(path):
        return Held({}, [])
    present = set(files_of(path, {}))
    live, former = {}, []
    for name in files_below(path):
        if not _is_within(name, matching.within):
            continue
        if rows := _count(location(path) / name, matching):
            if name in present:
                live[name] = rows
            else:
                former.append(name)
    return Held(live, former)


def take_out(path: str, matching: Matching) -> int:
    """Commit the table without such rows, one commit per file that holds some; returns how many rows went.

    Only the owner of the table's writes may call this.
    """
    gone = 0
    for name, rows in held(path, matching).live.items():
        snapshot = Snapshot.of(path)
        columns = snapshot.arrow_schema.names
        found = snapshot.scan(columns, files=[name])
        left = pa.RecordBatchReader.from_batches(
            pa.schema([found.schema.field(each) for each in columns]), _left(found, matching)
        )
        replace_files(snapshot, [name], left)
        gone += rows
        failpoint("erase_file_rewritten")
    return gone


def purge(path: str, names: Sequence[str]) -> int:
    """Delete files that are not part of the table, and the statistics of all such files from its log.

    Returns: how many files went. Versions that held one of them cannot be read any more; every later one can.
    """
    if not tables.exists(path):
        return 0
    present = set(files_of(path, {}))
    gone = 0
    for name in names:
        if name in present:
            continue
        files.remove(location(path) / name)
        gone += 1
        failpoint("erase_file_removed")
        files.remove_empty_folders(path, name)
    forget_statistics(path)
    return gone


def former_files(path: str) -> list[str]:
    """Data files below a table's folder that are not part of its present version."""
    if not tables.exists(path):
        return []
    present = set(files_of(path, {}))
    return [name for name in files_below(path) if name not in present]


def files_below(path: str) -> Iterator[str]:
    """Every data file below a table's folder, whether or not a commit names it."""
    for name in sorted(entry.name for entry in files.walk(path)):
        if name.endswith(".parquet") and not name.startswith("_delta_log/"):
            yield name


def forget_statistics(path: str) -> None:
    """Rewrite the log without the statistics of files that are not part of the present version.

    Statistics are least and greatest values, so a file of one row has them all. No action changes in any other way:
    whoever reads the log from an earlier version on finds the same. A reader that has a file open keeps what it read.
    """
    present = set(files_of(path, {}))
    log = location(path) / "_delta_log"
    entries = [name for name in sorted(files.names(log)) if name[:20].isdecimal()]
    for name in entries:
        if name.endswith(".json"):
            _scrub_commit(log / name, present)
    for name in entries:
        if ".checkpoint" in name and name.endswith(".parquet"):
            _scrub_checkpoint(log / name, present)
    for name in entries:
        if name.endswith(".crc"):
            files.remove(log / name)  # sums over a version, Spark's and ours, which may list files; none are needed


def _left(found: pa.RecordBatchReader, matching: Matching) -> Iterator[pa.RecordBatch]:
    for batch in found:
        rows = pa.Table.from_batches([batch]).drop_columns(FILE)
        yield from rows.filter(pc.invert(matching.of(rows))).to_batches()


def _count(file: Location, matching: Matching) -> int:
    try:
        with parquet.opened(file) as opened:
            if not set(matching.columns) <= set(opened.schema_arrow.names):
                return 0
            batches = opened.iter_batches(columns=list(matching.columns))
            return sum(pc.sum(matching.of(pa.Table.from_batches([batch]))).as_py() or 0 for batch in batches)
    except FileNotFoundError:
        return 0


def _is_within(name: str, within: Partition) -> bool:
    stands = partition_of(Path(name))
    return all(stands.get(column) in (value, None) for column, value in within.items())


def _scrub_commit(entry: Location, present: set[str]) -> None:
    lines, changed = [], False
    for line in files.read(entry).splitlines():
        action: dict[str, Any] = json.loads(line)
        for kind in ("add", "remove"):
            about = action.get(kind)
            if about is not None and unquote(about["path"]) not in present and any(map(about.get, _STATISTICS)):
                action[kind] = {name: value for name, value in about.items() if name not in _STATISTICS}
                changed = True
        lines.append(json.dumps(action, separators=(",", ":"), ensure_ascii=False))
    if changed:
        _replace(entry, ("\n".join(lines) + "\n").encode())


def _scrub_checkpoint(entry: Location, present: set[str]) -> None:
    found = pq.read_table(pa.BufferReader(files.read(entry)))
    if "add" not in found.column_names:
        return
    add = found["add"].combine_chunks()
    paths = add.field("path").to_pylist()
    gone = pa.array([path is not None and unquote(path) not in present for path in paths])
    names = [name for name in _STATISTICS if add.type.get_field_index(name) >= 0]
    if not any(pc.any(pc.and_(gone, add.field(name).is_valid())).as_py() for name in names):
        return
    fields = [add.type.field(place) for place in range(add.type.num_fields)]
    columns = [
        pc.if_else(gone, pa.nulls(len(add), field.type), add.field(field.name))
        if field.name in names
        else add.field(field.name)
        for field in fields
    ]
    scrubbed = pa.StructArray.from_arrays(columns, fields=fields, mask=add.is_null())
    place = found.column_names.index("add")
    sink = pa.BufferOutputStream()
    pq.write_table(found.set_column(place, found.schema.field("add"), scrubbed), sink)
    _replace(entry, sink.getvalue().to_pybytes())


def _replace(entry: Location, content: bytes) -> None:
    """Hadoop's sum of the old bytes goes. In a store the entry gets a new time: maintenance keeps it two days more."""
    files.remove(entry.parent / f".{entry.name}.crc")
    files.rewrite(entry, content)
    failpoint("erase_log_rewritten")

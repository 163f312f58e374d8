"""How many dead letters are open, counted from the files that are new: data files never change, so each is read once.

The same numbers as of `ops.dead_letters` (monitoring/reading/dead_letters.py), without a database in the process.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from monitoring.undecodable import UNDECODABLE
from storage import parquet
from storage.location import Location

Place = tuple[str, str, int, int]
"""(dataset, topic id, partition, offset): the place of a record. The topic id is empty in rows of older releases."""

QUARANTINE = "silver.quarantine"
CLOSINGS = "bronze.ingest_redrives"

# delta-rs may write text as views, which Arrow cannot filter.
_PLACED = pa.schema(
    {"topic_id": pa.string(), "partition": pa.int32(), "offset": pa.int64(), "decode_status": pa.string()}
)

_Known = Mapping[Location, tuple[Place, ...]]


@dataclass
class OpenDeadLetters:
    """The data behind the counts: the places of dead letters and of closing records, by file."""

    _undecodable: dict[str, _Known] = field(default_factory=dict)
    _aside: _Known = field(default_factory=dict)
    _closed: _Known = field(default_factory=dict)

    def count(
        self, bronze: Mapping[str, Iterable[Location]], aside: Iterable[Location], closed: Iterable[Location]
    ) -> dict[str, int]:
        """Dataset → number of open dead letters.

        Args:
            bronze: dataset → files of its bronze table. aside: of silver.quarantine. closed: of the closing records.

        Raises: OSError for a file that cannot be read.
        """
        self._undecodable = {
            dataset: _read(files, self._undecodable.get(dataset, {}), partial(_undecodable, dataset))
            for dataset, files in bronze.items()
        }
        self._aside = _read(aside, self._aside, _set_aside)
        self._closed = _read(closed, self._closed, _closings)
        done = _places([self._closed])
        done |= {(dataset, "", partition, offset) for dataset, _, partition, offset in done}
        counts = dict.fromkeys(bronze, 0)
        for dataset, *_ in _places([*self._undecodable.values(), self._aside]) - done:
            counts[dataset] = counts.get(dataset, 0) + 1
        return counts


def _places(known: Iterable[_Known]) -> set[Place]:
    return {place for files in known for places in files.values() for place in places}


def _read(files: Iterable[Location], known: _Known, read: Callable[[Location], Iterable[Place]]) -> _Known:
    return {file: known[file] if file in known else tuple(read(file)) for file in files}


def _undecodable(dataset: str, path: Location) -> list[Place]:
    with parquet.opened(path) as file:
        if all(_is_ok(file.metadata.row_group(number)) for number in range(file.metadata.num_row_groups)):
            return []
        rows = file.read(columns=_PLACED.names).cast(_PLACED)
    rows = rows.filter(pc.is_in(rows["decode_status"], value_set=pa.array(UNDECODABLE)))
    return [(dataset, row["topic_id"] or "", row["partition"], row["offset"]) for row in rows.to_pylist()]


def _is_ok(group: Any) -> bool:
    """Whether the statistics show that all rows of a row group decoded."""
    columns = (group.column(number) for number in range(group.num_columns))
    found = next((column.statistics for column in columns if column.path_in_schema == "decode_status"), None)
    return found is not None and found.has_min_max and found.min == found.max == "ok"


def _set_aside(path: Location) -> list[Place]:
    dataset = path.parent.name.removeprefix("dataset=")
    with parquet.opened(path) as file:
        names = [name for name in ("topic_id", "kafka_partition", "kafka_offset") if name in file.schema_arrow.names]
        rows = file.read(columns=names).to_pylist()
    return [(dataset, row.get("topic_id") or "", row["kafka_partition"], row["kafka_offset"]) for row in rows]


def _closings(path: Location) -> list[Place]:
    names = ("dataset", "topic_id", "partition", "offset")
    with parquet.opened(path) as file:
        rows = file.read(columns=[f"record.{name}" for name in names] + ["decode_status"]).to_pylist()
    records = (row["record"] for row in rows if row["decode_status"] == "ok")
    return [(each["dataset"], each["topic_id"], each["partition"], each["offset"]) for each in records]

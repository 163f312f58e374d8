"""What is left of a payload from which keys were erased: its rows as they were parsed, without the erased ones.

A payload is named after its bytes, and none of them can be changed: so its bytes go, and their name stays. What was
published from it stays provable, chunk by chunk, and the next edition can be compared with it: the rows keep their
numbers, and the chunks their bounds. A zip file holds, for each part that was read from the payload,

    index.json              the parts; of each its chunks and how many rows and rejects were erased
    <part>/<chunk>/<name>   the rows of a dataset in Arrow's stream format; the rejects as `rejects`

See docs/adr/0028.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from foundation.errors import InvalidContent
from producers.archive import Payload
from producers.model import Parsed, Part, Reject, RejectReason
from storage import files

INDEX, REJECTS = "index.json", "rejects"
_REJECTS = pa.schema(
    {"dataset": pa.string(), "row_number": pa.int64(), "reason": pa.string(), "detail": pa.string(), "raw": pa.binary()}
)
_WRITING = pa.ipc.IpcWriteOptions(compression="zstd")


@dataclass(frozen=True)
class Erasing:
    """What is taken out of a payload.

    Attributes:
        of_rows: (dataset, its records) → whether each is erased.
        of_reject: whether a reject is.
    """

    of_rows: Callable[[str, pa.RecordBatch], pa.Array]
    of_reject: Callable[[Reject], bool]


@dataclass(frozen=True)
class Taken:
    """How much was taken out."""

    rows: int = 0
    rejects: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(self.rows + other.rows, self.rejects + other.rejects)


def without(parsed: Parsed, erasing: Erasing) -> tuple[Parsed, Taken]:
    """A chunk without what is erased, and how much that is."""
    records, rows = {}, 0
    for dataset, batch in parsed.records.items():
        is_erased = erasing.of_rows(dataset, batch)
        kept = batch.filter(pa.compute.invert(is_erased))
        rows += batch.num_rows - kept.num_rows
        records[dataset] = kept
    rejects = tuple(each for each in parsed.rejects if not erasing.of_reject(each))
    return replace(parsed, records=records, rejects=rejects), Taken(rows, len(parsed.rejects) - len(rejects))


def write(
    parts: Iterable[tuple[Part, Iterator[Parsed]]], erasing: Erasing, before: Mapping[str, Taken], target: BinaryIO
) -> Taken:
    """Write the rows that are left of a payload.

    Args:
        parts: each part that was read from it, and its chunks.
        before: name of a part, as `name_of` gives it → what was erased from it earlier.

    Returns: what is erased now. Raises: InvalidContent where it does not parse.
    """
    total, index = Taken(), []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file:
        for number, (part, chunks) in enumerate(parts):
            described, of_part = [], Taken()
            for place, whole in enumerate(chunks):
                left, taken = without(whole, erasing)
                of_part += taken
                for dataset, batch in left.records.items():
                    _put(file, f"{number}/{place}/{dataset}", batch)
                if left.rejects:
                    _put(file, f"{number}/{place}/{REJECTS}", _of_rejects(left.rejects))
                described.append(
                    {
                        "first_row": left.first_row,
                        "next_row": left.next_row,
                        "datasets": list(left.records),
                        "has_rejects": bool(left.rejects),
                        "notes": list(left.notes),
                    }
                )
            total += of_part
            every = of_part + before.get(name_of(part), Taken())
            index.append({"part": name_of(part), "rows": every.rows, "rejects": every.rejects, "chunks": described})
        file.writestr(INDEX, json.dumps(index, indent=1))
    return total


def parsed(payload: Payload, part: Part, *, first_row: int = 0) -> Iterator[Parsed]:
    """The rows that are left of a part, from a row on, in the chunks in which they were read.

    Raises: InvalidContent: no such part was read from the payload when the key was erased.
    """
    with _opened(payload) as file:
        number, described = _find(file, part)
        for place, each in enumerate(described["chunks"]):
            if each["next_row"] <= first_row and not (each["next_row"] == each["first_row"] == first_row):
                continue
            records = {name: _get(file, f"{number}/{place}/{name}") for name in each["datasets"]}
            rejects = _rejects(_get(file, f"{number}/{place}/{REJECTS}")) if each["has_rejects"] else ()
            if each["first_row"] < first_row:
                records = {name: _since(batch, first_row) for name, batch in records.items()}
                rejects = tuple(reject for reject in rejects if reject.row_number >= first_row)
            begin = max(each["first_row"], first_row)
            yield Parsed(begin, each["next_row"], records, rejects, tuple(each["notes"]))


def taken_from(payload: Payload) -> dict[str, Taken]:
    """Name of a part → what was erased from it."""
    with _opened(payload) as file:
        index = json.loads(file.read(INDEX))
    return {each["part"]: Taken(each["rows"], each["rejects"]) for each in index}


def name_of(part: Part) -> str:
    """What tells the parts of a payload apart: equal bytes of two resources are one payload."""
    return f"{part.resource}\n{part.key}"


def _opened(payload: Payload) -> zipfile.ZipFile:
    path = payload.path
    return zipfile.ZipFile(path if isinstance(path, Path) else io.BytesIO(files.read(path)))


def _find(file: zipfile.ZipFile, part: Part) -> tuple[int, dict[str, Any]]:
    index: list[dict[str, Any]] = json.loads(file.read(INDEX))
    for number, each in enumerate(index):
        if each["part"] == name_of(part):
            return number, each
    raise InvalidContent(f"the payload's bytes were erased, and {part.name} was not read from it before")


def _put(file: zipfile.ZipFile, name: str, batch: pa.RecordBatch) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_WRITING) as writer:
        writer.write_batch(batch)
    file.writestr(name, sink.getvalue().to_pybytes())


def _get(file: zipfile.ZipFile, name: str) -> pa.RecordBatch:
    with pa.ipc.open_stream(file.read(name)) as reader:
        return reader.read_next_batch()


def _since(batch: pa.RecordBatch, first_row: int) -> pa.RecordBatch:
    return batch.filter(pa.compute.greater_equal(batch.column("row_number"), first_row))


def _of_rejects(rejects: Iterable[Reject]) -> pa.RecordBatch:
    rows = [
        {"dataset": r.dataset, "row_number": r.row_number, "reason": r.reason.value, "detail": r.detail, "raw": r.raw}
        for r in rejects
    ]
    return pa.RecordBatch.from_pylist(rows, _REJECTS)


def _rejects(batch: pa.RecordBatch) -> tuple[Reject, ...]:
    return tuple(Reject(**{**row, "reason": RejectReason(row["reason"])}) for row in batch.to_pylist())

"""Columns of text → columns of values, one distinct text at a time.

The columns of these files have few distinct values (a chunk of 20,000 rows has some hundreds), so a plain Python
function runs once per distinct text and Arrow spreads the results. If a text breaks its contract, its rows
become rejects.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from producers.formats.csv_rows import TextRows
from producers.model import RAW_CAP, BadValueError, Reject, RejectReason

MIN_INT64, MAX_INT64 = -(1 << 63), (1 << 63) - 1


def map_distinct(column: pa.Array, function: Callable[[Any], Any], kind: pa.DataType) -> pa.Array:
    """The function's value for every element; null stays null. The function must not raise."""
    encoded = column.dictionary_encode()
    values = [function(value) for value in encoded.dictionary.to_pylist()]
    return pa.array(values, kind).take(encoded.indices)


class Typing:
    """Turns the text rows of one chunk into values, and collects the first problem of each row."""

    def __init__(self, rows: TextRows) -> None:
        self._rows = rows
        self.problems: dict[int, BadValueError] = {}
        """problems: index among the good text rows → the problem."""

    def __len__(self) -> int:
        return len(self._rows.positions)

    def column(self, number: int, read: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
        """The values of column `number`, read by `read`; null where `read` raised BadValueError."""
        values, problems = typed(self._rows.columns[number], read, kind)
        for row, problem in problems.items():
            self.problems.setdefault(row, problem)
        return values

    @property
    def row_numbers(self) -> pa.Array:
        """Row number in the part of each good text row."""
        return pc.add(self._rows.positions, self._rows.chunk.first_row)

    def good(self) -> pa.Array:
        """Indices of the rows without a problem."""
        indices = pa.arange(0, len(self), 1)
        if not self.problems:
            return indices
        return indices.filter(pc.invert(pc.is_in(indices, pa.array(sorted(self.problems), pa.int64()))))

    def rejects(self, dataset: str, *, cells_per_row: int = 1) -> list[Reject]:
        """Every bad line and every row with a problem, in order."""
        chunk = self._rows.chunk
        positions = self._rows.positions
        found = dict(self._rows.bad)
        found.update({positions[row].as_py(): problem for row, problem in self.problems.items()})
        return [
            reject(dataset, (chunk.first_row + position) * cells_per_row, found[position], chunk.lines[position])
            for position in sorted(found)
        ]

    def line(self, row: int) -> bytes:
        """The bytes of a good text row."""
        line: bytes = self._rows.chunk.lines[self._rows.positions[row].as_py()]
        return line


def typed(column: pa.Array, read: Callable[[str], Any], kind: pa.DataType) -> tuple[pa.Array, dict[int, BadValueError]]:
    """A text column as values, and the problems by row."""
    encoded = column.dictionary_encode()
    values: list[Any] = []
    bad: dict[int, BadValueError] = {}
    for number, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            values.append(_in_range(read(text)))
        except BadValueError as problem:
            values.append(None)
            bad[number] = problem
    array = pa.array(values, kind).take(encoded.indices)
    if not bad:
        return array, {}
    rows = pc.indices_nonzero(pc.is_in(encoded.indices, pa.array(sorted(bad), encoded.indices.type)))
    return array, {row: bad[encoded.indices[row].as_py()] for row in rows.to_pylist()}


def _in_range(value: Any) -> Any:
    if type(value) is int and not MIN_INT64 <= value <= MAX_INT64:
        raise BadValueError(RejectReason.OUT_OF_RANGE, "does not fit into 64 bits")
    return value


def reject(dataset: str, row_number: int, problem: BadValueError, raw: bytes) -> Reject:
    """One rejected row, its bytes capped."""
    return Reject(dataset, row_number, problem.reason, problem.detail, raw[:RAW_CAP])


def empty_batch(names: Sequence[str], schema: pa.Schema) -> pa.RecordBatch:
    """No rows under a contract's names and types."""
    return batch(names, [pa.array([], schema.field(name).type) for name in names], schema)


def batch(names: Sequence[str], columns: Sequence[pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """Columns under a contract's names and types."""
    return pa.RecordBatch.from_arrays(list(columns), schema=pa.schema([schema.field(name) for name in names]))

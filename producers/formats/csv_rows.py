"""Lines → columns of text, and the lines that are not valid rows; a line may hold line feeds in quotes.

Arrow's CSV reader does a whole chunk at once. If it finds a number of rows that differs from the number of lines, or
bytes that are not text, the chunk is halved until the bad lines are isolated. The same reader is always used, so that
the meaning of a line does not depend on its neighbours. Types are never inferred, because that would remove leading
zeros.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import csv

from producers.formats.lines import MAX_LINE, LineChunk
from producers.model import BadValueError, RejectReason


@dataclass(frozen=True)
class TextRows:
    """The good rows of a chunk as text, and the bad ones by position.

    Attributes:
        positions: int64; the place in `chunk.lines` of each good row.
        columns: one string array per field.
    """

    chunk: LineChunk
    positions: pa.Array
    columns: list[pa.Array]
    bad: dict[int, BadValueError]


def read(chunk: LineChunk, *, fields: int, delimiter: str, encoding: str) -> TextRows:
    """Split each line into `fields` fields. Lines for which that fails are in `bad`."""
    bad: dict[int, BadValueError] = {}
    lines = chunk.lines
    good: Sequence[int] = range(len(lines))
    if max(map(len, lines), default=0) > MAX_LINE:
        for position, line in enumerate(lines):
            if len(line) > MAX_LINE:
                bad[position] = BadValueError(RejectReason.ROW_TOO_LONG, f"longer than {MAX_LINE} bytes")
        good = [position for position in good if position not in bad]
    reader = _Reader(lines, fields, delimiter, encoding)
    pieces = list(reader.pieces(good))
    bad.update(reader.bad)
    schema = pa.schema([(str(number), pa.string()) for number in range(fields)])
    table = pa.Table.from_batches([], schema) if not pieces else pa.concat_tables(table for _, table in pieces)
    table = table.combine_chunks()
    positions = [position for taken, _ in pieces for position in taken]
    columns = [column.chunk(0) if column.num_chunks else pa.array([], pa.string()) for column in table.itercolumns()]
    return TextRows(chunk, pa.array(positions, pa.int64()), columns, bad)


class _Reader:
    def __init__(self, lines: list[bytes], fields: int, delimiter: str, encoding: str) -> None:
        self.bad: dict[int, BadValueError] = {}
        self._lines = lines
        self._encoding = encoding
        self._fields = fields
        names = [str(number) for number in range(fields)]
        self._parse = csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=True)
        self._convert = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=True
        )
        self._names = names

    def pieces(self, positions: Sequence[int]) -> Iterator[tuple[Sequence[int], pa.Table]]:
        """(positions, table) for every run of good lines, in order."""
        if not positions:
            return
        table = self._whole(b"\n".join([self._lines[position] for position in positions]), len(positions))
        if table is not None:
            yield positions, table
        elif len(positions) == 1:
            self.bad[positions[0]] = self._verdict(self._lines[positions[0]])
        else:
            middle = len(positions) // 2
            yield from self.pieces(positions[:middle])
            yield from self.pieces(positions[middle:])

    def _whole(self, data: bytes, expected: int) -> pa.Table | None:
        """All lines as a table, or None if any of them is bad."""
        # For Arrow a lone CR ends a line: two halves of one line could hide that a quote has swallowed another line.
        if b"\r" in data:
            return None
        try:
            if self._encoding != "utf-8":
                data = data.decode(self._encoding).encode()
            options = csv.ReadOptions(
                column_names=self._names, use_threads=False, block_size=len(data) + 1, encoding="utf8"
            )
            table = csv.read_csv(
                pa.BufferReader(data), read_options=options, parse_options=self._parse, convert_options=self._convert
            )
        except (pa.ArrowInvalid, UnicodeDecodeError):
            return None
        return table if table.num_rows == expected else None

    def _verdict(self, line: bytes) -> BadValueError:
        try:
            line.decode(self._encoding)
        except UnicodeDecodeError as error:
            return BadValueError(RejectReason.BAD_ENCODING, f"not {self._encoding} at byte {error.start}")
        return BadValueError(RejectReason.MALFORMED_ROW, f"not one row of {self._fields} fields")

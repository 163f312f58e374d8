"""Bytes in blocks → lines in chunks, in bounded memory.

A row is a line that is not blank, or several lines if a quoted field has line ends. Row numbers do not depend on the
kind of line ends. They are counted here, before a CSV reader, so that `row_number` and the resume position are exact.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from producers.formats.quoted import Quoting

MAX_LINE = 256 << 10
"""Longest row that is parsed, bytes. A longer one is cut here and rejected later because of its length."""

CHUNK_BYTES = 32 << 20
"""A chunk ends with the line that reaches this size, even if it has few rows: 20,000 rows of MAX_LINE would be 5 GB."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class LineChunk:
    """Consecutive rows, without their line ends; a line end inside a quoted field becomes a line feed."""

    first_row: int
    lines: list[bytes]


class LineReader:
    """Reads a stream of blocks once: first the header lines, then the rows in chunks."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._batches = _line_batches(blocks)
        self._pending: list[bytes] = []
        self._pending_quotes = False

    def header(self, count: int) -> list[bytes]:
        """The first `count` lines that are not blank, without a byte order mark; fewer if the stream is shorter."""
        taken: list[bytes] = []
        while len(taken) < count:
            if not self._pending:
                batch = next(self._batches, None)
                if batch is None:
                    break
                self._pending, self._pending_quotes = batch
            line = self._pending.pop(0)
            taken += _rows([line])
        if taken:
            taken[0] = taken[0].removeprefix(_BOM)
        return taken

    def chunks(self, size: int, *, first_row: int = 0, quoting: Quoting | None = None) -> Iterator[LineChunk]:
        """The remaining rows, `size` at a time or CHUNK_BYTES, from row `first_row` on.

        Args:
            quoting: for a file whose quoted fields may contain line ends; None if each line is a row.
        """
        skip, position = first_row, first_row
        batches = self._row_batches(quoting)
        pending: list[bytes] = []
        while True:
            if skip:
                dropped = min(skip, len(pending))
                pending, skip = pending[dropped:], skip - dropped
            while count := _whole_chunk(pending, size):
                yield LineChunk(position, pending[:count])
                position += count
                pending = pending[count:]
            batch = next(batches, None)
            if batch is None:
                break
            pending = pending + batch if pending else batch
        if pending:
            yield LineChunk(position, pending)

    def _row_batches(self, quoting: Quoting | None) -> Iterator[list[bytes]]:
        """Rows of each batch of lines. Without quotes each line is a row."""
        carried: list[bytes] = []  # the lines of a row whose quote is open
        for lines, has_quotes in chain([(self._pending, self._pending_quotes)], self._batches):
            if quoting is None or not (has_quotes or carried):
                yield _rows(lines)
                continue
            carried += [_line(line) for line in lines]
            rows, used = quoting.join(carried, most_bytes=MAX_LINE, is_end=False)
            carried = carried[used:]
            yield rows
        if quoting is not None and carried:
            yield quoting.join(carried, most_bytes=MAX_LINE, is_end=True)[0]


def _whole_chunk(pending: list[bytes], size: int) -> int:
    """How many of these lines make the next chunk; 0 if more must be read. It depends only on the lines, so that a part
    that is resumed at a chunk's first row gets the same chunks.
    """
    lines = pending[:size]
    if sum(map(len, lines)) < CHUNK_BYTES:
        return size if len(lines) == size else 0
    held = 0
    for count, line in enumerate(lines, 1):
        held += len(line)
        if held >= CHUNK_BYTES:
            return count
    raise AssertionError("unreachable")


def _line_batches(blocks: Iterable[bytes]) -> Iterator[tuple[list[bytes], bool]]:
    """Lines per block, blank ones too, and whether they contain a quote.

    Of a line longer than MAX_LINE that goes on in further blocks only its first MAX_LINE + 1 bytes arrive.
    """
    rest = b""
    overflowing = False  # the start of an over-long line is in `rest`; drop bytes until it ends
    for block in blocks:
        if overflowing:
            end = block.find(b"\n")
            if end < 0:
                continue
            overflowing = False
            rest, block = rest + b"\n", block[end + 1 :]  # noqa: PLW2901
        data = rest + block
        *whole, rest = data.split(b"\n")
        if len(rest) > MAX_LINE:
            rest, overflowing = rest[: MAX_LINE + 1], True
        if whole:
            yield whole, b'"' in data
    if rest:
        yield [rest], b'"' in rest


def _rows(lines: list[bytes]) -> list[bytes]:
    return [line.removesuffix(b"\r")[: MAX_LINE + 1] for line in lines if line and not line.isspace()]


def _line(line: bytes) -> bytes:
    return line.removesuffix(b"\r")[: MAX_LINE + 1]

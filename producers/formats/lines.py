"""Bytes in blocks → lines in chunks, in bounded memory.

A row is a line that is not blank; its number counts those lines, whatever the line ends are. Counting lines here,
before any CSV reader sees them, is what makes `row_number` and the resume position exact.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_LINE = 256 << 10
"""Longest row that is parsed, bytes. A longer one is cut here and rejected by its length later."""

CHUNK_BYTES = 32 << 20
"""A chunk ends with the line that reaches this, however few rows it has: 20,000 rows of MAX_LINE would be 5 GB."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class LineChunk:
    """Consecutive rows, without their line ends."""

    first_row: int
    lines: list[bytes]


class LineReader:
    """Reads a stream of blocks once: first the header lines, then the rows in chunks."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._batches = _line_batches(blocks)
        self._pending: list[bytes] = []

    def header(self, count: int) -> list[bytes]:
        """The first `count` lines that are not blank, without a byte order mark; fewer if the stream is shorter."""
        while len(self._pending) < count:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._pending += batch
        taken, self._pending = self._pending[:count], self._pending[count:]
        if taken:
            taken[0] = taken[0].removeprefix(_BOM)
        return taken

    def chunks(self, size: int, *, first_row: int = 0) -> Iterator[LineChunk]:
        """The remaining lines, `size` at a time or CHUNK_BYTES, from row `first_row` on."""
        skip, position = first_row, first_row
        pending, self._pending = self._pending, []
        while True:
            if skip:
                dropped = min(skip, len(pending))
                pending, skip = pending[dropped:], skip - dropped
            while count := _whole_chunk(pending, size):
                yield LineChunk(position, pending[:count])
                position += count
                pending = pending[count:]
            batch = next(self._batches, None)
            if batch is None:
                break
            pending = pending + batch if pending else batch
        if pending:
            yield LineChunk(position, pending)


def _whole_chunk(pending: list[bytes], size: int) -> int:
    """How many of these lines make the next chunk; 0 if more must be read. A function of the lines alone, so that a
    part resumed at a chunk's first row is cut as it was.
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


def _line_batches(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines per block. A line longer than MAX_LINE arrives as its first MAX_LINE + 1 bytes."""
    rest = b""
    overflowing = False  # the start of an over-long line is in `rest`; drop bytes until it ends
    for block in blocks:
        if overflowing:
            end = block.find(b"\n")
            if end < 0:
                continue
            overflowing = False
            rest, block = rest + b"\n", block[end + 1 :]  # noqa: PLW2901
        *whole, rest = (rest + block).split(b"\n")
        if len(rest) > MAX_LINE:
            rest, overflowing = rest[: MAX_LINE + 1], True
        if whole:
            yield _rows(whole)
    if rest:
        yield _rows([rest])


def _rows(lines: list[bytes]) -> list[bytes]:
    return [line.removesuffix(b"\r")[: MAX_LINE + 1] for line in lines if line and not line.isspace()]

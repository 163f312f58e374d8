"""Rows of several lines, because a quoted field contains line ends (RFC 4180, section 2, rule 6).

An unclosed quote must not swallow the rows after it. So lines are joined only if the joined row has as many fields as
the header, if each closing quote is before a delimiter or the end, and if no line without quotes in it is a row by
itself. Otherwise each line stays as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

MOST_LINES = 100
"""Lines that one row may have. An address of four lines is the longest that was seen."""


@dataclass(frozen=True)
class Quoting:
    """The form of a file's rows.

    Attributes:
        delimiter: one ASCII character.
        fields: number of fields of every row, as in the header.
    """

    delimiter: str
    fields: int

    def join(self, lines: Sequence[bytes], *, most_bytes: int, is_end: bool) -> tuple[list[bytes], int]:
        """Make rows from lines; the lines of one row are joined by a line feed. Blank lines between rows are dropped.

        Args:
            most_bytes: a longer row is not made; its lines stay separate.
            is_end: no line follows.

        Returns: the rows, and how many lines were used; the others may continue in further lines.
        """
        rows: list[bytes] = []
        at = 0
        while at < len(lines):
            line = lines[at]
            opens = b'"' in line and self._opens.fullmatch(line)
            size = self._row_size(lines, at, most_bytes, is_end=is_end) if opens else 1
            if size is None:
                break
            if size > 1:
                rows.append(b"\n".join(lines[at : at + size]))
            elif line and not line.isspace():
                rows.append(line)
            at += size
        return rows, at

    def _row_size(self, lines: Sequence[bytes], first: int, most_bytes: int, *, is_end: bool) -> int | None:
        """How many lines make the row that begins with an open quote; None if further lines are needed to decide."""
        size = len(lines[first])
        for count, line in enumerate(lines[first + 1 : first + MOST_LINES], 2):
            size += 1 + len(line)
            if size > most_bytes or self._is_row(line):
                return 1
            if not self._goes_on.fullmatch(line):
                whole = b"\n".join(lines[first : first + count])
                return count if self._row.fullmatch(whole) else 1
        return 1 if is_end or len(lines) - first >= MOST_LINES else None

    def _is_row(self, line: bytes) -> bool:
        """Whether a line without quotes has the fields of a row. A line with quotes may look like a row and be the
        middle of one."""
        return b'"' not in line and line.count(self.delimiter.encode()) == self.fields - 1

    # Every repetition is possessive, so that hostile bytes cost one pass. `field` is what a lenient reader accepts.

    @cached_property
    def _parts(self) -> tuple[bytes, bytes, bytes]:
        """A delimiter, a field, and a field that is still open at the end."""
        mark = re.escape(self.delimiter.encode())
        inside = rb'(?:[^"]++|"")*+'
        field = rb'(?:"%b"[^%b]*+|[^"%b][^%b]*+)?+' % (inside, mark, mark, mark)
        return mark, field, rb'"%b' % inside

    @cached_property
    def _opens(self) -> re.Pattern[bytes]:
        """A line that ends inside a quoted field which begins in it."""
        mark, field, still = self._parts
        return re.compile(rb"(?:%b%b)*+%b" % (field, mark, still))

    @cached_property
    def _goes_on(self) -> re.Pattern[bytes]:
        """A line that begins inside a quoted field and ends inside that one or another one."""
        mark, field, still = self._parts
        return re.compile(rb'%b(?:"[^%b]*+%b(?:%b%b)*+%b)?+' % (still[1:], mark, mark, field, mark, still))

    @cached_property
    def _row(self) -> re.Pattern[bytes]:
        """A row: in a field that does not begin with a quote, quotes are ordinary characters."""
        mark, _, still = self._parts
        field = rb'(?:%b"|[^"%b][^%b]*+)?+' % (still, mark, mark)
        return re.compile(rb"%b(?:%b%b){%d}" % (field, mark, field, self.fields - 1))

"""What `migrate verify` compared of a file, and whether it agrees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from producers.legacy.mapping import UNVERIFIED

SUM_TOLERANCE = 1e-9
"""Two sums of doubles may differ by so much of their size: they were added in another order."""


@dataclass
class ChunkCheck:
    """One transaction that brought rows of the file.

    Attributes:
        published, rejected: rows as the chunk's manifest counts them.
        source_rows, source_bad: the same, counted in the file. stored: rows in Delta.
        source_sha256, stored_sha256: of the accepted rows in order, each value's canonical text.
    """

    chunk_id: str
    first_row: int
    published: int
    rejected: int
    source_rows: int = 0
    source_bad: int = 0
    stored: int = 0
    source_sha256: str = ""
    stored_sha256: str = ""

    @property
    def holds(self) -> bool:
        """Whether counts and checksums agree."""
        counts = (self.published, self.rejected) == (self.source_rows, self.source_bad)
        return counts and self.stored == self.source_rows and self.source_sha256 == self.stored_sha256


@dataclass(frozen=True)
class ColumnCheck:
    """Nulls, least and greatest value of a column, in the file and in Delta, as text."""

    field: str
    source: tuple[int, str, str]
    stored: tuple[int, str, str]

    @property
    def holds(self) -> bool:
        """Whether they agree."""
        return self.source == self.stored


@dataclass(frozen=True)
class MonthCheck:
    """Values and their sum of a column in a month of the mapping's `day`, in the file and in Delta."""

    month: str
    field: str
    source: tuple[int, float]
    stored: tuple[int, float]

    @property
    def holds(self) -> bool:
        """Whether they agree."""
        close = math.isclose(self.source[1], self.stored[1], rel_tol=SUM_TOLERANCE, abs_tol=SUM_TOLERANCE)
        return self.source[0] == self.stored[0] and close


@dataclass(frozen=True)
class FileCheck:
    """All that was compared of one file.

    Attributes:
        stored: rows of the file in Delta. marked: those of them that say where they come from.
        samples: (row number, cells of the file, values in Delta); no values where Delta lacks the row.
    """

    file: str
    chunks: Sequence[ChunkCheck]
    columns: Sequence[ColumnCheck]
    months: Sequence[MonthCheck]
    stored: int
    marked: int
    samples: Sequence[tuple[int, dict[str, str | None], dict[str, str] | None]]

    @property
    def accepted(self) -> int:
        """Rows of the file that Delta must hold."""
        return sum(chunk.source_rows for chunk in self.chunks)

    @property
    def rejected(self) -> int:
        """Rows of the file that must be rejects."""
        return sum(chunk.source_bad for chunk in self.chunks)

    def problems(self) -> list[str]:
        """What does not agree, in words; empty when all does."""
        found = []
        if not self.chunks:
            found.append(f"{self.file}: bronze has no manifest of it")
        for chunk in self.chunks:
            if not chunk.holds:
                found.append(
                    f"{self.file}, chunk {chunk.chunk_id} from row {chunk.first_row}: the file has"
                    f" {chunk.source_rows} rows and {chunk.source_bad} bad ones, published are {chunk.published} and"
                    f" {chunk.rejected}, stored {chunk.stored};"
                    f" SHA-256 {chunk.source_sha256[:12]} and {chunk.stored_sha256[:12]}"
                )
        if self.stored != self.accepted:
            found.append(f"{self.file}: Delta holds {self.stored} rows, the file {self.accepted} good ones")
        if self.marked != self.stored:
            found.append(f"{self.file}: {self.stored - self.marked} rows do not say {UNVERIFIED}")
        found += [
            f"{self.file}, {each.field}: {each.source} and {each.stored}" for each in self.columns if not each.holds
        ]
        found += [
            f"{self.file}, {each.field} in {each.month}: {each.source} and {each.stored}"
            for each in self.months
            if not each.holds
        ]
        return found

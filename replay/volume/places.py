"""Municipalities for the generators, and the code that makes a file's bytes from columns."""

from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc


class Place(Protocol):
    """A real municipality from the reference list."""

    @property
    def municipality_code(self) -> str:
        """IBGE code, 7 digits."""

    @property
    def name(self) -> str:
        """In IBGE's spelling."""

    @property
    def uf(self) -> str:
        """State, two letters."""

    @property
    def region(self) -> str:
        """One of five, in words."""

    @property
    def latitude_degrees(self) -> float:
        """South is negative."""

    @property
    def longitude_degrees(self) -> float:
        """West is negative."""

    @property
    def area_code(self) -> str:
        """Telephone area (DDD), 2 digits."""


def joined(*pieces: Any) -> bytes:
    """Columns of text, or of bytes, and constants, joined row by row, and all rows one after the other.

    Arrow does it without an object per row: the joined column's buffer is the file's bytes.
    """
    kind = next(piece.type for piece in pieces if isinstance(piece, pa.Array))
    scalars = [piece if isinstance(piece, pa.Array) else pa.scalar(piece, kind) for piece in pieces]
    column = pc.binary_join_element_wise(*scalars, pa.scalar("" if kind == pa.string() else b"", kind))
    size = pc.sum(pc.binary_length(column)).as_py() or 0
    return column.buffers()[2][:size].to_pybytes() if size else b""

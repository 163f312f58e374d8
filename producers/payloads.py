"""An archived payload as its rows: parsed, or, where a key was erased from it, the rows that were left."""

from collections.abc import Iterable, Iterator

from producers import erased
from producers.archive import ROWS, Payload, read_blocks
from producers.formats import zips
from producers.model import CHUNK_ROWS, Parsed, Part, Source

MEDIA_BODY, MEDIA_MEMBER = "body", "zip-member"


def parsed(
    source: Source, payload: Payload, part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS
) -> Iterator[Parsed]:
    """Its rows from `first_row` on, in chunks. Raises: InvalidContent."""
    if payload.about["media"] == ROWS:
        return erased.parsed(payload, part, first_row=first_row)
    return source.parse(content(payload), part, first_row=first_row, chunk_rows=chunk_rows)


def content(payload: Payload) -> Iterable[bytes]:
    """What a parser reads: a body as it is, a zip member's span inflated. There is none of a payload without bytes."""
    blocks, about = read_blocks(payload.path), payload.about
    return blocks if about["media"] == MEDIA_BODY else zips.inflate(blocks, zips.Member(**about["member"]))

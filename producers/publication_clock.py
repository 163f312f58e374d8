"""When a version became public: the publication clock of a chunk's rows, from earlier editions and from the source's
own clock.

A part that is seen for the first time is history: its values were public before we fetched them. Their clock is the end
of the period they describe plus the declared lag, marked `assumed_lag`, unless a measured clock is earlier: the
source's own (Last-Modified, or a field of its answer), or the time of the fetch (then only `retrieved_at` is set). The
clock of a later edition is the source's own, or the time of the fetch.
"""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from producers.model import Part, Publication

INSTANT = pa.timestamp("us", tz="UTC")

ASSUMED, HTTP, API, NONE = "assumed_lag", "http_last_modified", "api_field", "none"


@dataclass(frozen=True)
class Edition:
    """The clock of one edition of a part.

    Attributes:
        is_first: whether the part's history was first seen with this edition.
        published_at: the payload's own clock, UTC, if the source has one.
        basis: where that clock comes from.
    """

    is_first: bool
    published_at: datetime | None
    basis: str | None
    retrieved_at: datetime


def published(
    records: pa.RecordBatch, part: Part, publication: Publication, edition: Edition, known: pa.Array | None = None
) -> tuple[pa.Array | pa.Scalar, pa.Array | pa.Scalar]:
    """`published_at` and `published_at_basis` of the records; one scalar where all rows share it.

    Args:
        known: which records belong to days that another part has stated before; None when none does. They are not new
            history, so a changed value must not be dated back.
    """
    measured = pa.scalar(edition.published_at, INSTANT)
    measured_basis = pa.scalar(edition.basis or NONE)
    if not edition.is_first or not records.num_rows:
        return measured, measured_basis
    assumed = pc.add(publication.period_end(records), pa.scalar(publication.lag(part), pa.duration("us")))
    is_assumed = pc.less(assumed, pa.scalar(edition.published_at or edition.retrieved_at, INSTANT))
    if known is not None:
        is_assumed = pc.and_(is_assumed, pc.invert(known))
    return pc.if_else(is_assumed, assumed, measured), pc.if_else(is_assumed, pa.scalar(ASSUMED), measured_basis)

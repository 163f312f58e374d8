"""The publication clock: assumed for history first seen, measured afterwards, never later than a measured one."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from producers import publication_clock as clock
from producers.model import Part, Publication
from producers.publication_clock import HTTP, Edition

RETRIEVED = datetime(2024, 7, 1, tzinfo=UTC)
PART = Part("r", "p", "p", RETRIEVED)
MODIFIED = datetime(2024, 6, 15, tzinfo=UTC)
LAG = timedelta(days=10)
PUBLICATION = Publication(lambda records: records.column("ends_at"), lambda part: LAG)


def clocks(ends: list[date], edition: Edition) -> list[tuple[datetime | None, str]]:
    instants = [datetime(end.year, end.month, end.day, tzinfo=UTC) for end in ends]
    records = pa.RecordBatch.from_pydict({"ends_at": pa.array(instants, clock.INSTANT)})
    at, basis = clock.published(records, PART, PUBLICATION, edition)

    def listed(column):
        return column.to_pylist() if isinstance(column, pa.Array) else [column.as_py()] * len(ends)

    return list(zip(listed(at), listed(basis), strict=True))


def test_history_first_seen_is_dated_by_the_lag():
    assert clocks([date(2020, 1, 1)], Edition(True, MODIFIED, HTTP, RETRIEVED)) == [
        (datetime(2020, 1, 11, tzinfo=UTC), "assumed_lag")
    ]


def test_an_earlier_last_modified_beats_the_lag():
    assert clocks([date(2024, 6, 14)], Edition(True, MODIFIED, HTTP, RETRIEVED)) == [(MODIFIED, HTTP)]


def test_one_chunk_can_hold_both():
    assert [
        basis for _, basis in clocks([date(2024, 1, 1), date(2024, 6, 10)], Edition(True, MODIFIED, HTTP, RETRIEVED))
    ] == [
        "assumed_lag",
        HTTP,
    ]


def test_without_a_clock_at_the_source_no_version_is_dated_after_we_held_it():
    """The Selic target has future days: they were known when we fetched them, not ten days after they pass."""
    assert clocks([date(2024, 6, 25), date(2024, 8, 1)], Edition(True, None, None, RETRIEVED)) == [(None, "none")] * 2


def test_without_a_clock_at_the_source_old_history_is_dated_by_the_lag():
    assert clocks([date(2024, 1, 1)], Edition(True, None, None, RETRIEVED)) == [
        (datetime(2024, 1, 11, tzinfo=UTC), "assumed_lag")
    ]


@pytest.mark.parametrize(("modified", "expected"), [(MODIFIED, (MODIFIED, HTTP)), (None, (None, "none"))])
def test_a_later_edition_is_never_dated_by_the_lag(modified, expected):
    assert clocks([date(2020, 1, 1)], Edition(False, modified, HTTP if modified else None, RETRIEVED)) == [expected]

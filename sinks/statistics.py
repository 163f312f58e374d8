"""What the log says of a data file: rows, nulls, least and greatest values."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol

LONGEST_STATISTIC = 256
"""Characters of a text that is kept as a file's least or greatest value; with longer ones there is none."""


class Columns(Protocol):
    """Of which columns statistics are wanted."""

    @property
    def with_statistics(self) -> Sequence[str]:
        """Those that queries prune by."""

    @property
    def never_null(self) -> Sequence[str]:
        """Those whose nulls are counted in any case."""


def statistics_of(footer: Any, columns: Columns) -> dict[str, Any]:
    """Rows, nulls, least and greatest values of a file, from its footer, in the form of Delta's log."""
    found: dict[str, Any] = {"numRecords": footer.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    places = {footer.schema.column(place).path: place for place in range(footer.num_columns)}
    for name in {*columns.with_statistics, *columns.never_null} & places.keys():
        groups = [footer.row_group(group).column(places[name]).statistics for group in range(footer.num_row_groups)]
        if any(each is None or not each.has_null_count for each in groups):
            continue
        found["nullCount"][name] = sum(each.null_count for each in groups)
        valued = [each for each in groups if each.null_count < each.num_values + each.null_count]
        if name not in columns.with_statistics or not valued or not all(each.has_min_max for each in valued):
            continue
        least, greatest = min(each.min for each in valued), max(each.max for each in valued)
        if isinstance(least, str) and max(len(least), len(greatest)) > LONGEST_STATISTIC:
            continue
        found["minValues"][name], found["maxValues"][name] = _told(least), _told(greatest)
    return found


def _told(value: Any) -> Any:
    """A value as Delta's log writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value

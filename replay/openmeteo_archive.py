"""Open-Meteo's archive: the recorded fortnight of the day, cut to the window asked for."""

from collections.abc import Mapping
from datetime import date

from replay.content import Reply
from replay.openmeteo import hours, refused


def answer(path: str, query: Mapping[str, str], day: int) -> Reply | None:
    """`v1/archive?…&start_date=…&end_date=…`; None for another path.

    Days that are not recorded have no hours at all, while the source has every hour since 1940.
    """
    if path != "v1/archive":
        return None
    try:
        first, last = (date.fromisoformat(query[name]).isoformat() for name in ("start_date", "end_date"))
    except (KeyError, ValueError):
        return refused("Both 'start_date' and 'end_date' must be set, as yyyy-mm-dd.")
    if last < first:
        return refused("End-date must be larger or equals than start-date.")
    return hours(query, day, lambda moment: first <= moment[:10] <= last)

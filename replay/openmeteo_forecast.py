"""Open-Meteo's forecast, built: no body of it was recorded.

The archive's own last day is forecast hours in part. That day is shown, as the forecast of the day it was recorded on.
"""

from collections.abc import Mapping

from replay.content import Reply
from replay.openmeteo import RECORDED, hours, refused

_LONGEST = 16  # days


def answer(path: str, query: Mapping[str, str], day: int) -> Reply | None:
    """`v1/forecast?…&forecast_days=…`; None for another path. Only one day is known, however many are requested."""
    if path != "v1/forecast":
        return None
    days = query.get("forecast_days", "7")
    if not days.isdecimal() or int(days) > _LONGEST:
        return refused(f"Parameter 'forecast_days' is out of allowed range from 0 to {_LONGEST}.")
    return hours(query, day, lambda moment: moment[:10].replace("-", "") == RECORDED[day])

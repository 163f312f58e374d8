"""Code for both replayed services of Open-Meteo: two recorded bodies of one point, cut to the requested days.

One point is recorded, Salvador. For other points the arrays are empty: their weather was not recorded, and none is
invented.
"""

import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from replay.content import DATA, Reply

JSON = "application/json; charset=utf-8"
RECORDED = {1: "20251110", 2: "20251111", 3: "20251111"}
"""Publication day → the recording it shows; the third day was not recorded, and shows the second's."""

_SALVADOR = ("-12.9718", "-38.5011")


def hours(query: Mapping[str, str], day: int, is_wanted: Callable[[str], bool]) -> Reply:
    """The recorded hours with requested times, of the point and the variables in the query."""
    try:
        latitude, longitude, names = query["latitude"], query["longitude"], query["hourly"].split(",")
    except KeyError as missing:
        return refused(f"Parameter {missing} is required.")
    recorded = _load(f"openmeteo/last14days_salvador_ba_archive_{RECORDED[day]}.json")
    if unknown := [name for name in names if name not in recorded["hourly"]]:
        return refused(f"Cannot initialize variable from invalid String value {unknown[0]}.")
    is_recorded = (latitude, longitude) == _SALVADOR
    found = [number for number, moment in enumerate(recorded["hourly"]["time"]) if is_recorded and is_wanted(moment)]
    body = {
        **recorded,
        # Different in every answer: a comparison of bodies byte by byte always finds a difference.
        "generationtime_ms": time.perf_counter_ns() % 10**9 / 10**6,
        "hourly_units": {name: recorded["hourly_units"][name] for name in ("time", *names)},
        "hourly": {name: [recorded["hourly"][name][number] for number in found] for name in ("time", *names)},
    }
    if not is_recorded:
        body |= {"latitude": float(latitude), "longitude": float(longitude), "elevation": None}
    return Reply(200, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), JSON)


def refused(reason: str) -> Reply:
    """An error in the source's form."""
    return Reply(400, json.dumps({"error": True, "reason": reason}).encode(), JSON)


@cache
def _load(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))

"""The smallest records that go all the way to silver: stations, all in one partition and one under each key."""

from datetime import date
from typing import Any

DATASET = "inmet_stations"


def stations(first: int, last: int) -> list[dict[str, Any]]:
    """Records of the stations A<first> to A<last - 1>."""
    return [{"station_code": f"A{n:03}", "valid_from_on": date(2024, 1, 1)} for n in range(first, last)]

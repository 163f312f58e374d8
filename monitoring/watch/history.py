"""The last 24 hours of a few numbers, in memory: one point per minute, packed."""

import threading
from array import array
from collections.abc import Mapping

EVERY_SECONDS = 60.0
POINTS = 24 * 60

Points = list[list[float]]
"""[[seconds since 1970, value], ...], oldest first."""


class History:
    """Series by kind and name. Threads may share it."""

    def __init__(self) -> None:
        self._series: dict[str, dict[str, tuple[array[float], array[float]]]] = {}
        self._lock = threading.Lock()
        self._newest = float("-inf")

    def is_due(self, now: float) -> bool:
        """Whether a minute has passed since the newest point."""
        return now - self._newest >= EVERY_SECONDS

    def add(self, now: float, values: Mapping[str, Mapping[str, float]]) -> None:
        """A point of every series. Args: values: kind → name → value."""
        with self._lock:
            self._newest = now
            for kind, series in values.items():
                for name, value in series.items():
                    times, points = self._series.setdefault(kind, {}).setdefault(name, (array("d"), array("d")))
                    times.append(now)
                    points.append(value)
            oldest = now - POINTS * EVERY_SECONDS
            for kept in self._series.values():
                for name, (times, points) in list(kept.items()):
                    while times and times[0] <= oldest:
                        del times[0], points[0]
                    if not times:
                        del kept[name]

    def read(self) -> dict[str, dict[str, Points]]:
        """Kind → name → points."""
        with self._lock:
            return {
                kind: {
                    name: [list(pair) for pair in zip(times, points, strict=True)]
                    for name, (times, points) in series.items()
                }
                for kind, series in self._series.items()
            }

"""Whether a series grows: a robust slope with its confidence interval, held against what is allowed.

The slope is Theil's: the median of the slopes through all pairs of points, which a few high points do not move. Its
interval is Sen's (P. K. Sen, Estimates of the Regression Coefficient Based on Kendall's Tau, Journal of the American
Statistical Association 63, 1968): of the sorted pairs, those that Kendall's tau leaves possible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor, sqrt
from statistics import NormalDist, median

Samples = Sequence[Mapping[str, float]]
"""One mapping per moment: what time or batches it was, and the series."""

CONFIDENCE = 0.99
FEWEST = 8
"""Points below which the interval says nothing."""


@dataclass(frozen=True)
class Slope:
    """What became of one series.

    Attributes:
        first, last: medians of the first and the last quarter of its points.
        per_unit: its slope.
        least, most: the slope lies between these, with `CONFIDENCE`.
        allowed: the steepest slope; None when it is only shown.
    """

    series: str
    first: float
    last: float
    per_unit: float
    least: float
    most: float
    allowed: float | None

    @property
    def broken(self) -> bool:
        """Whether it surely grew faster than it may."""
        return self.allowed is not None and self.least > self.allowed


def slope(series: str, points: Sequence[tuple[float, float]], allowed: float | None) -> Slope:
    """The slope of y over x.

    Args:
        points: (x, y), no x twice.

    Raises:
        ValueError: fewer than `FEWEST` points: no line says anything.
    """
    count = len(points)
    if count < FEWEST:
        raise ValueError(f"{count} samples after the warm-up are no series: {FEWEST} are needed")
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(sorted(points), 2))
    spread = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    least = slopes[max(0, floor((len(slopes) - spread) / 2) - 1)]
    most = slopes[min(len(slopes) - 1, ceil((len(slopes) + spread) / 2))]
    values = [y for _, y in sorted(points)]
    quarter = max(1, count // 4)
    return Slope(series, median(values[:quarter]), median(values[-quarter:]), median(slopes), least, most, allowed)


def least_of_each(samples: Samples, unit: str, series: str) -> list[tuple[float, float]]:
    """The smallest value at each x: what is open for a moment only is no growth, what leaked is never let go of."""
    found: dict[float, float] = {}
    for sample in samples:
        found[sample[unit]] = min(sample[series], found.get(sample[unit], sample[series]))
    return sorted(found.items())

"""Whether a series grows: a straight line through its samples, held against what is allowed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression

Samples = Sequence[Mapping[str, float]]
"""One mapping per moment: `seconds` and the series."""


@dataclass(frozen=True)
class Bound:
    """How much a series may grow.

    Attributes:
        per_hour: the steepest slope.
        noise: growth over the whole window that says nothing: what comes and goes, divided by a short window, looks
            steep. A slope counts only if the line has risen by more than this.
        reason: why these.
        young: whether it holds for a driver of a few minutes too.
    """

    per_hour: float
    noise: float
    reason: str
    young: bool = True


@dataclass(frozen=True)
class Slope:
    """What became of one series.

    Attributes:
        first, last: the line's values at the ends of the window.
        per_hour: its slope.
        bound: what it was held against; None when it is only shown.
    """

    series: str
    first: float
    last: float
    per_hour: float
    bound: Bound | None

    @property
    def broken(self) -> bool:
        """Whether it grew by more than noise, and faster than it may."""
        bound = self.bound
        return bound is not None and self.per_hour > bound.per_hour and self.last - self.first > bound.noise


def slopes(samples: Samples, bounds: Mapping[str, Bound], *, warm_up: float, young: bool) -> list[Slope]:
    """The slope of every series after the warm-up.

    Args:
        warm_up: seconds from the first sample that are left out.
        young: leave out the bounds that only an old driver can keep.

    Raises:
        ValueError: fewer than three samples are left: no line says anything.
    """
    began = samples[0]["seconds"] + warm_up if samples else 0.0
    window = [sample for sample in samples if sample["seconds"] >= began]
    if len(window) < 3:
        raise ValueError(f"{len(window)} samples after the warm-up of {warm_up:.0f} s are no series")
    seconds = [sample["seconds"] for sample in window]
    found = []
    for series in window[0]:
        if series == "seconds":
            continue
        line = linear_regression(seconds, [sample[series] for sample in window])
        first, last = (line.intercept + line.slope * at for at in (seconds[0], seconds[-1]))
        bound = bounds.get(series)
        kept = bound if bound and (bound.young or not young) else None
        found.append(Slope(series, first, last, line.slope * 3600, kept))
    return found

"""A day of numbers as the path of a small SVG: bounded points, and a gap where nothing was measured."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from monitoring.web.words import clock, counted, lasting

DAY = 86_400.0
WIDTH, HEIGHT = 240, 40
"""Of the viewBox; the page stretches it."""
BUCKETS = 120
"""Columns of a plot: 12 minutes each, of which the greatest value is drawn."""
LEAST_TOP = 60.0
"""Seconds at the top of a plot at least: so that a second more or less looks small."""

_EDGE = 2.0  # the line's own width stays inside


@dataclass(frozen=True)
class Plot:
    """The plot for the template.

    Attributes:
        line: the SVG path of the measured values; empty if there are none.
        area: the same, closed down to zero.
        gaps: (x, width) of the stretches without a measurement.
        top: the value of the upper edge, in words.
        peak: the greatest value in words; empty without values.
        text: the plot in words, for people who cannot see it.
    """

    line: str
    area: str
    gaps: tuple[tuple[float, float], ...]
    top: str
    peak: str
    text: str


def plot(name: str, points: Sequence[Sequence[float]], now: float, *, buckets: int = BUCKETS) -> Plot:
    """The 24 hours before `now`. Args: name: what is plotted. points: [seconds since 1970, value], in any order."""
    greatest: list[float | None] = [None] * buckets
    newest: tuple[float, float] | None = None
    peak: tuple[float, float] | None = None
    for at, value in points:
        if not (math.isfinite(at) and math.isfinite(value)) or not now - DAY < at <= now:
            continue
        column = min(buckets - 1, int((at - now + DAY) / DAY * buckets))
        greatest[column] = max(value, greatest[column] or 0.0)
        newest = max(newest or (at, value), (at, value))
        peak = max(peak or (value, at), (value, at))
    if newest is None or peak is None:
        return Plot("", "", ((0.0, float(WIDTH)),), "", "", f"{name} in the last 24 hours: nothing was measured.")
    top = max(LEAST_TOP, *(value for value in greatest if value is not None))
    runs = list(_runs(greatest))
    gaps = tuple(_gaps(runs, buckets))
    missing = sum(width for _, width in gaps) / WIDTH * DAY
    text = (
        f"{name} in the last 24 hours: newest {lasting(newest[1])}, greatest {lasting(peak[0])} "
        f"at {clock(peak[1], with_day=False)}"
    )
    text += f"; nothing was measured for {lasting(missing)} of them." if gaps else "."
    lines = [_path(start, values, buckets, top) for start, values in runs]
    areas = [_area(start, values, buckets, top) for start, values in runs]
    return Plot("".join(lines), "".join(areas), gaps, lasting(top), lasting(peak[0]), text)


def worst(series: Iterable[Sequence[Sequence[float]]]) -> list[list[float]]:
    """The greatest value of each minute over several series."""
    found: dict[int, list[float]] = {}
    for points in series:
        for at, value in points:
            if not (math.isfinite(at) and math.isfinite(value)):
                continue
            minute = int(at // 60)
            if minute not in found or found[minute][1] < value:
                found[minute] = [at, value]
    return [found[minute] for minute in sorted(found)]


GOOD = {"published": "brought rows", "no_news": "no news", "covered": "covered by a later one"}
BAD = {
    "failed": "failed",
    "throttled": "turned away by the source",
    "invalid": "answered with what is no data",
    "circuit_open": "left out after failures",
    "stopped": "stopped",
    "fenced": "given up to another publisher",
}
OUTCOMES = GOOD | BAD

_STEP = 8


@dataclass(frozen=True)
class Mark:
    """One slot. Attributes: kind: which shape. x: of its left edge. text: when, and what became of it."""

    kind: str
    x: int
    text: str


@dataclass(frozen=True)
class Strip:
    """Slots beside one another, the newest to the right."""

    marks: tuple[Mark, ...]
    width: int
    text: str


def strip(outcomes: Sequence[tuple[str, float | None]], *, most: int = 24) -> Strip:
    """The last slots of a source. Args: outcomes: what became of each, and its time; oldest first."""
    shown = list(outcomes)[-most:]
    marks = tuple(
        Mark(_kind(outcome), index * _STEP, f"{clock(at)}: {OUTCOMES.get(outcome, outcome)}")
        for index, (outcome, at) in enumerate(shown, most - len(shown))
    )
    if not shown:
        return Strip((), most * _STEP, "No poll yet.")
    words = [OUTCOMES.get(outcome, outcome) for outcome, _ in shown]
    told = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    return Strip(marks, most * _STEP, f"The last {counted(len(shown), 'poll')}: {told}. The newest: {words[-1]}.")


def _kind(outcome: str) -> str:
    """The shape of an outcome: a bar, a stub, a dot, a cross, or an empty box."""
    if outcome in ("failed", "throttled", "invalid"):
        return "failed"
    return outcome if outcome in GOOD else "skipped"


def _runs(values: Sequence[float | None]) -> Iterable[tuple[int, list[float]]]:
    """Stretches of columns that have a value: where each starts, and its values."""
    run: list[float] = []
    for column, value in enumerate([*values, None]):
        if value is not None:
            run.append(value)
        elif run:
            yield column - len(run), run
            run = []


def _gaps(runs: Sequence[tuple[int, list[float]]], buckets: int) -> Iterable[tuple[float, float]]:
    step, end = WIDTH / buckets, 0
    for start, values in [*runs, (buckets, [])]:
        if start > end:
            yield round(end * step, 1), round((start - end) * step, 1)
        end = start + len(values)


def _path(start: int, values: Sequence[float], buckets: int, top: float) -> str:
    """A line through the middles of its columns; a single value is a short dash as wide as its column."""
    step = WIDTH / buckets
    if len(values) == 1:
        return f"M{_short(start * step)} {_y(values[0], top)}h{_short(step)}"
    points = [(_short((start + index + 0.5) * step), _y(value, top)) for index, value in enumerate(values)]
    kept = [
        point
        for index, point in enumerate(points)
        if index in (0, len(points) - 1) or not points[index - 1][1] == point[1] == points[index + 1][1]
    ]
    return "M" + "L".join(f"{x} {y}" for x, y in kept)


def _area(start: int, values: Sequence[float], buckets: int, top: float) -> str:
    step, zero = WIDTH / buckets, _y(0.0, top)
    left, right = (start, start + 1) if len(values) == 1 else (start + 0.5, start + len(values) - 0.5)
    line = _path(start, values, buckets, top)
    return f"{line}L{_short(right * step)} {zero}L{_short(left * step)} {zero}Z"


def _y(value: float, top: float) -> str:
    return _short(HEIGHT - _EDGE - max(0.0, value) / top * (HEIGHT - 2 * _EDGE))


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")

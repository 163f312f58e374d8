"""Draw lines of one quantity with its vintages: older ones are wider and lighter, below newer ones."""

from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from foundation.files import share
from monitoring.reading.series import Line, Picture

SUFFIXES = (".png", ".svg")
SIZE_INCHES = (12.0, 6.75)
DOTS_PER_INCH = 100

# Different in lightness, so that they can be distinguished in print and by everyone; the newest is the darkest.
NEWEST = "#0b3c5d"
OLDER = ("#e08e1b", "#7fb7be", "#b9a4c9", "#c9c9c9")
FEW_POINTS = 120
"""Up to this number every point gets a dot."""


def draw(picture: Picture) -> Figure:
    """The figure; nothing is written."""
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    newest = len(picture.lines) - 1
    for number, line in enumerate(picture.lines):
        _draw_line(axes, line, age=newest - number)
    _dress(axes, picture.title, picture.unit)
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    if len(picture.lines) > 1:
        figure.legend(loc="outside upper right", ncols=len(picture.lines), fontsize=11, frameon=False)
    known = max((line.known_from for line in picture.lines if line.known_from), default=None)
    newest_known = f", newest value known from {_moment(known)}" if known else ""
    figure.supxlabel(
        f"source: {picture.source}{newest_known}; times in UTC", fontsize=10, color="#555555", x=0.99, ha="right"
    )
    return figure


def draw_errors(by_day: pa.Table) -> Figure:
    """The percent error of forecasts by days ahead, a line per vintage: the newest is the darkest.

    Args: by_day: as of `forecast_errors.Report`.
    """
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lines: dict[tuple[Any, ...], list[tuple[int, float]]] = {}
    for row in by_day.to_pylist():
        value = float("nan") if row["mape_percent"] is None else row["mape_percent"]
        run = (row["generated_at"], row["dataset_id"], row["model_version"])
        lines.setdefault(run, []).append((row["horizon_days"], value))
    for age, (run, points) in enumerate(sorted(lines.items(), reverse=True)):
        color = NEWEST if age == 0 else OLDER[min(age, len(OLDER)) - 1]
        label = f"{run[1]} {run[2]}, {_moment(run[0])}" if age <= len(OLDER) else None
        days, values = zip(*points, strict=True)
        axes.plot(days, values, color=color, linewidth=1.8, marker="o", markersize=4, label=label, zorder=-age)
    _dress(axes, "Error of forecasts against what became known later", "mean absolute error, %")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("days ahead", fontsize=12)
    if lines:
        figure.legend(loc="outside lower left", ncols=2, fontsize=10, frameon=False)
    return figure


def write(figure: Figure, file: Path) -> None:
    """Write a PNG or SVG, by the file's suffix; the same figure gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "correnteza", "svg.fonttype": "none"}):
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else {"Software": None})
        share(file)


def _dress(axes: Axes, title: str, unit: str) -> None:
    """Title, unit, grid and margins of a picture."""
    axes.set_title(title, loc="left", fontsize=15, fontweight="bold")
    axes.set_ylabel(unit, fontsize=12)
    axes.tick_params(labelsize=11)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)


def _draw_line(axes: Axes, line: Line, *, age: int) -> None:
    values = [float("nan") if value is None else value for value in line.values]
    color = NEWEST if age == 0 else OLDER[min(age, len(OLDER)) - 1]
    label = f"as known on {_moment(line.vintage)}" if line.vintage else "as known now"
    few = len(values) <= FEW_POINTS
    axes.plot(
        line.at,
        values,
        color=color,
        linewidth=1.6 + 2.8 * min(age, 3),
        marker="o" if few else None,
        markersize=3.5 + 3.5 * min(age, 3),
        label=label,
        solid_capstyle="round",
    )


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""

"""`migrate report`: what came, what was rejected and why, and what differs from what was measured; JSON or a page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from migration.compared import FileCheck
from migration.measured import Beside
from migration.record import Record
from monitoring.lake import Lake
from producers.legacy import copy_text
from producers.legacy.mapping import Mapping

FORMAT = 1
"""Version of the JSON document."""

EXAMPLES = 3
"""Rejects of each reason that are shown."""

RAW = "coalesce(try(decode(r.raw::BLOB)), r.raw::BLOB::VARCHAR)"
"""A row as text; with escapes if it is not UTF-8."""

STATION_NOTE = (
    "The legacy's weather of Salvador is of station A601. A601 is Seropédica in Rio de Janeiro; Salvador is A401. "
    "So no legacy weather is joined to a station here."
)


@dataclass(frozen=True)
class Size:
    """Bytes of the files that were read, and of the Delta table that holds their rows."""

    files: int
    delta: int

    @property
    def saved_percent(self) -> float | None:
        """By how much the table is smaller than the files; None of empty files."""
        return 100 * (1 - self.delta / self.files) if self.files else None


@dataclass(frozen=True)
class Findings:
    """All that a report says."""

    mapping: Mapping
    record: Record
    files: Sequence[FileCheck]
    rejects: Sequence[dict[str, Any]]
    size: Size
    beside: Sequence[Beside]
    at: str

    @property
    def problems(self) -> list[str]:
        """What does not agree."""
        return [problem for file in self.files for problem in file.problems()]


def rejects(lake: Lake, dataset: str) -> list[dict[str, Any]]:
    """Per file and reason the number of rejects of the newest edition, and the first few of them."""
    if not lake.has("bronze.ingest_rejects", "bronze.ingest_manifests"):
        return []
    return lake.rows(
        f"""
        SELECT m.part_key AS file, r.reason, count(*) AS rows,
               list({{'row': r.row_number, 'detail': r.detail, 'raw': {RAW}}} ORDER BY r.row_number)
                   [1:{EXAMPLES}] AS examples
        FROM (SELECT unnest(record) FROM bronze.ingest_rejects WHERE decode_status = 'ok') r
        JOIN (SELECT record.chunk_id AS chunk_id, record.part_key AS part_key, record.edition AS edition
              FROM bronze.ingest_manifests WHERE decode_status = 'ok' AND record.source = ?
              QUALIFY edition = max(edition) OVER (PARTITION BY part_key)) m USING (chunk_id)
        GROUP BY ALL ORDER BY file, rows DESC, reason""",
        [dataset],
    )


def size(lake: Lake, dataset: str, files: Sequence[Path]) -> Size:
    """Bytes on both sides. Of a SQLite file that holds more tables than this one, all of it counts."""
    table = lake.snapshots.get(f"silver.{dataset}")
    return Size(sum(file.stat().st_size for file in files), sum(table.files.values()) if table else 0)


def document(found: Findings) -> dict[str, Any]:
    """The report as values for JSON."""
    return {
        "format": FORMAT,
        "at": found.at,
        "dataset": found.mapping.dataset,
        "name": found.mapping.name,
        "holds": not found.problems,
        "problems": found.problems,
        "files": [
            {
                **asdict(found.record.files[file.file]),
                "name": file.file,
                "accepted": file.accepted,
                "rejected": file.rejected,
                "stored": file.stored,
                "chunks": [{**asdict(chunk), "holds": chunk.holds} for chunk in file.chunks],
                "columns": [{**asdict(column), "holds": column.holds} for column in file.columns],
                "months": [{**asdict(month), "holds": month.holds} for month in file.months],
                "samples": [{"row": row, "file": cells, "delta": held} for row, cells, held in file.samples],
            }
            for file in found.files
        ],
        "rejects": list(found.rejects),
        "size": {**asdict(found.size), "saved_percent": found.size.saved_percent},
        "measured": [
            {name: value for name, value in asdict(each).items() if name != "points"} | {"verdict": each.verdict}
            for each in found.beside
        ],
        "notes": [STATION_NOTE],
        "mapping": found.mapping.model_dump(mode="json"),
    }


def page(found: Findings) -> str:
    """The report as one HTML page that needs nothing else."""
    templates = Environment(loader=PackageLoader("migration", "."), autoescape=True, undefined=StrictUndefined)
    templates.filters["value"] = lambda text: "null" if text is None or text == copy_text.NULL else text
    pictures = [(each, _picture(each)) for each in found.beside if each.points]
    months = _rows_per_month(found.files)
    return templates.get_template("report.html.j2").render(
        found=found,
        pictures=pictures,
        months=_bars(months) if months else None,
        station=STATION_NOTE,
    )


def _rows_per_month(files: Sequence[FileCheck]) -> list[tuple[str, int, int]]:
    """Month → rows of the file and in Delta, of the column with the fewest nulls."""
    found: dict[str, tuple[int, int]] = {}
    for file in files:
        for month in file.months:
            before = found.get(month.month, (0, 0))
            found[month.month] = max(before[0], month.source[0]), max(before[1], month.stored[0])
    return [(month, *counts) for month, counts in sorted(found.items())]


def _bars(months: Sequence[tuple[str, int, int]]) -> str:
    figure, axes = _figure(3.2)
    days = [date.fromisoformat(f"{month}-01") for month, _, _ in months]
    axes.bar(days, [source for _, source, _ in months], width=28, color="#c9c9c9", label="in the files")
    axes.step(days, [stored for _, _, stored in months], where="mid", color="#0b3c5d", label="in Delta")
    axes.set_ylabel("rows a month")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return _encoded(figure)


def _picture(each: Beside) -> str:
    figure, axes = _figure(3.0)
    days = [day for day, _, _ in each.points]
    axes.plot(days, [legacy for _, legacy, _ in each.points], color="#e08e1b", linewidth=0.9, label="legacy")
    axes.plot(days, [measured for _, _, measured in each.points], color="#0b3c5d", linewidth=1.3, label="measured")
    axes.set_ylabel(each.measured)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return _encoded(figure)


def _figure(height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no other verb of this command needs it
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    return figure, axes


def _encoded(figure: Any) -> str:
    """A figure as the address of an image that is its own content."""
    made = io.BytesIO()
    figure.savefig(made, format="png")
    return "data:image/png;base64," + base64.b64encode(made.getvalue()).decode()

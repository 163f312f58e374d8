"""The summary that `correnteza demo` prints at its end: one screen of text."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from correnteza.demo import Report
from correnteza.own_home import STORE
from correnteza.printing import aligned

LAYERS = ("bronze", "silver", "gold", "marts", "ops")
WIDTH = 110
_NO_BREAK = "\N{NO-BREAK SPACE}"

TRY_NEXT = (
    'query "select reference_on, value, known_from from silver.bcb_sgs '
    'where series_code = 433 order by 1 desc limit 6"',
    "as-of inmet_hourly 2025-01-01 --where \"station_code = 'A401' and rain_mm > 40\"",
    "quality",
    "status   # shows ? for what only the broker knows: it has ended with the demo",
)
"""Arguments of `correnteza` that work on the demo's tables once the demo has ended."""


@dataclass(frozen=True)
class Summary:
    """The data of a summary.

    Attributes:
        rows: table → rows.
        checks: those of `verify --full --json`.
        answer: the output of the demo's query.
        seconds: of the whole demo.
    """

    report: Report
    rows: Mapping[str, int]
    checks: Sequence[Mapping[str, Any]]
    answer: str
    seconds: float

    def lines(self, home: Path, *, in_store: bool) -> list[str]:
        """The summary, 40 lines at most. Findings of `verify` are printed by `verify` itself.

        Args: in_store: whether tables and payloads are in the object store, which has ended with the demo.
        """
        return [
            *_published(self.report),
            *_rows(self.rows),
            "",
            *_verified(self.checks),
            "",
            *self.answer.strip().splitlines(),
            "",
            *_times(self.report, self.seconds),
            *(_next_in_store(home) if in_store else _next(home)),
        ]


def _published(report: Report) -> list[str]:
    header = ["records published", *(f"day {day}" for day in report.published), "last day, polled again"]
    rows = [
        [source, *(f"{day[source]:,}" for day in report.published.values()), f"{again:,}"]
        for source, again in report.replayed.items()
    ]
    return aligned([header, *rows], range(1, len(header))).splitlines()


def _rows(rows: Mapping[str, int]) -> list[str]:
    """One line per layer: how many tables and rows, and its largest table."""
    found = [["layer", "tables", "rows", "largest table", "its rows"]]
    by_layer = sorted(rows, key=lambda name: LAYERS.index(name.split(".")[0]))
    for layer, group in groupby(by_layer, lambda name: name.split(".")[0]):
        tables = list(group)
        largest = max(tables, key=lambda name: (rows[name], name))
        total = sum(rows[name] for name in tables)
        found.append([layer, f"{len(tables)}", f"{total:,}", largest, f"{rows[largest]:,}"])
    return aligned(found, (1, 2, 4)).splitlines()


def _verified(checks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which checks hold. The gold tables that one kind of check compares are counted, not named."""
    held = [str(check["check"]) for check in checks if check["holds"]]
    kinds: dict[str, int] = {}
    for name in held:
        table, equals, other = name.partition(" = ")
        kind = f"gold = {other}" if equals and table.startswith("gold.") else name
        kinds[kind] = kinds.get(kind, 0) + 1
    named = ", ".join(
        _whole(f"{kind} ({count} table{'s' * (count > 1)})" if kind.startswith("gold = ") else kind)
        for kind, count in kinds.items()
    )
    text = f"verify --full: {len(held)} of {len(checks)} checks hold: {named}"
    failed = [f"FAILS: {check['check']}" for check in checks if not check["holds"]]
    return failed + _wrapped(text)


def _times(report: Report, seconds: float) -> list[str]:
    return _wrapped(
        f"{seconds:.0f} s: " + ", ".join(_whole(f"{stage} {took:.0f} s") for stage, took in report.seconds.items())
    )


def _next(home: Path) -> list[str]:
    return [
        f"tables: {home / 'lake'}/<layer>/<table>   payloads: {home / 'archive'}   logs: {home / 'logs'}",
        "what to try next:",
        *(f"  CORRENTEZA_HOME={home} .venv/bin/correnteza {line}" for line in TRY_NEXT),
        "  make demo   # again: a day polled again publishes nothing",
    ]


def _next_in_store(home: Path) -> list[str]:
    return [
        f"tables: {STORE['lake']}/<layer>/<table>   payloads: {STORE['archive']}   store: {home / 'object-store'}   "
        f"logs: {home / 'logs'}",
        "what to try next:",
        "  make demo-s3   # again: a day polled again publishes nothing",
    ]


def _whole(name: str) -> str:
    """A name with non-breaking characters, so that lines do not break inside it."""
    return name.replace(" ", _NO_BREAK)


def _wrapped(text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return [line.replace(_NO_BREAK, " ") for line in lines]

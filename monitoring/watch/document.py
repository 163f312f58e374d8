"""The document of `/status.json`: that of `status --json`, and the facts that only the monitor has."""

from collections.abc import Mapping, Sequence
from typing import Any

from foundation.errors import DependencyUnavailable
from monitoring.lag.status import Stage, Status, Storage, as_json
from monitoring.lag.words import instant
from monitoring.watch.parts import Part
from monitoring.watch.view import Place, Seen, SourceState, View, retention
from schemas.contracts import CANARY_TABLE


def document(view: View, lines: Sequence[Seen], parts: Mapping[str, Part], places: Sequence[Place]) -> dict[str, Any]:
    """The whole document. Times are UTC."""
    broker = parts["broker"]
    away = None if broker.answers else DependencyUnavailable(broker.why_down or "", hint=broker.hint)
    tables = [
        Storage(name, len(table.paths), table.bytes, table.log_files) for name, table in sorted(view.tables.items())
    ]
    found = as_json(Status([each.line for each in lines], away, _canary(view), tables), at=view.now)
    return found | {
        "parts": [
            {
                "part": name,
                "up": part.answers,
                "last_success_at": instant(part.succeeded_at),
                "reason": part.why_down,
                "hint": None if part.answers else part.hint,
            }
            for name, part in parts.items()
        ],
        "sources": [_source(name, view) for name in sorted(view.next_slots)],
        "retention": [_retention(view, place) for place in places if place.layer == "bronze"],
    }


def _canary(view: View) -> dict[str, Stage]:
    found = {}
    for stage, arrival in (view.last_lake.canary if view.last_lake is not None else {}).items():
        query = view.queries.get(f"{stage}.{CANARY_TABLE}")
        found[stage] = Stage(arrival, query.stop_note if query is not None else None)
    return found


def _source(name: str, view: View) -> dict[str, Any]:
    known, now = view.sources.get(name), (view.schedule or {}).get(name)
    return {
        "source": name,
        "state": _state(view, now),
        "last_success_at": instant(known.last_success_at if known else None),
        "next_slot_at": instant(view.next_slots[name]),
        "overdue_slots": len(now.overdue) if now else None,
        "circuit_open": now.circuit_open if now else None,
        "periods_missing": view.periods_missing.get(name),
        "outcomes": [
            {"outcome": each.outcome, "slot_at": instant(each.slot_at)} for each in (known.outcomes if known else ())
        ],
    }


def _state(view: View, source: SourceState | None) -> str:
    """As in `correnteza sources`: `known` by its records, `never` polled, or `unknown`."""
    if view.schedule is None or source is None:
        return "unknown"
    return "known" if source.outcomes else "never"


def _retention(view: View, place: Place) -> dict[str, Any]:
    margin = retention(view, place)
    return {
        "table": place.table,
        "seconds_to_loss": None if margin is None else round(margin[0], 3),
        "used_ratio": None if margin is None else round(margin[1], 6),
    }

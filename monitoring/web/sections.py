"""The sections below the answer: layers, sources, retention and parts, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.lag.words import STATES
from monitoring.web import words
from monitoring.web.answer import LEVELS, PARTS, Level, is_kafka_away, level_of, level_of_retention, level_of_source
from monitoring.web.plots import BUCKETS, Plot, Strip, plot, strip, worst

Document = Mapping[str, Any]
History = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]

LAYERS = ("bronze", "silver", "gold")
_COARSE = 60  # columns of the plots within tables: 24 minutes each


@dataclass(frozen=True)
class Table:
    """A row of a layer's table."""

    name: str
    level: Level
    state: str
    waiting: str
    behind: str
    newest: str
    lag: Plot
    freshness: Plot


@dataclass(frozen=True)
class Layer:
    """One layer. Attributes: title: its state, in words. about: the number of tables. canary: empty if there is
    none."""

    name: str
    level: Level
    title: str
    about: str
    newest: str
    canary: str
    lag: Plot
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Source:
    """A row of the sources."""

    name: str
    level: Level
    state: str
    last: str
    next: str
    overdue: str
    missing: str
    polls: Strip


@dataclass(frozen=True)
class Kept:
    """A row of retention. Attributes: percent: of the retention that is used up, 0 to 100."""

    name: str
    level: Level
    left: str
    used: str
    percent: float


@dataclass(frozen=True)
class Part:
    """A row of the parts."""

    name: str
    level: Level
    state: str
    last: str
    reason: str
    hint: str


def layers(document: Document, history: History, now: float) -> tuple[Layer, ...]:
    """Every layer with tables, in the order of the data flow."""
    lines = document.get("layers", [])
    names = [*LAYERS, *dict.fromkeys(str(line.get("layer")) for line in lines if line.get("layer") not in LAYERS)]
    return tuple(
        _layer(name, own, document, history, now)
        for name in names
        if (own := [line for line in lines if line.get("layer") == name])
    )


def sources(document: Document, now: float) -> tuple[Source, ...]:
    """Every source; those that need attention come first."""
    rows = [_source(each, now) for each in document.get("sources", [])]
    return tuple(sorted(rows, key=lambda row: (LEVELS.index(row.level), row.name)))


def retention(document: Document) -> tuple[Kept, ...]:
    """Bronze tables with waiting records; the nearest to a loss comes first."""
    waiting = [each for each in document.get("retention", []) if each.get("seconds_to_loss") is not None]
    return tuple(
        Kept(
            f"bronze.{each.get('table')}",
            level_of_retention(each),
            words.lasting(each["seconds_to_loss"]),
            words.share(each.get("used_ratio")),
            round(100 * min(1.0, max(0.0, each.get("used_ratio") or 0.0)), 1),
        )
        for each in sorted(waiting, key=lambda each: each["seconds_to_loss"])
    )


def parts(document: Document, now: float) -> tuple[Part, ...]:
    """The parts of the monitor."""
    return tuple(
        Part(
            PARTS.get(str(each.get("part")), str(each.get("part"))).removeprefix("the "),
            "ok" if each.get("up") else "bad",
            "answers" if each.get("up") else "no answer",
            _since(words.moment(each.get("last_success_at")), now, "never"),
            str(each.get("reason") or ""),
            str(each.get("hint") or ""),
        )
        for each in document.get("parts", [])
    )


def _layer(name: str, lines: Sequence[Mapping[str, Any]], document: Document, history: History, now: float) -> Layer:
    away, canary = is_kafka_away(document), document.get("canary") or {}
    levels = [level_of(line, kafka_away=away) for line in lines]
    level = min(levels, key=LEVELS.index)
    lag = {key: points for key, points in history.get("lag_seconds", {}).items() if key.partition(".")[0] == name}
    newest = [at for line in lines if (at := words.moment(line.get("newest_event_at"))) is not None]
    tested = words.moment((canary.get(name) or {}).get("newest_at"))
    return Layer(
        name=name,
        level=level,
        title=_title(level, [line for line, own in zip(lines, levels, strict=True) if own == level], len(lines)),
        about=words.counted(len(lines), "table"),
        newest=_since(max(newest, default=None), now, "no event yet"),
        canary="" if not canary else _since(tested, now, "none yet"),
        lag=plot(f"Longest lag of any table of {name}", worst(lag.values()), now, buckets=2 * BUCKETS),
        tables=tuple(
            sorted(
                (_table(*each, history, now) for each in zip(lines, levels, strict=True)),
                key=lambda row: LEVELS.index(row.level),
            )
        ),
    )


def _title(level: Level, lines: Sequence[Mapping[str, Any]], of: int) -> str:
    """A layer's state, in words. Args: lines: the lines of that level. of: the number of all lines."""
    if level == "ok":
        behind = max((line.get("seconds_behind") or 0.0 for line in lines), default=0.0)
        waiting = sum(line.get("records_behind") or 0 for line in lines)
        return f"up to date but for {words.lasting(behind)}" if waiting else "up to date"
    is_idle = all(line.get("state") == "not_started" for line in lines)
    is_or_are = "is" if len(lines) == 1 else "are"
    said = {
        "bad": "is stopped" if len(lines) == 1 else "are stopped",
        "late": f"{is_or_are} not started" if is_idle else f"{is_or_are} late",
        "unknown": f"{is_or_are} not known",
    }[level]
    return f"{len(lines)} of {words.counted(of, 'table')} {said}"


def _table(line: Mapping[str, Any], level: Level, history: History, now: float) -> Table:
    name = f"{line.get('layer')}.{line.get('table')}"
    state = STATES.get(str(line.get("state")), str(line.get("state")))
    if line.get("state") == "behind":
        state = "late" if level == "late" else "catching up"
    lag, fresh = (history.get(kind, {}).get(name, ()) for kind in ("lag_seconds", "freshness_seconds"))
    return Table(
        name=str(line.get("table")),
        level=level,
        state=state,
        waiting=words.number(line.get("records_behind")),
        behind=words.lasting(line.get("seconds_behind")),
        newest=_since(words.moment(line.get("newest_event_at")), now, "none yet"),
        lag=plot(f"Lag of {name}", lag, now, buckets=_COARSE),
        freshness=plot(f"Age of the newest event of {name}", fresh, now, buckets=_COARSE),
    )


def _source(source: Mapping[str, Any], now: float) -> Source:
    level, missing = level_of_source(source), source.get("periods_missing")
    overdue = source.get("overdue_slots")
    if source.get("circuit_open"):
        state = "left alone after failures"
    elif (overdue or 0) > 0:
        state = "overdue"
    elif missing:
        state = "polled, data missing"
    else:
        state = {"known": "polled", "never": "never polled", "unknown": "unknown"}.get(
            str(source.get("state")), str(source.get("state"))
        )
    upcoming = words.moment(source.get("next_slot_at"))
    return Source(
        name=str(source.get("source")),
        level=level,
        state=state,
        last=_since(words.moment(source.get("last_success_at")), now, "never"),
        next=words.until(None if upcoming is None else upcoming - now),
        overdue=_none_or(overdue, "slot"),
        missing=_none_or(missing, "period"),
        polls=strip(
            [(str(each.get("outcome")), words.moment(each.get("slot_at"))) for each in source.get("outcomes") or []]
        ),
    )


def _none_or(count: int | None, one: str) -> str:
    return words.UNKNOWN if count is None else "none" if not count else words.counted(count, one)


def _since(at: float | None, now: float, otherwise: str) -> str:
    return otherwise if at is None else words.ago(now - at)

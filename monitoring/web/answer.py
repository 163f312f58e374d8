"""The first answer on the page: whether everything is up to date, and if not, what needs attention."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from monitoring.lag.words import STATES
from monitoring.web import words

Level = Literal["ok", "late", "bad", "unknown"]
LEVELS: Sequence[Level] = ("bad", "late", "unknown", "ok")
"""In order of urgency, the most urgent first."""

LATE_SECONDS = 600.0
"""Records that wait longer are late; the alert PipelineStalled has the same bound."""
CANARY_SECONDS = 600.0
CANARIES_MISSED = 5
"""How many missed canaries are a trouble if they are sent more rarely; as in the alert CanaryMissing."""
OVERDUE_SLOTS = 3
RETENTION_RATIO = 0.8
RETENTION_SECONDS = 86_400.0

STANDING = ("stopped", "stalled", "topic_replaced")
PARTS = {
    "broker": "Kafka",
    "registry": "the schema registry",
    "lake": "the lake",
    "checkpoints": "the checkpoints",
    "disk": "the disk",
    "schedule": "the schedule",
    "driver": "the stream driver",
}
NAMED = 4
"""How many tables or sources of one trouble are named; of the others only the number is shown."""


@dataclass(frozen=True)
class Trouble:
    """Something that needs attention.

    Attributes:
        word: its kind, shown first.
        what: the tables, sources or parts that are affected.
        reason: empty when the words say all.
        hint: a command or other advice; None if there is none.
    """

    level: Level
    word: str
    what: str
    reason: str = ""
    hint: str | None = None


@dataclass(frozen=True)
class Answer:
    """The answer. Attributes: title: a sentence. troubles: the worst first."""

    level: Level
    title: str
    troubles: tuple[Trouble, ...]


def answer(document: Mapping[str, Any], now: float) -> Answer:
    """The answer for a status document."""
    troubles = sorted(
        [*_parts(document), *_layers(document), *_sources(document), *_retention(document), *_canary(document, now)],
        key=lambda each: LEVELS.index(each.level),
    )
    if not document.get("layers") and not troubles:
        return Answer("unknown", "Nothing has been looked at yet.", ())
    if not troubles:
        return Answer("ok", "Everything is fresh.", ())
    level = troubles[0].level
    title = "Not everything is known." if level == "unknown" else "Not everything is fresh."
    return Answer(level, title, tuple(troubles))


def is_kafka_away(document: Mapping[str, Any]) -> bool:
    """Whether bronze's nulls are there because Kafka does not answer, and not because topics do not exist yet."""
    return any(each.get("service") == "kafka" for each in document.get("unreachable", []))


def level_of(line: Mapping[str, Any], *, kafka_away: bool) -> Level:
    """The level of one table."""
    state, waiting = line.get("state"), line.get("records_behind")
    if state in STANDING:
        return "bad"
    if state == "unknown" or (state == "not_started" and waiting is None and kafka_away):
        return "unknown"
    if state == "not_started":
        return "late" if waiting else "ok"
    return "late" if (line.get("seconds_behind") or 0.0) >= LATE_SECONDS else "ok"


def level_of_source(source: Mapping[str, Any]) -> Level:
    """The level of one source."""
    if source.get("circuit_open"):
        return "bad"
    if (source.get("overdue_slots") or 0) >= OVERDUE_SLOTS or source.get("periods_missing"):
        return "late"
    return "unknown" if source.get("state") == "unknown" else "ok"


def level_of_retention(entry: Mapping[str, Any]) -> Level:
    """The level of a bronze table, by how near it is to losing records."""
    seconds, ratio = entry.get("seconds_to_loss"), entry.get("used_ratio") or 0.0
    if seconds is None:
        return "ok"
    return "bad" if ratio > RETENTION_RATIO or (seconds < RETENTION_SECONDS and ratio > 0.2) else "ok"


def _parts(document: Mapping[str, Any]) -> Iterable[Trouble]:
    down = [part for part in document.get("parts", []) if not part.get("up")]
    for part in down:
        name = str(part.get("part"))
        what = PARTS.get(name, name)
        # Without the driver there is no progress; without another part only values are unknown.
        level: Level = "bad" if name in ("broker", "driver") else "unknown"
        yield Trouble(level, "No answer", f"from {what}", str(part.get("reason") or ""), part.get("hint"))
    if not document.get("parts"):  # a document of `status --json` has no parts
        for each in document.get("unreachable", []):
            yield Trouble(
                "unknown", "No answer", f"from {each.get('service')}", str(each.get("reason") or ""), each.get("hint")
            )


def _layers(document: Mapping[str, Any]) -> Iterable[Trouble]:
    lines = document.get("layers", [])
    for line in lines:
        if line.get("state") in STANDING:
            yield Trouble(
                "bad", STATES[line["state"]].capitalize(), _name(line), str(line.get("reason") or ""), line.get("hint")
            )
    away = is_kafka_away(document)
    levels = [(level_of(line, kafka_away=away), line.get("state") == "not_started", line) for line in lines]
    late = [line for level, is_idle, line in levels if level == "late" and not is_idle]
    if late:
        longest = max(line["seconds_behind"] for line in late)
        yield Trouble("late", "Late", _names(late), f"The oldest record that waits is {words.lasting(longest)} old.")
    idle = [line for level, is_idle, line in levels if level == "late" and is_idle]
    if idle:
        waiting = sum(line["records_behind"] for line in idle)
        yield Trouble("late", "Not started", _names(idle), f"{words.number(waiting)} records wait.", "correnteza run")
    unknown = [line for level, _, line in levels if level == "unknown"]
    # If a part does not answer, only that is a trouble here; the layers show its effects.
    if unknown and not any(_parts(document)):
        yield Trouble("unknown", "Not known", _names(unknown), "Nobody says whether anything waits for it.")


def _sources(document: Mapping[str, Any]) -> Iterable[Trouble]:
    every = document.get("sources", [])
    failing = [each for each in every if each.get("circuit_open")]
    if failing:
        yield Trouble(
            "bad", "Failing", _some([str(each.get("source")) for each in failing], "source"),
            "Polls failed again and again, so nothing is asked for a while.", "correnteza sources",
        )  # fmt: skip
    overdue = [each for each in every if each not in failing and (each.get("overdue_slots") or 0) >= OVERDUE_SLOTS]
    if overdue:
        count = sum(each["overdue_slots"] for each in overdue)
        yield Trouble("late", "Not polled", _some([str(each.get("source")) for each in overdue], "source"),
                      f"{words.counted(count, 'slot')} overdue.", "correnteza sources")  # fmt: skip
    missing = sorted((each for each in every if each.get("periods_missing")), key=lambda each: -each["periods_missing"])
    if missing:
        count = sum(each["periods_missing"] for each in missing)
        yield Trouble(
            "late", "Expected and not arrived", _some([str(each.get("source")) for each in missing], "source"),
            f"{words.counted(count, 'period')} should have been published by now.",
        )  # fmt: skip


def _retention(document: Mapping[str, Any]) -> Iterable[Trouble]:
    for entry in document.get("retention", []):
        if level_of_retention(entry) == "bad":
            left = entry["seconds_to_loss"]
            reason = (
                f"Kafka deletes what waits in {words.lasting(left)}." if left > 0 else "Some of what waited is gone."
            )
            yield Trouble("bad", "About to be lost" if left > 0 else "Lost", f"bronze.{entry.get('table')}", reason,
                          "correnteza doctor")  # fmt: skip


def _canary(document: Mapping[str, Any], now: float) -> Iterable[Trouble]:
    interval = document.get("canary_interval_seconds", 0)
    if not interval:
        return  # none is sent
    allowed = max(CANARY_SECONDS, CANARIES_MISSED * interval)
    stages = document.get("canary") or {}
    newest = {stage: words.moment(each.get("newest_at")) for stage, each in stages.items()}
    if stages and not any(newest.values()):
        yield Trouble("unknown", "No test record yet", "in any layer", "It shows that the whole path works.")
        return
    late = [stage for stage, at in newest.items() if at is None or now - at > allowed]
    if late:
        reasons = [str(stages[stage]["reason"]) for stage in late if stages[stage].get("reason")]
        hints = [stages[stage]["hint"] for stage in late if stages[stage].get("hint")]
        none = f"No test record has come through for {words.lasting(allowed)}: the path is broken or slow."
        yield Trouble(
            "bad",
            "Canary missing",
            f"in {', '.join(late)}",
            reasons[0] if reasons else none,
            hints[0] if hints else None,
        )


def _name(line: Mapping[str, Any]) -> str:
    return f"{line.get('layer')}.{line.get('table')}"


def _names(lines: Sequence[Mapping[str, Any]]) -> str:
    return _some(
        [_name(line) for line in sorted(lines, key=lambda line: -(line.get("seconds_behind") or 0.0))], "table"
    )


def _some(names: Sequence[str], one: str) -> str:
    """The first names, and the number of the others."""
    named = ", ".join(names[:NAMED])
    return named if len(names) <= NAMED else f"{named} and {words.counted(len(names) - NAMED, 'more ' + one)}"

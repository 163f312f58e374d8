"""States and durations as words for people, and instants as texts for documents."""

from datetime import UTC, datetime

STATES = {
    "ok": "up to date",
    "behind": "behind",
    "not_started": "not started",
    "topic_replaced": "its topic was recreated",
    "stopped": "stopped",
    "stalled": "stalled",
    "unknown": "unknown",
}


_UNITS = ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float) -> str:
    """A duration in its two largest units, such as `3 min 20 s`; only in the largest from ten on. May be negative."""
    left, sign = round(abs(seconds)), "-" if seconds <= -0.5 else ""
    for place, (length, unit) in enumerate(_UNITS):
        count, rest = divmod(left, length)
        if not count:
            continue
        if count >= 10 or place + 1 == len(_UNITS):
            return f"{sign}{_counted(count, unit)}"
        of_next, smaller = _UNITS[place + 1]
        return f"{sign}{_counted(count, unit)}" + (f" {_counted(rest // of_next, smaller)}" if rest // of_next else "")
    return "0 s"


def instant(at: datetime | float | None) -> str | None:
    """An instant in UTC, to the millisecond; None for None. Args: at: with its zone, or in seconds since the epoch."""
    if at is None:
        return None
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _counted(count: int, unit: str) -> str:
    return f"{count} days" if unit == "day" and count != 1 else f"{count} {unit}"

"""Numbers and times in words."""

import math
from datetime import UTC, datetime

from monitoring.lag.words import duration

UNKNOWN = "not known"


def lasting(seconds: float | None) -> str:
    """A duration; a negative one is shown as zero, because two clocks may differ."""
    return UNKNOWN if seconds is None or not math.isfinite(seconds) else duration(max(0.0, seconds))


def ago(seconds: float | None) -> str:
    """How long ago a moment was."""
    return UNKNOWN if seconds is None else "just now" if abs(seconds) < 1 else f"{lasting(seconds)} ago"


def until(seconds: float | None) -> str:
    """How far ahead a time is, or how long ago it was."""
    if seconds is None:
        return UNKNOWN
    return f"in {lasting(seconds)}" if seconds >= 0 else f"due {lasting(-seconds)} ago"


def size(count: float | None) -> str:
    """Bytes, in the binary unit that leaves one to three digits before the point."""
    if count is None:
        return UNKNOWN
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"


def number(count: float | None) -> str:
    """A whole number with separators."""
    return UNKNOWN if count is None else f"{count:,.0f}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 table`, `2 tables`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def share(ratio: float | None) -> str:
    """A ratio as a percentage; only exact 0 and 1 are shown as 0 % and 100 %."""
    if ratio is None:
        return UNKNOWN
    percent = 100 * min(1.0, max(0.0, ratio))
    return "under 1 %" if 0 < percent < 1 else f"{math.floor(percent):d} %"


def moment(text: str | None) -> float | None:
    """Seconds since 1970 of a time in the document; None for null or for an invalid text."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return None if found is None else found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def clock(seconds: float | None, *, with_day: bool = True) -> str:
    """A time for people, in UTC."""
    if seconds is None:
        return UNKNOWN
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at.day} {at:%B %Y, %H:%M:%S} UTC" if with_day else f"{at:%H:%M} UTC"

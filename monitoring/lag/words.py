"""What the states of a query mean, in words for people, and instants as documents have them."""

from datetime import UTC, datetime

STATES = {
    "ok": "up to date",
    "behind": "behind",
    "not_started": "not started",
    "topic_replaced": "its topic was made anew",
    "stopped": "stopped",
    "stalled": "stalled",
    "unknown": "unknown",
}


def instant(at: datetime | float | None) -> str | None:
    """In UTC, to the millisecond; None for none. Args: at: with its zone, or in seconds since the epoch."""
    if at is None:
        return None
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Slots: one due poll is `(source, scheduled_for)`, and everything about it is a pure function of both."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def latest(interval: timedelta, now: datetime) -> datetime:
    """The newest instant at or before `now` at which a poll was due."""
    return now - (now - _EPOCH) % interval


def slot_id(source: str, scheduled_for: datetime) -> str:
    """The slot's name: the same for every process and every retry, `bcb_sgs@2026-01-05T06:00:00Z`."""
    return f"{source}@{scheduled_for.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

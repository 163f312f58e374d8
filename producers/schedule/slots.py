"""Slots: one due poll is `(source, scheduled_for)`, and everything about it is a pure function of both."""

from datetime import UTC, datetime


def slot_id(source: str, scheduled_for: datetime) -> str:
    """The slot's name: the same for every process and every retry, `bcb_sgs@2026-01-05T06:00:00Z`."""
    return f"{source}@{scheduled_for.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

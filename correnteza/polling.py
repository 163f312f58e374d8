"""Run polls as set in the settings. The command line and the scheduled worker both use this module."""

from collections.abc import Callable
from datetime import datetime

import producers.poll
from correnteza.settings import Settings
from foundation import clock
from monitoring.lake import Lake
from monitoring.reading.rejects import with_rejects
from producers.model import Source, Span
from producers.poll import Outcome, Services, poll
from producers.schedule.turns import Turns
from producers.session import Tally


def services(settings: Settings) -> Services:
    """The services of polls, from the settings."""
    return Services(
        settings.bootstrap,
        settings.registry,
        settings.topic_prefix,
        settings.archive_root,
        settings.ledger,
        settings.spool,
    )


def turns(settings: Settings) -> Turns:
    """The locks by which `schedule` and `poll --slot` take turns at a source."""
    return Turns(settings.run / "turns")


def live_span(settings: Settings, source: Source) -> Span:
    """The days that the live schedule owns; those before it are for backfills."""
    return Span(settings.history_start.get(source.name, source.history_start))


def reparse(settings: Settings, source: Source, *, since: datetime | None) -> Outcome:
    """Publish parts with rejected rows again that were fetched from that day on. Raises: what `producers.poll.reparse`
    raises."""
    parts = with_rejects(Lake(settings.lake_root), source.name, since)
    return producers.poll.reparse(source, services(settings), parts, at=clock.now())


def poll_source(
    settings: Settings,
    source: Source,
    *,
    now: Callable[[], datetime],
    is_stopping: Callable[[], bool],
    on_chunk: Callable[[Tally], None],
    span: Span | None = None,
) -> Outcome:
    """Poll a source once, with the settings. Raises: what `producers.poll.poll` raises; UsageError.

    Args:
        span: days of a backfill; None means those of the live schedule.
    """
    return poll(
        source,
        services(settings),
        now=now,
        base_url=settings.base_urls.get(source.name),
        api_key=settings.api_keys.get(source.name),
        span=span or live_span(settings, source),
        is_stopping=is_stopping,
        on_chunk=on_chunk,
        chunk_rows=settings.chunk_rows,
    )

"""When polls are due. Calendars are cron expressions in a time zone; slots are the instants that match them.

Everything here is a pure function of the calendar and a moment, so every process computes the same slots. Summer time
follows the tz database: slots in an hour that is skipped come right after the gap, and slots in an hour that is
repeated come once (as with cron and cronsim).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim


@dataclass(frozen=True)
class Calendar:
    """Polls are due whenever one of the cron expressions (minute hour day month weekday) matches, in `zone`."""

    crons: tuple[str, ...]
    zone: str = "UTC"

    def latest(self, now: datetime) -> datetime:
        """The newest slot at or before `now`, UTC."""
        # Search backwards from the next minute, so that a slot in this minute is found too.
        after = now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        return max(next(CronSim(cron, self._local(after), reverse=True)).astimezone(UTC) for cron in self.crons)

    def next(self, now: datetime) -> datetime:
        """The first slot after `now`, UTC."""
        return min(next(CronSim(cron, self._local(now))).astimezone(UTC) for cron in self.crons)

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The slots in (after, until], in order, UTC."""
        slot = self.next(after)
        while slot <= until:
            yield slot
            slot = self.next(slot)

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.zone))

"""How far the newest canary has come: one record that the pipeline sends through all its layers to itself.

Read only from the tables' logs: no Spark, no Kafka, no data file. For the monitor's sampler:

    found = newest(lake)                        # every few seconds; some milliseconds
    for stage, arrival in found.items():
        if arrival is None:                    # none has ever come there: no metric
            continue
        newest_timestamp.labels(stage).set(arrival.sent_at)        # canary_newest_timestamp_seconds
        if arrival.is_after(before.get(stage)):                    # a canary is observed once
            latency.labels(stage).observe(arrival.seconds)         # canary_latency_seconds

At the sampler's first call `before` is empty: store the result and observe nothing, or a restart would count the last
canary twice. While the driver, the broker or the schedule is down, `sent_at` does not change, so its age grows.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from foundation.errors import UnsafeState
from monitoring.lag import delta_log
from schemas.contracts import CANARY_TABLE
from storage import delta
from storage.location import Location

STAGES = {"bronze": "kafka_timestamp", "silver": "sent_at", "gold": "sent_at"}
"""Stage → the column of its table that says when the canary was sent; the log has its greatest value per file."""


@dataclass(frozen=True)
class CanaryArrival:
    """The newest canary of a stage.

    Attributes:
        version: of the stage's table that added it.
        sent_at: when it was sent, seconds since the epoch.
        visible_at: when the stage's commit was made, by the clock of the driver's machine; None once the commit was
            removed from the log, after days without another one.
    """

    version: int
    sent_at: float
    visible_at: float | None

    @property
    def seconds(self) -> float | None:
        """Seconds from the sending to the commit; None if unknown, never less than 0."""
        return None if self.visible_at is None else max(0.0, self.visible_at - self.sent_at)

    def is_after(self, other: "CanaryArrival | None") -> bool:
        """Whether it was sent after the other one, and its latency is known."""
        return other is not None and self.sent_at > other.sent_at and self.visible_at is not None


def newest(lake: Location) -> dict[str, CanaryArrival | None]:
    """Per stage (bronze, silver, gold) the newest canary; None where none has come.

    Args:
        lake: root of the Delta tables, `<home>/lake`.

    Raises:
        UnsafeState: the log of one of the three tables cannot be read.
    """
    return {stage: _newest(lake / stage / CANARY_TABLE, column) for stage, column in STAGES.items()}


def _newest(table: Location, column: str) -> CanaryArrival | None:
    try:
        versions = delta_log.versions(table)
        for version in reversed(versions):
            # A commit file that was removed meanwhile is old; a compaction or the removal of old days adds no canary.
            with suppress(FileNotFoundError):
                if (found := _brought(table, version, column)) is not None:
                    return found
        return _remembered(table, column) if versions else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnsafeState(f"the log of {table} cannot be read: {error}", hint="correnteza verify --full") from error


def _brought(table: Location, version: int, column: str) -> CanaryArrival | None:
    """The newest canary that one commit added."""
    actions = delta_log.actions_of(table, version)
    sent = max(_sent(actions, column), default=None)
    return None if sent is None else CanaryArrival(version, sent, delta_log.committed_at(actions))


def _sent(actions: list[dict[str, Any]], column: str) -> Iterator[float]:
    for add in (action["add"] for action in actions if "add" in action):
        text = (json.loads(add.get("stats") or "{}").get("maxValues") or {}).get(column)
        if text is not None and add.get("dataChange", True):
            yield datetime.fromisoformat(text).timestamp()


def _remembered(table: Location, column: str) -> CanaryArrival | None:
    """From the files of the present version, if the commit that added the newest canary is gone from the log."""
    present = delta.table(table)
    actions = pa.table(present.get_add_actions(flatten=True))
    name = f"max.{column}"
    values = [each for each in actions[name].to_pylist() if each] if name in actions.column_names else []
    return CanaryArrival(int(present.version()), max(values).timestamp(), None) if values else None

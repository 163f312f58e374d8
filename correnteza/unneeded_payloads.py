"""Payloads of the archive that nothing refers to any more: no part state, no manifest, no dead letter, no withdrawal.

A manifest is never removed from bronze, and `verify --full` and `explain-row` read the payload that it names. So a
payload that is removed here was never published from, or belongs to a poll that died before its first chunk and was not
continued.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from correnteza.settings import Settings
from foundation import clock
from foundation.errors import UnsafeState
from monitoring.lag import spark_checkpoints
from monitoring.lag.kafka import Cluster
from monitoring.lag.status import bronze_table
from monitoring.lake import Lake
from producers.archive import Archive
from producers.poll import Services
from producers.references import of_cursors
from schemas.contracts import load

KEPT_DAYS = 30
"""Days after which a payload is listed, if it is not set."""

_REFERRING = ("ingest.manifests", "ingest.rejects", "ingest.withdrawals")
"""Contracts whose records name a payload."""


@dataclass(frozen=True)
class Unneeded:
    """One payload.

    Attributes:
        source, url: from the archive's note; None if the note is gone.
        put_at: when it was last fetched, UTC.
    """

    sha256: str
    bytes: int
    source: str | None
    url: str | None
    put_at: datetime


def unneeded(settings: Settings) -> list[Unneeded]:
    """All of them, oldest first.

    Raises:
        DependencyUnavailable: broker or registry do not answer; the cursors are needed to find unfinished editions.
        UnsafeState: bronze has not read every manifest, reject and withdrawal.
    """
    services = Services(settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive_root)
    needed = of_cursors(services)
    _require_all_read(settings)
    lake = Lake(settings.lake_root)
    for table in (f"bronze.{bronze_table(load(name))}" for name in _REFERRING):
        if lake.has(table):
            found = lake.sql(f"SELECT DISTINCT record.payload_sha256 AS sha256 FROM {table}")["sha256"].to_pylist()
            needed |= set(found)
    limit = clock.now() - timedelta(days=settings.archive_keep_days or KEPT_DAYS)
    return sorted(_described(Archive(settings.archive_root), needed, limit), key=lambda each: each.put_at)


def remove(settings: Settings, found: list[Unneeded]) -> int:
    """Remove them; returns how many were removed; a payload that was stored again meanwhile stays."""
    archive = Archive(settings.archive_root)
    return sum(archive.remove(each.sha256, each.put_at + timedelta(seconds=1)) for each in found)


def _described(archive: Archive, needed: set[str], limit: datetime) -> Iterator[Unneeded]:
    for sha256, put_at in archive.names():
        if sha256 in needed or put_at > limit:
            continue
        payload = archive.get(sha256)
        about = payload.about if payload else {}
        yield Unneeded(sha256, payload.size if payload else 0, about.get("source"), about.get("url"), put_at)


def _require_all_read(settings: Settings) -> None:
    """Raises: UnsafeState if bronze has unread records, because one of them may refer to a payload."""
    contracts = {settings.topic_prefix + load(name).topic: f"bronze.{bronze_table(load(name))}" for name in _REFERRING}
    topics = Cluster(settings.bootstrap).topics(contracts)
    for name, query in contracts.items():
        progress, topic = spark_checkpoints.read(settings.checkpoints, query), topics.get(name)
        read = progress.kafka if progress and topic and progress.topic_id in (None, topic.topic_id) else {}
        ends = {} if topic is None else topic.partitions
        if any(bounds.stable > read.get((name, partition), 0) for partition, bounds in ends.items()):
            raise UnsafeState(
                f"{query} has not read its topic to the end, and the unread records may name a payload",
                hint="correnteza run bronze --once",
            )

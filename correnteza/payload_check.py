"""The check of `verify` that needs the parsers: every row of an archived payload was published or rejected.

It is here because it uses the parsers, and monitoring/ uses no code of the pipeline.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from foundation import clock
from foundation.errors import CorrentezaError
from monitoring.proof.checks.model import Evidence, Outcome
from producers import erased, payloads, sources
from producers.archive import ROWS, Archive, Payload, read_blocks
from producers.model import Part
from producers.poll import BACKFILL
from producers.session import ABANDONED_AFTER
from storage.location import Location

PATIENCE = timedelta(hours=1)
"""How long after a slot a part that was begun earlier may be incomplete: every poll first publishes the rest of
unfinished parts."""


@dataclass(frozen=True)
class _Published:
    """One edition of a part, from its manifests; `times` is one once it is completely published.

    Attributes:
        owner: the source, or its backfill.
        retrieved_at: when the payload was fetched.
    """

    source: str
    sha256: str
    part: str
    rows: int
    rejects: int
    times: int
    owner: str
    retrieved_at: datetime

    @property
    def deadline(self) -> datetime:
        """The time by which the last chunk must exist: the payload's slot is over, and the poll of the next slot was
        due.

        A backfill may be continued later; after ABANDONED_AFTER its parts belong to the schedule.
        """
        since = self.retrieved_at + (ABANDONED_AFTER if self.owner == self.source + BACKFILL else timedelta(0))
        return sources.load(self.source).calendar.next(since) + PATIENCE


def payload_check(archive: Location) -> Callable[[Evidence], Outcome]:
    """The check for the payloads of an archive."""
    return lambda evidence: _check(evidence, Archive(archive))


def _check(evidence: Evidence, archive: Archive) -> Outcome:
    outcome = Outcome()
    if not evidence.lake.has("bronze.ingest_manifests"):
        return outcome
    for published in _published(evidence):
        outcome.rows += published.rows + published.rejects
        if not published.times:
            _unfinished(evidence, published, outcome)
            continue
        payload = archive.get(published.sha256)
        if payload is None:
            outcome.add("archive", "a published payload is gone or cut short", [f"sha256 {published.sha256}"])
        elif payload.about["media"] != ROWS and _digest(payload) != published.sha256:
            outcome.add("archive", "a payload's bytes do not hash to its name", [f"sha256 {published.sha256}"])
        else:
            _compare(published, payload, outcome)
    return outcome


def _unfinished(evidence: Evidence, published: _Published, outcome: Outcome) -> None:
    """Judge a part without its last chunk: it may be running or abandoned, or bronze may not have read its end."""
    where = f"{published.source} ({published.part})"
    manifests = evidence.topics.get("ingest.manifests")
    if manifests is not None and manifests.oldest_unread_at is not None:
        outcome.notes.append(f"{where} is not published to its end in what bronze has read of the manifests")
    elif clock.now() < published.deadline:
        outcome.notes.append(f"{where} is not published to its end yet; due until {published.deadline:%Y-%m-%d %H:%M}")
    else:
        outcome.add(
            where,
            f"its last chunk was due until {published.deadline:%Y-%m-%d %H:%M} and is not published;"
            f" {published.rows} rows and {published.rejects} rejects of it are",
            [f"sha256 {published.sha256}"],
        )


def _published(evidence: Evidence) -> list[_Published]:
    """Sums by payload and part, of those that had a chunk in the window; all their chunks count, whenever they were
    published.

    Incomplete parts are judged independently of the window, because they were not judged when their last chunk came.

    A payload that was parsed again, because its rows had been rejected, counts as in its newest edition.
    """
    payload = "record.source AS source, record.payload_sha256 AS sha256, record.part AS part"
    same = "record.source, record.resource, record.part_key, record.payload_sha256"
    rows = evidence.lake.rows(
        f"""
        SELECT {payload}, sum(record.rows_published)::BIGINT AS "rows", sum(record.rows_rejected)::BIGINT AS rejects,
               count_if(record.is_last_of_part) AS times,
               split_part(max(record.slot_id), '@', 1) AS owner, max(record.retrieved_at) AS retrieved_at
        FROM (SELECT *, {evidence.in_window()} AS in_window FROM bronze.ingest_manifests WHERE decode_status = 'ok'
              QUALIFY record.edition IS NOT DISTINCT FROM max(record.edition) OVER (PARTITION BY {same}))
        GROUP BY ALL HAVING bool_or(in_window) OR times = 0 ORDER BY ALL"""
    )
    return [_Published(**row) for row in rows]  # type: ignore[arg-type]


def _digest(payload: Payload) -> str:
    digest = hashlib.sha256()
    for block in read_blocks(payload.path):
        digest.update(block)
    return digest.hexdigest()


def _compare(published: _Published, payload: Payload, outcome: Outcome) -> None:
    retrieved_at = datetime.fromisoformat(payload.about["retrieved_at"])
    part = Part(payload.about["resource"], payload.about["part"], published.part, retrieved_at)
    rows = rejects = 0
    try:
        for parsed in payloads.parsed(sources.load(published.source), payload, part):
            rows += sum(records.num_rows for records in parsed.records.values())
            rejects += len(parsed.rejects)
    except CorrentezaError as error:
        outcome.add("archive", f"a published payload no longer parses: {error}", [f"sha256 {published.sha256}"])
        return
    if payload.about["media"] == ROWS:
        taken = erased.taken_from(payload)[erased.name_of(part)]
        # What was published before the erasure counts what was erased; what was published after it does not.
        if (published.rows, published.rejects) != (rows * published.times, rejects * published.times):
            rows, rejects = rows + taken.rows, rejects + taken.rejects
    if (published.rows, published.rejects) != (rows * published.times, rejects * published.times):
        times = "" if published.times == 1 else f" {published.times} times"
        outcome.add(
            f"{published.source} ({published.part})",
            f"the payload holds {rows} rows and {rejects} rejects; published{times}: {published.rows} rows and"
            f" {published.rejects} rejects",
            [f"sha256 {published.sha256}"],
        )

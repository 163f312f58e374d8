"""The check of `verify` that needs the parsers: what an archived payload holds was published or rejected, row for row.

It stands here because monitoring/ uses none of the pipeline's code, and parsing again is all this check does.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from foundation.errors import CorrentezaError
from monitoring.checks.model import Evidence, Outcome
from producers import sources
from producers.archive import Archive, Payload, read_blocks
from producers.editions import content
from producers.model import Part


@dataclass(frozen=True)
class _Published:
    """What the manifests say of one edition of a part; `times` is one once it is published to its end."""

    source: str
    sha256: str
    part: str
    rows: int
    rejects: int
    times: int


def payload_check(archive: Path) -> Callable[[Evidence], Outcome]:
    """The check over the payloads of an archive."""
    return lambda evidence: _check(evidence, Archive(archive))


def _check(evidence: Evidence, archive: Archive) -> Outcome:
    outcome = Outcome()
    if not evidence.lake.has("bronze.ingest_manifests"):
        return outcome
    for published in _published(evidence):
        outcome.rows += published.rows + published.rejects
        if not published.times:
            outcome.notes.append(f"{published.part} of {published.source} is not published to its end yet")
            continue
        payload = archive.get(published.sha256)
        if payload is None:
            outcome.add("archive", "a published payload is gone or cut short", [f"sha256 {published.sha256}"])
        elif _digest(payload) != published.sha256:
            outcome.add("archive", "a payload's bytes do not hash to its name", [f"sha256 {published.sha256}"])
        else:
            _compare(published, payload, outcome)
    return outcome


def _published(evidence: Evidence) -> list[_Published]:
    """Sums by payload and part, of those that had a chunk in the window; all their chunks, whenever published.

    A payload that was parsed again, because its rows had been rejected, counts as the newest of its editions did.
    """
    payload = "record.source AS source, record.payload_sha256 AS sha256, record.part AS part"
    same = "record.source, record.resource, record.part_key, record.payload_sha256"
    rows = evidence.lake.rows(
        f"""
        SELECT {payload}, sum(record.rows_published)::BIGINT AS "rows", sum(record.rows_rejected)::BIGINT AS rejects,
               count_if(record.is_last_of_part) AS times
        FROM (SELECT *, {evidence.in_window()} AS in_window FROM bronze.ingest_manifests WHERE decode_status = 'ok'
              QUALIFY record.edition IS NOT DISTINCT FROM max(record.edition) OVER (PARTITION BY {same}))
        GROUP BY ALL HAVING bool_or(in_window) ORDER BY ALL"""
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
        for parsed in sources.load(published.source).parse(content(payload), part):
            rows += sum(records.num_rows for records in parsed.records.values())
            rejects += len(parsed.rejects)
    except CorrentezaError as error:
        outcome.add("archive", f"a published payload no longer parses: {error}", [f"sha256 {published.sha256}"])
        return
    if (published.rows, published.rejects) != (rows * published.times, rejects * published.times):
        times = "" if published.times == 1 else f" {published.times} times"
        outcome.add(
            f"{published.source} ({published.part})",
            f"the payload holds {rows} rows and {rejects} rejects; published{times}: {published.rows} rows and"
            f" {published.rejects} rejects",
            [f"sha256 {published.sha256}"],
        )

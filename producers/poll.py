"""Poll one source once: fence, read the cursor, finish what was started, publish what is new."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from foundation import log
from foundation.errors import CorrentezaError, DependencyUnavailable, FencedError, UnsafeState
from producers import cursor, poll_body, poll_zip, slots
from producers.archive import Archive
from producers.chunk import CURSORS, MANIFESTS, REJECTS
from producers.http import Client
from producers.model import CHUNK_ROWS, Cursor, Source, Span
from producers.publish import Publisher
from producers.session import Session, StoppedError, Tally
from schemas.contracts import load
from schemas.registry import Registry


@dataclass(frozen=True)
class Services:
    """Where a poll publishes and keeps payloads.

    Attributes:
        ledger: file that gets a line per acknowledged chunk, for tests; None to keep none.
    """

    bootstrap: str
    registry_url: str
    prefix: str
    archive: Path
    ledger: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What a poll did, and how it ended.

    Attributes:
        error: the first thing that went wrong, if any; what was committed before it stands.
    """

    source: str
    slot_id: str
    tally: Tally
    seconds: float
    error: CorrentezaError | None
    is_stopped: bool


def poll(
    source: Source,
    services: Services,
    *,
    now: Callable[[], datetime],
    base_url: str | None = None,
    span: Span | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
    on_chunk: Callable[[Tally], None] = lambda tally: None,
    chunk_rows: int = CHUNK_ROWS,
) -> Outcome:
    """Poll every resource of a source for the newest due slot, and log one line about it.

    Trouble with a resource is in the outcome. Raises: FencedError and UnsafeState, after which the process must end.
    """
    started, began = now(), time.monotonic()
    slot_id = slots.slot_id(source.name, source.calendar.latest(started))
    tally = Tally()
    error: CorrentezaError | None = None
    is_stopped = False
    try:
        with _client(source, base_url) as client:
            publisher = Publisher(services.bootstrap, services.prefix, source.name, ledger=services.ledger)
            schema_ids, cursors = _begin(source, services, publisher)
            archive = Archive(services.archive)
            archive.clear_spool()
            session = Session(
                source=source,
                slot_id=slot_id,
                today=started.date(),
                span=span or Span(source.history_start),
                client=client,
                archive=archive,
                publisher=publisher,
                schema_ids=schema_ids,
                cursors=cursors,
                is_stopping=is_stopping,
                on_chunk=on_chunk,
                chunk_rows=chunk_rows,
                tally=tally,
            )
            session.finish_started()
            error = _poll_resources(session)
    except (FencedError, UnsafeState):
        raise
    except StoppedError:
        is_stopped = True
    except CorrentezaError as failure:
        error = failure
        tally.problems.append(str(failure))
    outcome = Outcome(source.name, slot_id, tally, time.monotonic() - began, error, is_stopped)
    _report(outcome)
    return outcome


def _client(source: Source, base_url: str | None) -> Client:
    # The pause is courtesy to the real source; a mirror or a replay is the operator's own.
    return Client(base_url) if base_url else Client(source.base_url, pause=source.pause)


def _begin(source: Source, services: Services, publisher: Publisher) -> tuple[dict[str, int], dict[str, Cursor]]:
    """Schema ids by contract and cursors by resource; the order matters: register, fence, then read."""
    registry = Registry(services.registry_url)
    contracts = [load(name) for name in (*source.datasets, REJECTS, MANIFESTS, CURSORS)]
    schema_ids = registry.register(contracts, services.prefix)
    publisher.start()
    topic = services.prefix + load(CURSORS).topic
    return schema_ids, cursor.read(services.bootstrap, topic, source.name, registry.schema_by_id)


def _poll_resources(session: Session) -> CorrentezaError | None:
    """Every resource in turn; one that answers nonsense does not keep the others back, a source that is away does."""
    poll_resource = poll_zip.poll if session.source.kind == "zip" else poll_body.poll
    first: CorrentezaError | None = None
    for resource in session.source.resources(session.today, session.span):
        if session.is_stopping():
            raise StoppedError
        try:
            poll_resource(session, resource)
        except (FencedError, UnsafeState):
            raise
        except CorrentezaError as failure:
            first = first or failure
            session.tally.problems.append(f"{resource.name}: {failure}")
            if isinstance(failure, DependencyUnavailable):
                break
    return first


def _report(outcome: Outcome) -> None:
    tally = outcome.tally
    logger = log.get_logger("producers")
    emit = logger.warning if outcome.error else logger.info
    emit(
        "poll_failed" if outcome.error else "poll_stopped" if outcome.is_stopped else "poll_completed",
        source=outcome.source,
        slot_id=outcome.slot_id,
        rows=tally.rows,
        rejects=tally.rejects,
        chunks=tally.chunks,
        parts=tally.parts,
        unchanged_parts=tally.unchanged_parts,
        problems=tally.problems[:5],
        elapsed_seconds=round(outcome.seconds, 3),
    )

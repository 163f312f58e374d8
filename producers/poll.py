"""Poll one source once: fence, read the cursor, finish what was started, publish what is new."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from foundation import log
from foundation.errors import CorrentezaError, FencedError, UnsafeState
from producers import cursor, poll_body, poll_zip
from producers.archive import Archive
from producers.chunk import CURSORS, MANIFESTS, REJECTS, WITHDRAWALS
from producers.fetch.answers import ThrottledError
from producers.fetch.http import Client
from producers.model import CHUNK_ROWS, Source, Span
from producers.publish import Publisher
from producers.schedule import slots
from producers.session import Session, StoppedError, Tally
from producers.steps import Step, run_steps
from schemas.contracts import load
from schemas.registry import Registry
from storage.location import Location

MOST_NAMED = 5
"""How many problems and members one log line names."""

BACKFILL = ".backfill"
"""Suffix of the owner name of a backfill, in its cursors and its transactional id."""


@dataclass(frozen=True)
class Services:
    """The services that a poll uses.

    Attributes:
        ledger: file that gets a line per acknowledged chunk, for tests; None for no file.
        spool: where downloads stand until they are whole, if the archive is in a store.
    """

    bootstrap: str
    registry_url: str
    prefix: str
    archive: Location
    ledger: Path | None = None
    spool: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of a poll.

    Attributes:
        error: the first error, if any; what was committed before it stays.
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
    api_key: SecretStr | None = None,
    span: Span | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
    on_chunk: Callable[[Tally], None] = lambda tally: None,
    chunk_rows: int = CHUNK_ROWS,
) -> Outcome:
    """Poll every resource of a source for the newest due slot, and log one line about it.

    A span with a last day is a backfill: the same poll with its own name, cursor and transactional id, so that it
    may run beside the live schedule, whose days begin where the backfill's end.

    Args:
        base_url: a mirror to use instead of the source.
        api_key: of a paying customer of the source.

    Trouble with a resource is in the outcome. Raises: FencedError, when another process polls the source; UnsafeState,
    after which this process must end.
    """
    started, span, tally = now(), span or Span(source.history_start), Tally()
    owner = source.name
    slot_id = slots.slot_id(owner, source.calendar.latest(started))
    if span.last != date.max:
        owner = source.name + BACKFILL
        slot_id = slots.slot_id(owner, started)  # not from a calendar, but by a person

    def work() -> CorrentezaError | None:
        with Client.for_source(source, base_url, api_key.get_secret_value() if api_key else None) as client:
            session = open_session(source, services, client, owner=owner, slot_id=slot_id, at=started)
            session.span, session.chunk_rows, session.tally = span, chunk_rows, tally
            session.is_stopping, session.on_chunk = is_stopping, on_chunk
            try:
                session.archive.clear_spool()
                session.finish_started()
                return _poll_resources(session)
            finally:
                tally.received = client.received

    return _outcome(source, slot_id, tally, work)


def _outcome(source: Source, slot_id: str, tally: Tally, work: Callable[[], CorrentezaError | None]) -> Outcome:
    """Do the work, and log one line about it. Args: work: returns the first error that did not end it.

    Raises: FencedError and UnsafeState.
    """
    began = time.monotonic()
    error: CorrentezaError | None = None
    is_stopped = False
    try:
        error = work()
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


def reparse(source: Source, services: Services, parts: Collection[tuple[str, str]], *, at: datetime) -> Outcome:
    """Publish parts once more from the archive, as today's parser reads them: also rows that an older one rejected.

    The rows keep the clocks of their first publication, so rows that were published before are repetitions.

    Args:
        parts: (resource, part key) of parts that had rejects; parts that the owner no longer has are left out.

    Trouble with a part is in the outcome. Raises: as `poll`.
    """
    slot_id, tally = slots.slot_id(source.name, at), Tally()

    def work() -> None:
        for owner in (source.name, source.name + BACKFILL):
            with Client.for_source(source, None, None) as client:
                session = open_session(source, services, client, owner=owner, slot_id=slot_id, at=at)
                session.tally = tally
                session.finish_started()
                for resource, key in parts:
                    stands = session.cursors.get(resource)
                    if stands is not None and key in stands.parts and stands.parts[key].is_complete:
                        session.reparse(stands, key)

    return _outcome(source, slot_id, tally, work)


def open_session(
    source: Source, services: Services, client: Client, *, owner: str, slot_id: str, at: datetime
) -> Session:
    """Fence any other process that publishes as this owner, and read what is committed.

    The order matters: register, fence, then read.

    Args:
        owner: owner of the cursors, the source or its backfill; the cursors of the other one are read too.
        at: now.
    """
    other = source.name + BACKFILL if owner == source.name else source.name
    publisher = Publisher(services.bootstrap, services.prefix, owner, ledger=services.ledger)
    registry = Registry(services.registry_url)
    contracts = [load(name) for name in (*source.datasets, REJECTS, MANIFESTS, WITHDRAWALS, CURSORS)]
    schema_ids = registry.register(contracts, services.prefix)
    publisher.start()
    topic = services.prefix + load(CURSORS).topic
    found = cursor.read(services.bootstrap, topic, (owner, other), registry.schema_by_id)
    return Session(
        source=source,
        owner=owner,
        slot_id=slot_id,
        today=at.date(),
        span=Span(source.history_start),
        client=client,
        archive=Archive(services.archive, services.spool),
        publisher=publisher,
        schema_ids=schema_ids,
        cursors=found.get(owner, {}),
        others=found.get(other, {}),
    )


def _poll_resources(session: Session) -> CorrentezaError | None:
    """Poll every resource, first the recent data of all, then their history. Returns the first error, if any."""
    tally, error = session.tally, None
    for steps in _rounds(session):
        ended = run_steps(session, _watched(session, steps))
        tally.failed += ended.failed
        if error is None or isinstance(ended.error, ThrottledError):
            error = ended.error
        tally.has_answered = not ended.gave_up and (tally.has_answered or ended.passed > 0)
        if ended.gave_up:
            return error
    session.begin(1, 1)
    return error


def _rounds(session: Session) -> Iterator[list[Step]]:
    resources = session.source.resources(session.today, session.span)
    if session.source.kind == "zip":
        yield [(resource.name, partial(poll_zip.poll, session, resource)) for resource in resources]
        return
    polls = [poll_body.ResourcePoll(session, resource) for resource in resources]
    if not session.is_live:
        yield [(each.name, each.poll_all) for each in polls]
        return
    yield [(each.name, each.poll_recent) for each in polls]
    yield [(each.name, each.poll_history) for each in polls if each.missing and each.name not in session.tally.failed]


def _watched(session: Session, steps: Sequence[Step]) -> Iterator[Step]:
    """The same steps; reports the number of each. Raises: StoppedError when the poll is to stop."""
    for number, step in enumerate(steps):
        if session.is_stopping():
            raise StoppedError
        session.begin(number, len(steps))
        yield step


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
        withdrawn=tally.withdrawn,
        held=tally.held,
        parts=tally.parts,
        failed=tally.failed[:MOST_NAMED],
        unchanged_parts=tally.unchanged_parts,
        unread_members=tally.unread_members[:MOST_NAMED],
        problems=tally.problems[:MOST_NAMED],
        elapsed_seconds=round(outcome.seconds, 3),
    )

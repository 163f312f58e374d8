"""Poll plain bodies: ask what the source plans, compare, publish the bodies that differ."""

from collections.abc import Mapping
from datetime import date
from functools import partial

from foundation.errors import CorrentezaError
from producers import windows
from producers.archive import Payload, read_blocks
from producers.fetch.answers import Answer, Version, refused
from producers.in_turn import in_turn
from producers.model import Ask, Cursor, Part, PartState, Progress, Resource
from producers.payloads import MEDIA_BODY
from producers.publication_clock import API, HTTP
from producers.session import Session

SAID_BYTES = 300
"""How much of a refusal's body its error repeats: a source that states a reason states it at the beginning."""


class Questions:
    """What one poll asks of one resource.

    Attributes:
        name: of the resource.
        missing: questions about history, once `present` has planned.
    """

    def __init__(self, session: Session, resource: Resource) -> None:
        self.name = resource.name
        self.missing: list[Ask] = []
        self._session, self._resource = session, resource
        self._cursor = session.cursor(resource)
        self._covered = session.covered(self._cursor)

    def present(self) -> None:
        """Plan, ask for all that is not history, and publish what is new. Raises: CorrentezaError."""
        session, cursor = self._session, self._cursor
        assert session.source.plan is not None
        progress = Progress(
            session.today,
            session.span,
            self._covered,
            self._newest_body,
            lambda key: session.known(cursor, key),
            self._look,
            cursor.read_since,
        )
        for ask in session.source.plan(self._resource, progress):
            if windows.is_closed(ask.key):
                self.missing.append(ask)
            else:
                self._ask(ask)
        if session.span.last == date.max and not all(map(windows.names_days, cursor.parts)):
            session.remember(cursor, read_since=min(session.span.first, cursor.read_since or date.max))

    def history(self) -> None:
        """Ask for the days that are missing. Raises: CorrentezaError: the first failure, after the other windows."""
        session, count = self._session, len(self.missing)

        def step(number: int, ask: Ask) -> None:
            self._ask(ask)
            session.advance(number / count)

        asks = enumerate(self.missing, 1)
        ended = in_turn(session, [(f"{self.name} {ask.key}", partial(step, number, ask)) for number, ask in asks])
        if ended.error is not None:
            raise ended.error

    def whole(self) -> None:
        """Both: of a backfill, which has no present. Raises: CorrentezaError."""
        self.present()
        self.history()

    def _ask(self, ask: Ask) -> None:
        answer = self._session.client.get(ask.path or self._resource.path, ask.params)
        former = self._newest_body(ask.key) if ask.key in self._covered else None
        _take(self._session, self._cursor, ask, answer, former=former)

    def _newest_body(self, key: str) -> bytes | None:
        state = self._session.known(self._cursor, key)
        payload = self._session.archive.get(state.payload_sha256) if state else None
        return b"".join(read_blocks(payload.path)) if payload and payload.about["media"] == MEDIA_BODY else None

    def _look(self, path: str, params: Mapping[str, str]) -> bytes:
        answer = self._session.client.get(path, params)
        if answer.status != 200:
            raise _refused(answer)
        self._session.require_data(answer, self._session.source.media)
        return answer.body


def _take(session: Session, cursor: Cursor, ask: Ask, answer: Answer, *, former: bytes | None) -> None:
    """One answer: published, found as before, or refused."""
    if session.source.is_no_news(answer.status, answer.body):
        session.no_news(cursor, f"status {answer.status}: nothing in the window")
        session.tally.unchanged_parts += ask.key in cursor.parts
        if windows.is_closed(ask.key):
            _remember_empty(session, cursor, ask, answer)
        return
    if answer.status != 200:
        raise _refused(answer)
    session.require_data(answer, session.source.media)
    if ask.published_at is None and _is_stale(session.known(cursor, ask.key), answer.version):
        session.no_news(cursor, f"stale: older than the answer {ask.key} that was seen")
    elif former is not None and _says_nothing_new(session, cursor, ask, answer, former):
        session.tally.unchanged_parts += 1
    else:
        _publish(session, cursor, ask, answer)


def _says_nothing_new(session: Session, cursor: Cursor, ask: Ask, answer: Answer, former: bytes) -> bool:
    """Whether an answer neither adds to what was published, nor confirms any of it, nor lacks anything of it."""
    source, state = session.source, session.known(cursor, ask.key)
    if not source.repeats(former, answer.body):
        return False
    if state is not None and source.confirms(answer.body, state.retrieved_at, answer.retrieved_at):
        return False
    if ask.scope is None or former == answer.body:
        return True
    return not session.takes_away(cursor, _part(cursor, ask, answer), answer.body, ask.scope)


def _part(cursor: Cursor, ask: Ask, answer: Answer) -> Part:
    return Part(cursor.resource, ask.key, f"{cursor.resource} {ask.key}", answer.retrieved_at)


def _is_stale(state: PartState | None, version: Version) -> bool:
    """A cache on the way may give an older answer than one seen before: publishing it would undo a revision."""
    if state is None or state.published_at is None or state.published_at_basis != HTTP:
        return False
    clock, seen = version.last_modified, state.published_at
    # A former clock that lies ahead of this answer is not believed: an earlier release took such a date as it stood.
    is_believed = version.seen_at is None or seen <= version.seen_at
    # An edition's clock may lie microseconds after its Last-Modified: two editions of one clock are told apart.
    return clock is not None and clock < seen.replace(microsecond=0) and is_believed


def _refused(answer: Answer) -> CorrentezaError:
    error = refused(answer.url, answer.status)
    said = answer.body[:SAID_BYTES].decode(errors="replace")
    kind = type(error)
    return (
        kind(f"{error}: {' '.join(said.split())}", hint=error.hint)
        if said.strip() and said.lstrip()[:1] != "<"
        else error
    )


def _remember_empty(session: Session, cursor: Cursor, ask: Ask, answer: Answer) -> None:
    """A closed window without a value is answered too: the years before a series began are not asked for ever."""
    payload = _archived(session, cursor, ask, answer)
    state = PartState(
        name=f"{cursor.resource} {ask.key}",
        payload_sha256=payload.sha256,
        edition=1,
        next_row=0,
        is_complete=True,
        first_edition_assumed=True,
        retrieved_at=answer.retrieved_at,
        size=payload.size,
    )
    session.remember(cursor, parts={**cursor.parts, ask.key: state})


def _archived(session: Session, cursor: Cursor, ask: Ask, answer: Answer) -> Payload:
    about = {
        "source": session.source.name,
        "resource": cursor.resource,
        "part": ask.key,
        "media": MEDIA_BODY,
        "url": answer.url,
        "etag": answer.version.etag,
        "last_modified": answer.version.last_modified,
        "retrieved_at": answer.retrieved_at,
    }
    return session.archive.put([answer.body], about)


def _publish(session: Session, cursor: Cursor, ask: Ask, answer: Answer) -> None:
    part = _part(cursor, ask, answer)
    payload = _archived(session, cursor, ask, answer)
    edition = session.begin_edition(
        cursor,
        part,
        payload,
        published=(ask.published_at, API) if ask.published_at else (answer.version.last_modified, HTTP),
        crc32=None,
        size=len(answer.body),
        scope=ask.scope,
    )
    if edition is not None:
        session.publish(cursor, edition, None)

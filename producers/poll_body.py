"""Poll plain bodies: send the requests that the source plans, compare, and publish the bodies that differ."""

from collections.abc import Mapping
from datetime import date
from functools import partial

from foundation.errors import CorrentezaError
from producers import windows
from producers.archive import Payload, read_blocks
from producers.fetch.answers import Answer, Version, refused
from producers.model import ApiRequest, Cursor, Part, PartState, Progress, Resource
from producers.payloads import MEDIA_BODY
from producers.publication_clock import API, HTTP
from producers.session import Session
from producers.steps import run_steps

SAID_BYTES = 300
"""How much of a refusal's body its error repeats; a reason is usually at the beginning."""


class ResourcePoll:
    """The requests of one poll for one resource.

    Attributes:
        name: of the resource.
        missing: requests for history; filled by `poll_recent`.
    """

    def __init__(self, session: Session, resource: Resource) -> None:
        self.name = resource.name
        self.missing: list[ApiRequest] = []
        self._session, self._resource = session, resource
        self._cursor = session.cursor(resource)
        self._covered = session.covered(self._cursor)

    def poll_recent(self) -> None:
        """Plan the requests, send those that are not for history, and publish what is new. Raises: CorrentezaError."""
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
        for request in session.source.plan(self._resource, progress):
            if windows.is_closed(request.key):
                self.missing.append(request)
            else:
                self._request(request)
        if session.span.last == date.max and not all(map(windows.names_days, cursor.parts)):
            session.remember(cursor, read_since=min(session.span.first, cursor.read_since or date.max))

    def poll_history(self) -> None:
        """Send the requests for history. Raises: CorrentezaError: the first failure, after the other requests."""
        session, count = self._session, len(self.missing)

        def step(number: int, request: ApiRequest) -> None:
            self._request(request)
            session.advance(number / count)

        requests = enumerate(self.missing, 1)
        ended = run_steps(
            session, [(f"{self.name} {request.key}", partial(step, number, request)) for number, request in requests]
        )
        if ended.error is not None:
            raise ended.error

    def poll_all(self) -> None:
        """Both, one after the other: for a backfill. Raises: CorrentezaError."""
        self.poll_recent()
        self.poll_history()

    def _request(self, request: ApiRequest) -> None:
        answer = self._session.client.get(request.path or self._resource.path, request.params)
        former = self._newest_body(request.key) if request.key in self._covered else None
        _take(self._session, self._cursor, request, answer, former=former)

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


def _take(session: Session, cursor: Cursor, request: ApiRequest, answer: Answer, *, former: bytes | None) -> None:
    """Handle one answer: publish it, count it as unchanged, or refuse it."""
    if session.source.is_no_news(answer.status, answer.body):
        session.no_news(cursor, f"status {answer.status}: nothing in the window")
        session.tally.unchanged_parts += request.key in cursor.parts
        if windows.is_closed(request.key):
            _remember_empty(session, cursor, request, answer)
        return
    if answer.status != 200:
        raise _refused(answer)
    session.require_data(answer, session.source.media)
    if request.published_at is None and _is_stale(session.known(cursor, request.key), answer.version):
        session.no_news(cursor, f"stale: older than the answer {request.key} that was seen")
    elif former is not None and _says_nothing_new(session, cursor, request, answer, former):
        session.tally.unchanged_parts += 1
    else:
        _publish(session, cursor, request, answer)


def _says_nothing_new(session: Session, cursor: Cursor, request: ApiRequest, answer: Answer, former: bytes) -> bool:
    """Whether an answer has no new value, no confirmation and no missing key, compared with what was published."""
    source, state = session.source, session.known(cursor, request.key)
    if not source.repeats(former, answer.body):
        return False
    if state is not None and source.confirms(answer.body, state.retrieved_at, answer.retrieved_at):
        return False
    if request.scope is None or former == answer.body:
        return True
    return not session.takes_away(cursor, _part(cursor, request, answer), answer.body, request.scope)


def _part(cursor: Cursor, request: ApiRequest, answer: Answer) -> Part:
    return Part(cursor.resource, request.key, f"{cursor.resource} {request.key}", answer.retrieved_at)


def _is_stale(state: PartState | None, version: Version) -> bool:
    """Whether an answer is older than one seen before, as a cache may give it: publishing it would undo a revision."""
    if state is None or state.published_at is None or state.published_at_basis != HTTP:
        return False
    clock, seen = version.last_modified, state.published_at
    # A former clock later than this answer is ignored: an earlier release accepted such a date of a server.
    is_believed = version.seen_at is None or seen <= version.seen_at
    # An edition's clock may be microseconds after its Last-Modified, so that two editions differ.
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


def _remember_empty(session: Session, cursor: Cursor, request: ApiRequest, answer: Answer) -> None:
    """Record that a closed window has no value, so that the years before a series began are asked for only once."""
    payload = _archived(session, cursor, request, answer)
    state = PartState(
        name=f"{cursor.resource} {request.key}",
        payload_sha256=payload.sha256,
        edition=1,
        next_row=0,
        is_complete=True,
        first_edition_assumed=True,
        retrieved_at=answer.retrieved_at,
        size=payload.size,
    )
    session.remember(cursor, parts={**cursor.parts, request.key: state})


def _archived(session: Session, cursor: Cursor, request: ApiRequest, answer: Answer) -> Payload:
    about = {
        "source": session.source.name,
        "resource": cursor.resource,
        "part": request.key,
        "media": MEDIA_BODY,
        "url": answer.url,
        "etag": answer.version.etag,
        "last_modified": answer.version.last_modified,
        "retrieved_at": answer.retrieved_at,
    }
    return session.archive.put([answer.body], about)


def _publish(session: Session, cursor: Cursor, request: ApiRequest, answer: Answer) -> None:
    part = _part(cursor, request, answer)
    payload = _archived(session, cursor, request, answer)
    edition = session.begin_edition(
        cursor,
        part,
        payload,
        published=(request.published_at, API) if request.published_at else (answer.version.last_modified, HTTP),
        crc32=None,
        size=len(answer.body),
        scope=request.scope,
    )
    if edition is not None:
        session.publish(cursor, edition, None)

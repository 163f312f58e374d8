"""Poll plain bodies: ask what the source plans, compare, publish the bodies that differ."""

from collections.abc import Mapping

from producers.answers import Answer, refused
from producers.archive import read_blocks
from producers.clock import API, HTTP
from producers.model import Ask, Cursor, Part, Progress, Resource
from producers.poll_zip import is_old, sniffed
from producers.session import MEDIA_BODY, Session


def poll(session: Session, resource: Resource) -> None:
    """Publish what is new in the bodies of one resource. Raises: CorrentezaError."""
    cursor = session.cursor(resource)

    def newest_body(key: str) -> bytes | None:
        state = cursor.parts.get(key)
        payload = session.archive.get(state.payload_sha256) if state else None
        return b"".join(read_blocks(payload.path)) if payload else None

    def look(path: str, params: Mapping[str, str]) -> bytes:
        answer = session.client.get(path, params)
        if answer.status != 200:
            raise refused(answer.url, answer.status)
        sniffed(session, answer, session.source.media)
        return answer.body

    complete = frozenset(key for key, state in cursor.parts.items() if state.is_complete)
    progress = Progress(session.today, session.span, complete, newest_body, cursor.parts.get, look)
    assert session.source.plan is not None
    for ask in session.source.plan(resource, progress):
        answer = session.client.get(ask.path or resource.path, ask.params)
        if session.source.is_no_news(answer.status, answer.body):
            session.no_news(resource, f"status {answer.status}: nothing in the window")
            session.tally.unchanged_parts += ask.key in cursor.parts
            continue
        if answer.status != 200:
            raise refused(answer.url, answer.status)
        sniffed(session, answer, session.source.media)
        if ask.published_at is None and (why := is_old(cursor, answer.version)):
            session.no_news(resource, why)
            continue
        former = newest_body(ask.key) if ask.key in complete else None
        if former is not None and session.source.repeats(former, answer.body):
            session.tally.unchanged_parts += 1
            continue
        _publish(session, resource, cursor, ask, answer)


def _publish(session: Session, resource: Resource, cursor: Cursor, ask: Ask, answer: Answer) -> None:
    part = Part(resource.name, ask.key, f"{resource.name} {ask.key}", answer.retrieved_at)
    about = {
        "source": session.source.name,
        "resource": resource.name,
        "part": ask.key,
        "media": MEDIA_BODY,
        "url": answer.url,
        "etag": answer.version.etag,
        "last_modified": answer.version.last_modified,
        "retrieved_at": answer.retrieved_at,
    }
    payload = session.archive.put([answer.body], about)
    state = session.state_for(
        cursor,
        part,
        payload,
        published=(ask.published_at, API) if ask.published_at else (answer.version.last_modified, HTTP),
        retrieved_at=answer.retrieved_at,
        crc32=None,
        size=len(answer.body),
    )
    if state is not None:
        session.publish(cursor, part, state, payload, None)

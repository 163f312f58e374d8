"""Poll a zip: ask for its version, read its directory by range, fetch only the members that changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from foundation import clock
from foundation.errors import InvalidContent
from producers.archive import read_blocks
from producers.fetch.answers import SAMPLE_BYTES, Answer, InvalidAnswer, Version, refused
from producers.formats import zips
from producers.model import Cursor, Part, Resource
from producers.payloads import MEDIA_MEMBER
from producers.publication_clock import HTTP
from producers.session import Session
from schemas import choices
from schemas.choices import Choice

RUN_BYTES = 64 << 20
"""Neighbouring changed members are fetched in one request, up to this many bytes."""

Wanted = tuple[str, zips.Member]
"""(part key, member)"""


def poll(session: Session, resource: Resource) -> None:
    """Publish what is new in one zip. Raises: CorrentezaError."""
    cursor = session.cursor(resource)
    # If the file was read for a shorter history or another choice, some of its members were never read.
    is_read = cursor.read_since is not None and cursor.read_since <= session.span.first
    is_read = is_read and cursor.selected == session.selected
    etag, last_modified = (cursor.etag, cursor.last_modified) if is_read else (None, None)
    answer = session.client.ask(resource.path, etag=etag, last_modified=last_modified)
    if answer.status == 304 or session.source.is_no_news(answer.status, answer.body):
        session.no_news(cursor, f"status {answer.status}")
        session.tally.unchanged_parts += len(cursor.parts)
        return
    version = _version(session, answer)
    if why := is_old(cursor, version, is_read=is_read):
        session.no_news(cursor, why)
        session.tally.unchanged_parts += len(cursor.parts)
        return
    members = _directory(session, resource, version, answer)
    by_name = {member.name: member for member in members}
    assert session.source.select is not None
    chosen = session.source.select(resource, list(by_name), session.span)
    unread = sorted(name for name in by_name.keys() - set(chosen.values()) if name.lower().endswith(".csv"))
    session.tally.unread_members += unread
    chosen = _of_choice(choices.of(session.source.name), chosen)
    failed: list[str] = []
    changed = _changed(session, cursor, chosen, by_name, failed)
    session.tally.unchanged_parts += len(chosen) - len(changed) - len(failed)
    total, done = sum(_size(wanted) for wanted in changed), 0
    for run in runs(changed):
        _publish_run(session, resource, cursor, version, run=run, is_end=run[-1] == changed[-1], failed=failed)
        done += sum(map(_size, run))
        session.advance(done / total)
    if failed:
        raise InvalidContent(f"{resource.name}: {'; '.join(failed)[:500]}")
    if session.is_live:
        # No member changed, or the last one that did had been published before: no chunk has carried the validators,
        # and without them the directory would be read again at every poll.
        session.remember(cursor, **version.validators, read_since=session.span.first, selected=session.selected)


def _of_choice(choice: Choice, members: Mapping[str, str]) -> dict[str, str]:
    """Part key → name of the members that the settings chose: those that they name, if they name any; else all but
    those that they stop."""
    kept = choice.own.keys() - choice.stopped
    return {
        key: name
        for key, name in members.items()
        if key.partition(" ")[0] not in choice.stopped and (not kept or key.partition(" ")[0] in kept)
    }


def _size(wanted: Wanted) -> int:
    return wanted[1].end - wanted[1].start


def is_old(cursor: Cursor, version: Version, *, is_read: bool) -> str | None:
    """The reason if an answer of this version holds nothing new; else None.

    A cache on the way may give an older version than one seen before: publishing it would undo a revision.

    Args:
        is_read: whether the version that the cursor knows was read for all the history that is wanted.
    """
    clock, seen = version.last_modified, cursor.newest_clock(until=version.seen_at)
    # An edition's clock may be microseconds after its Last-Modified, so that two editions differ.
    if clock is not None and seen is not None and clock < seen.replace(microsecond=0):
        return f"stale: Last-Modified {clock:%Y-%m-%dT%H:%M:%SZ}, and {seen:%Y-%m-%dT%H:%M:%SZ} was seen"
    known = (cursor.etag, cursor.last_modified, cursor.content_length)
    if is_read and (version.etag or clock):
        return "same validators" if known == (version.etag, clock, version.length) else None
    return None


def runs(changed: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Runs of neighbouring members; a run ends at RUN_BYTES or at a gap."""
    run: list[Wanted] = []
    for wanted in changed:
        member = wanted[1]
        if run and (run[-1][1].end != member.start or member.end - run[0][1].start > RUN_BYTES):
            yield run
            run = []
        run.append(wanted)
    if run:
        yield run


def _version(session: Session, answer: Answer) -> Version:
    if answer.status == 206 and answer.version.length:
        return answer.version
    if answer.status != 200:
        raise refused(answer.url, answer.status)
    session.require_data(answer, "zip")
    raise InvalidContent(f"{answer.url}: the server does not support Range requests, and whole zips are not downloaded")


def _directory(session: Session, resource: Resource, version: Version, answer: Answer) -> list[zips.Member]:
    assert version.length is not None
    try:
        return zips.directory(
            zips.RangeFile(version.length, lambda start, end: session.client.fetch(resource.path, start, end, version))
        )
    except InvalidContent as error:
        sample = session.client.fetch(resource.path, 0, min(SAMPLE_BYTES, version.length), version)
        invalid = InvalidAnswer(
            f"{answer.url}: {error}",
            url=answer.url,
            status=answer.status,
            content_type=answer.content_type,
            sample=sample,
        )
        session.keep_invalid(invalid, answer.retrieved_at)
        raise invalid from error


def _changed(
    session: Session, cursor: Cursor, chosen: Mapping[str, str], by_name: Mapping[str, zips.Member], failed: list[str]
) -> list[Wanted]:
    """Members whose CRC or size changed, or that were not published completely, in file order.

    One that may not be read at all (a bomb, an unknown method) is named in `failed`; the others are published
    nevertheless.
    """
    found = []
    for key, name in chosen.items():
        member, state = by_name[name], session.known(cursor, key)
        if session.is_others_work(cursor, key):
            continue
        if state is None or not state.is_complete or (state.crc32, state.size) != (member.crc32, member.size):
            try:
                zips.check(member)
            except InvalidContent as error:
                failed.append(str(error))
            else:
                found.append((key, member))
    return sorted(found, key=lambda wanted: wanted[1].start)


@dataclass(frozen=True)
class _Fetched:
    """A downloaded run: the bytes from `start` on of the file at `path`, of one version."""

    path: str
    spool: Path
    start: int
    version: Version
    retrieved_at: datetime

    def span(self, member: zips.Member) -> Iterator[bytes]:
        """The member's own bytes."""
        return read_blocks(self.spool, member.start - self.start, member.end - member.start)


def _publish_run(
    session: Session,
    resource: Resource,
    cursor: Cursor,
    version: Version,
    *,
    run: Sequence[Wanted],
    is_end: bool,
    failed: list[str],
) -> None:
    start, end = run[0][1].start, run[-1][1].end
    with session.archive.spool(end - start) as spool:
        session.client.download(resource.path, (start, end), version, spool)
        spool.flush()
        fetched = _Fetched(resource.path, Path(spool.name), start, version, clock.now())
        for key, member in run:
            # A backfill reads only some members of a version, so it has not read the whole zip.
            is_all = session.is_live and is_end and (key, member) == run[-1] and not failed
            try:
                _publish_member(session, cursor, key, member, fetched=fetched, is_all=is_all)
            except InvalidContent as error:
                # One damaged or unreadable member must not hinder the others.
                failed.append(f"{member.name}: {error}")


def _publish_member(
    session: Session, cursor: Cursor, key: str, member: zips.Member, *, fetched: _Fetched, is_all: bool
) -> None:
    zips.verify(fetched.span(member), member)
    part = Part(cursor.resource, key, PurePosixPath(member.name).name, fetched.retrieved_at)
    version = fetched.version
    about = {
        "source": session.source.name,
        "resource": cursor.resource,
        "part": key,
        "media": MEDIA_MEMBER,
        "member": asdict(member),
        "url": session.client.address(fetched.path),
        "etag": version.etag,
        "last_modified": version.last_modified,
        "retrieved_at": fetched.retrieved_at,
    }
    payload = session.archive.put(fetched.span(member), about)
    edition = session.begin_edition(
        cursor,
        part,
        payload,
        published=(version.last_modified, HTTP),
        crc32=member.crc32,
        size=member.size,
        scope=session.source.scope(key, part.name),
    )
    if edition is None:
        session.tally.unchanged_parts += 1
    else:
        session.publish(cursor, edition, version if is_all else None)

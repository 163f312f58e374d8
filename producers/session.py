"""One running poll of one source: its state, and how a payload becomes committed chunks."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from foundation import log
from foundation.errors import InvalidContent, UnsafeState
from foundation.failpoints import failpoint
from producers import chunk as chunks
from producers import cursor as cursors
from producers import holdings
from producers.ahead import ahead
from producers.archive import Archive, Payload
from producers.editions import Chunks, Edition, Step
from producers.fetch.answers import Answer, InvalidAnswer, Version, sniff
from producers.fetch.http import Client
from producers.model import CHUNK_ROWS, Comparison, Cursor, Holding, Part, PartState, Resource, Source, Span
from producers.publish import Publisher
from producers.scope import Scope
from producers.withdrawals import Comparing
from schemas import choices

ABANDONED_AFTER = timedelta(days=7)


class StoppedError(Exception):
    """The poll was told to stop. Everything committed so far stays, and the next poll continues from there."""


@dataclass
class Tally:
    """What one poll did.

    Attributes:
        parts: parts of which something was published; unchanged_parts: read and found unchanged.
        share: how much of the work is done, 0 to 1; every resource counts as much as another.
        withdrawn, held: keys that the new editions no longer hold; held ones wait for a person's decision.
        unread_members: CSV members of zips that no part is made of, by name.
        failed: resources that failed, by name.
        has_answered: whether all resources were polled and at least one of them answered; then only the failed ones
            have a problem.
        problems: errors of single resources, in words.
        received: bytes that the source sent.
    """

    rows: int = 0
    rejects: int = 0
    withdrawn: int = 0
    held: int = 0
    chunks: int = 0
    parts: int = 0
    unchanged_parts: int = 0
    share: float = 0.0
    unread_members: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    has_answered: bool = False
    problems: list[str] = field(default_factory=list)
    received: int = 0


@dataclass
class Session:
    """Everything a poll of one source works with; `cursors` always equals what is committed.

    The live schedule and a backfill publish the same source side by side, each under its own name: `owner`. They
    own different days, but each also skips a part that the other one published or has begun, because the day between
        them is a setting that may have changed.

    Attributes:
        owner: the source's own name for the live schedule; owner of the cursors and transactions.
        others: the other owner's cursors by resource, as they were when this poll began.
        on_chunk: called when something was committed, or a step is done.
    """

    source: Source
    owner: str
    slot_id: str
    today: date
    span: Span
    client: Client
    archive: Archive
    publisher: Publisher
    schema_ids: dict[str, int]
    cursors: dict[str, Cursor]
    others: dict[str, Cursor]
    is_stopping: Callable[[], bool] = lambda: False
    on_chunk: Callable[[Tally], None] = lambda tally: None
    chunk_rows: int = CHUNK_ROWS
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._log = log.get_logger("producers")
        self._place = (0, 1)

    @property
    def _chunks(self) -> Chunks:
        return Chunks(self.source, self.slot_id, self.schema_ids, self.chunk_rows, self.archive.get)

    @property
    def is_live(self) -> bool:
        """Whether this is the live schedule's poll, and not a backfill."""
        return self.owner == self.source.name

    @property
    def selected(self) -> str | None:
        """Which members of its zips the settings choose, as a cursor notes it; None for all."""
        choice = choices.of(self.source.name)
        if self.source.kind != "zip" or not (choice.own or choice.stopped):
            return None
        return json.dumps([sorted(choice.own.keys() - choice.stopped), sorted(choice.stopped)])

    def cursor(self, resource: Resource) -> Cursor:
        """The resource's committed cursor, empty at first."""
        return self.cursors.setdefault(resource.name, Cursor(self.owner, resource.name))

    def known(self, cursor: Cursor, key: str) -> PartState | None:
        """The newest state of a part, of either owner."""
        other = self.others.get(cursor.resource)
        states = (cursor.parts.get(key), other.parts.get(key) if other else None)
        return max((state for state in states if state), key=lambda state: state.edition, default=None)

    def covered(self, cursor: Cursor) -> frozenset[str]:
        """Keys of the parts that need no first publication: completely published, or begun by the other owner."""
        other = self.others.get(cursor.resource)
        own = {key for key, state in cursor.parts.items() if state.is_complete}
        theirs = {key for key, state in other.parts.items() if not self._is_abandoned(state)} if other else set()
        return frozenset(own | theirs)

    def _is_abandoned(self, state: PartState) -> bool:
        """Whether a part was begun so long ago that it will probably never be finished."""
        return not state.is_complete and self.today - state.retrieved_at.date() > ABANDONED_AFTER

    def is_others_work(self, cursor: Cursor, key: str) -> bool:
        """Whether the other owner has begun a part and not finished it. The other owner will continue it.

        An abandoned backfill does not block its days forever: after ABANDONED_AFTER either owner may fetch them.
        """
        state = self.known(cursor, key)
        if state is None or state.is_complete or state is cursor.parts.get(key):
            return False
        return not self._is_abandoned(state)

    def _was_taken_over(self, cursor: Cursor, key: str) -> bool:
        """Whether the other owner has continued a part that this one had published partly."""
        other = self.others.get(cursor.resource)
        theirs = other.parts.get(key) if other else None
        own = cursor.parts[key]
        return theirs is not None and (theirs.edition, theirs.next_row) > (own.edition, own.next_row)

    def begin(self, number: int, count: int) -> None:
        """Note that the work on resource `number` (from 0) of `count` begins."""
        self._place = (number, count)
        self.advance(0.0)

    def advance(self, share: float) -> None:
        """Note that this share of the resource's work, 0 to 1, is done."""
        number, count = self._place
        self.tally.share = (number + share) / count
        self.on_chunk(self.tally)

    def begin_edition(
        self,
        cursor: Cursor,
        part: Part,
        payload: Payload,
        *,
        published: tuple[datetime | None, str],
        crc32: int | None,
        size: int,
        scope: Scope | None,
    ) -> Edition | None:
        """The edition for publishing this payload as this part; None if it is published already.

        Args:
            published: the payload's publication clock, UTC, if it has one, and the basis of the clock.
            scope: what the payload states in full.
        """
        old = self.known(cursor, part.key)
        if old is not None and old.payload_sha256 == payload.sha256:
            # If a payload is fetched twice, the parser gets the time of the first fetch, as in the records published so
            # far.
            part = replace(part, retrieved_at=old.retrieved_at)
            return None if old.is_complete else Edition(part, old, cursor.comparisons.get(part.key), payload)
        former = self._former(cursor, part.key, old, scope) if scope else []
        state = PartState(
            name=part.name,
            payload_sha256=payload.sha256,
            edition=old.edition + 1 if old else 1,
            next_row=0,
            is_complete=False,
            # A part that was partly published from another payload is not a first edition: its clock is measured.
            first_edition_assumed=old is None,
            retrieved_at=part.retrieved_at,
            published_at=published[0],
            published_at_basis=published[1] if published[0] else None,
            crc32=crc32,
            size=size,
        )
        before = [each.known_from for each in former] + ([old.known_from] if old else [])
        state = self._after(state, max(before, default=None))
        comparison = Comparison(scope.text, former) if scope else None
        return Edition(replace(part, retrieved_at=state.retrieved_at), state, comparison, payload)

    def takes_away(self, cursor: Cursor, part: Part, body: bytes, scope: Scope) -> bool:
        """Whether a body lacks a key that the newest editions of its scope hold. Raises: InvalidContent."""
        comparison = Comparison(scope.text, holdings.former(cursor.holdings, scope))
        comparing = Comparing(self.source, cursor.resource, comparison, self.archive.get)
        comparing.see_parsed(self.source.parse([body], part))
        return comparing.takes_away()

    def _former(self, cursor: Cursor, key: str, old: PartState | None, scope: Scope) -> list[Holding]:
        """The holdings that stated a part of the scope, of either owner."""
        other = self.others.get(cursor.resource)
        found = list(cursor.holdings)
        for theirs in other.holdings if other else []:
            rest: Scope | None = Scope.of(theirs.scope)
            for own in cursor.holdings:
                rest = rest.without(Scope.of(own.scope)) if rest else None
            if rest:
                found.append(replace(theirs, scope=rest.text))
        # An edition that was published partly, or one whose withdrawals are still held.
        comparison, is_half = cursor.comparisons.get(key), old is not None and not old.is_complete
        if comparison is not None and (is_half or comparison.held):
            found += comparison.former
            if old is not None and is_half:
                found.append(holdings.of(key, old, comparison.scope, next_row=old.next_row))
        return list(dict.fromkeys(holdings.former(found, scope)))

    def _after(self, state: PartState, before: datetime | None) -> PartState:
        """The edition with a clock that is later than the clocks of all earlier editions.

        Otherwise values with a clock in the future would stay current although a later edition corrects them, and two
        editions with the same clock would contradict each other.
        """
        if before is None or state.known_from > before:
            return state
        clock = before + timedelta(microseconds=1)
        self._log.warning(
            "clock_moved_on", source=self.source.name, part=state.name, clock=state.known_from, moved_to=clock
        )
        if state.published_at is not None:
            return replace(state, published_at=clock)
        return replace(state, retrieved_at=clock)

    def publish(self, cursor: Cursor, edition: Edition, read: Version | None) -> None:
        """Publish the rest of an archived payload, chunk by chunk.

        Args:
            read: the resource's version, if this part is the last one of it.

        Raises: InvalidContent when it is not what the parser reads; StoppedError; what the publisher raises.
        """
        failpoint("after_fetch")
        for step in ahead(self._chunks.of(edition)):
            self._commit(cursor, edition.part.key, step, read if step.is_last else None)
            if self.is_stopping():
                raise StoppedError
        self.tally.parts += 1
        self.tally.held += cursor.held(edition.part.key)

    def accept(self, cursor: Cursor, key: str) -> int:
        """Publish the held withdrawals of a part; returns how many.

        After a kill a second call continues.

        Raises: UnsafeState when the edition's own payload is gone, so that its keys are unknown.
        """
        withdrawn = 0
        for step in self._chunks.accepted(self._published(cursor, key)):
            self._commit(cursor, key, step, None)
            withdrawn = step.withdrawn
        return withdrawn

    def discard(self, cursor: Cursor, key: str) -> int:
        """Keep the keys whose withdrawals are held; returns how many there were. Raises: as `accept`."""
        held = cursor.held(key)
        self._commit(cursor, key, self._chunks.discarded(self._published(cursor, key)), None)
        return held

    def reparse(self, cursor: Cursor, key: str) -> None:
        """Publish a part again from its archived payload with today's parser: an edition with the same clock.

        Raises: UnsafeState when the payload is gone; InvalidContent; what the publisher raises.
        """
        former = self._published(cursor, key)
        state = replace(former.state, edition=former.state.edition + 1, next_row=0, is_complete=False)
        self.publish(cursor, replace(former, state=state), None)

    def _published(self, cursor: Cursor, key: str) -> Edition:
        """The published edition of a part."""
        state = cursor.parts[key]
        payload = self.archive.get(state.payload_sha256)
        if payload is None:
            raise UnsafeState(
                f"the archive no longer holds the payload of {state.name} ({state.payload_sha256})",
                hint="wait for the source's next edition",
            )
        part = Part(cursor.resource, key, state.name, state.retrieved_at)
        return Edition(part, state, cursor.comparisons.get(key), payload)

    def _commit(self, cursor: Cursor, key: str, step: Step, read: Version | None) -> None:
        """Commit one chunk and the cursor after it."""
        built = step.chunk
        after = replace(
            cursor,
            parts={**cursor.parts, key: step.state},
            comparisons={**cursor.comparisons},
            last_chunk_id=built.chunk_id,
            last_slot_id=self.slot_id,
        )
        if step.comparison is not None:
            after.comparisons[key] = step.comparison
            if step.is_last:
                new = holdings.of(key, step.state, step.comparison.scope)
                after = replace(after, holdings=holdings.after(cursor.holdings, new, len(after.parts)))
                if not step.must_remember:
                    del after.comparisons[key]
        if read is not None:
            after = replace(after, **read.validators, read_since=self.span.first, selected=self.selected)
        self.publisher.publish(built, cursors.message(after, self.schema_ids[chunks.CURSORS]))
        # Only now: the cursor in memory must never be ahead of the committed one.
        cursor.__dict__.update(after.__dict__)
        self.tally.rows += built.rows
        self.tally.rejects += built.rejects
        self.tally.withdrawn += built.withdrawn
        self.tally.chunks += 1
        self.on_chunk(self.tally)

    def remember(self, cursor: Cursor, **learnt: Any) -> None:
        """Commit fields of the cursor without rows, unless they are known already."""
        after = replace(cursor, **learnt)
        if after != cursor:
            self.publisher.remember(cursors.message(after, self.schema_ids[chunks.CURSORS]))
            cursor.__dict__.update(after.__dict__)

    def finish_started(self) -> None:
        """Publish the rest of every part that this owner published partly, from the archive only."""
        for cursor in self.others.values():
            for state in cursor.parts.values():
                if not state.is_complete:
                    self._log.info("part_left_to_owner", owner=cursor.source, part=state.name, row=state.next_row)
        for cursor in list(self.cursors.values()):
            for key, state in list(cursor.parts.items()):
                is_done = state.is_complete or self._was_taken_over(cursor, key)
                payload = None if is_done else self.archive.get(state.payload_sha256)
                if payload is not None:
                    self._log.info("part_resumed", source=self.source.name, part=state.name, row=state.next_row)
                    part = Part(cursor.resource, key, state.name, state.retrieved_at)
                    try:
                        self.publish(cursor, Edition(part, state, cursor.comparisons.get(key), payload), None)
                    except InvalidContent as error:
                        # A parser that became stricter must not block the source.
                        self.tally.problems.append(f"{state.name}, resumed at row {state.next_row}: {error}")

    def require_data(self, answer: Answer, media: str) -> None:
        """Refuse an answer that is not data, and keep a sample of it. Raises: InvalidAnswer."""
        try:
            sniff(answer, media)
        except InvalidAnswer as error:
            self.keep_invalid(error, answer.retrieved_at)
            raise

    def keep_invalid(self, error: InvalidAnswer, retrieved_at: datetime) -> None:
        """Keep a bounded sample of an answer that is not data."""
        sample = self.archive.put_invalid(error.sample, {**error.about, "source": self.source.name}, retrieved_at)
        self._log.warning("source_invalid", source=self.source.name, verdict=str(error), sample=sample.name)

    def no_news(self, cursor: Cursor, why: str) -> None:
        """One resource had nothing new."""
        self._log.debug("resource_unchanged", source=self.source.name, resource=cursor.resource, why=why)

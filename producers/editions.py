"""One edition of a part as chunks: an archived payload, parsed, encoded, and compared with what it follows.

payload ──► parse ──► rows and rejects, a chunk at a time ──► the last one, with what is withdrawn ──► more withdrawals
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from foundation import log
from foundation.errors import InvalidContent
from producers import chunk as chunks
from producers import payloads
from producers.archive import Payload
from producers.model import Comparison, Parsed, Part, PartState, Source
from producers.scope import Scope
from producers.withdrawals import NOTHING, Comparing, Withdrawn
from schemas.contracts import Contract

BAD_SHARE = 0.5
"""If a larger share of a part's first chunk is rejected, nothing of it is published: the parser is probably wrong."""


@dataclass(frozen=True)
class Edition:
    """An archived payload that is published as a part.

    Attributes:
        state: how far it was published.
        comparison: with the payloads that stated its keys before; None if it states no scope.
    """

    part: Part
    state: PartState
    comparison: Comparison | None
    payload: Payload


@dataclass(frozen=True)
class Step:
    """One chunk to commit, and the state of the part after it."""

    chunk: chunks.Chunk
    state: PartState
    comparison: Comparison | None

    @property
    def is_last(self) -> bool:
        """Whether the edition is complete with it."""
        return self.state.is_complete

    @property
    def withdrawn(self) -> int:
        """Withdrawals of the edition up to here."""
        return self.comparison.withdrawn if self.comparison else 0

    @property
    def must_remember(self) -> bool:
        """Whether to keep the comparison after the edition: a decision is due, or it tells which days had been stated
        before."""
        if self.comparison is None:
            return False
        return bool(self.comparison.held or (self.state.first_edition_assumed and self.comparison.former))


@dataclass(frozen=True)
class Chunks:
    """Makes the chunks of one source's editions.

    Attributes:
        payload_of: SHA-256 → the archived payload, None when it is gone.
        contracts: of datasets that are not encoded by today's contract.
    """

    source: Source
    slot_id: str
    schema_ids: Mapping[str, int]
    chunk_rows: int
    payload_of: Callable[[str], Payload | None]
    contracts: Mapping[str, Contract] = field(default_factory=dict)

    def of(self, edition: Edition) -> Iterator[Step]:
        """The remaining chunks, each with the state after it. Raises: InvalidContent."""
        part, state, comparison, payload = edition.part, edition.state, edition.comparison, edition.payload
        comparing = None
        if comparison and comparison.former:
            comparing = Comparing(self.source, part.resource, comparison, self.payload_of)
        former = [Scope.of(each.scope) for each in comparison.former] if comparison else []
        if comparing and state.next_row:
            comparing.see_again(part, payload, state.next_row)
        parsed = payloads.parsed(self.source, payload, part, first_row=state.next_row, chunk_rows=self.chunk_rows)
        noted: set[str] = set()
        for each, is_end in with_last(parsed):
            for note in set(each.notes) - noted:
                log.get_logger("producers").warning(
                    "part_format_changed", source=self.source.name, part=part.name, note=note
                )
                noted.add(note)
            rows = chunks.rows(
                self.source, part, state, each, schema_ids=self.schema_ids, former=former, contracts=self.contracts
            )
            before, state = state, replace(state, name=part.name, next_row=each.next_row)
            if not before.next_row and len(rows.rejects) > BAD_SHARE * (len(rows.rejects) + rows.count):
                raise InvalidContent(_unreadable(part, rows), hint="fix the parser; the payload is archived")
            if comparing:
                comparing.see(each.records, rows.keys(), len(rows.rejects))
            if not is_end:
                taken = chunks.Taken({}, scope=comparison.scope if comparison else None)
                yield Step(self._seal(edition, before, rows, taken, each.first_row, is_last=False), state, comparison)
            else:
                found = comparing.withdrawn() if comparing else NOTHING
                yield from self._last_steps(edition, before, rows, found, each)

    def _last_steps(
        self, edition: Edition, before: PartState, rows: chunks.Rows, found: Withdrawn, parsed: Parsed
    ) -> Iterator[Step]:
        """The last chunk of rows, with as many withdrawals as a chunk may have rows, and chunks of the others."""
        comparison, held = edition.comparison, 0
        if found.why_held:
            log.get_logger("producers").warning(
                "withdrawals_held",
                source=self.source.name,
                part=edition.part.name,
                rows=found.rows,
                why=found.why_held,
                hint="correnteza withdrawals list",
            )
            held = found.rows
            found = replace(found, keys={})
        first, first_row = comparison.withdrawn if comparison else 0, parsed.first_row
        if first:
            rows = self._without_rows(edition, first)  # all rows were published before: continue with the withdrawals
        state = replace(before, name=edition.part.name, next_row=parsed.next_row)
        while True:
            taken = self._taken(comparison, found, first, held=held)
            first += taken.rows
            is_last = first >= found.rows
            state = replace(state, is_complete=is_last)
            if comparison is not None:
                comparison = replace(comparison, withdrawn=first, held=held)
            yield Step(self._seal(edition, before, rows, taken, first_row, is_last=is_last), state, comparison)
            if is_last:
                return
            rows, first_row = self._without_rows(edition, first), parsed.next_row

    def _taken(self, comparison: Comparison | None, found: Withdrawn, first: int, *, held: int) -> chunks.Taken:
        """The withdrawals from number `first` on, as many as fit into one chunk."""
        keys = found.slices(first, self.chunk_rows)
        is_last = first + sum(batch.num_rows for batch in keys.values()) >= found.rows
        return chunks.Taken(
            keys,
            first,
            held=held if is_last else None,
            is_unknown=found.is_unknown,
            scope=comparison.scope if comparison else None,
        )

    def accepted(self, edition: Edition) -> Iterator[Step]:
        """Chunks of the held withdrawals of an edition that is published."""
        comparison, state = edition.comparison, edition.state
        assert comparison is not None
        comparing = Comparing(self.source, edition.part.resource, comparison, self.payload_of)
        comparing.see_again(edition.part, edition.payload)
        found, first = comparing.withdrawn(), comparison.withdrawn
        while True:
            taken = self._taken(comparison, found, first, held=0)
            rows = self._without_rows(edition, first)
            first += taken.rows
            comparison = replace(comparison, withdrawn=first, held=max(0, found.rows - first))
            yield Step(self._seal(edition, state, rows, taken, state.next_row, is_last=False), state, comparison)
            if first >= found.rows:
                return

    def discarded(self, edition: Edition) -> Step:
        """A chunk that marks the withdrawals of an edition as unknown, so that the held keys stay."""
        comparison, state = edition.comparison, edition.state
        assert comparison is not None
        taken = chunks.Taken({}, is_unknown=True, scope=comparison.scope)
        rows = self._without_rows(edition, -1)
        sealed = self._seal(edition, state, rows, taken, state.next_row, is_last=False)
        return Step(sealed, state, replace(comparison, held=0))

    def _without_rows(self, edition: Edition, first: int) -> chunks.Rows:
        return chunks.Rows(chunks.withdrawals_id(self.source.name, edition.part, edition.state, first), {}, [])

    def _seal(
        self,
        edition: Edition,
        state: PartState,
        rows: chunks.Rows,
        taken: chunks.Taken,
        first_row: int,
        *,
        is_last: bool,
    ) -> chunks.Chunk:
        return chunks.seal(
            self.source,
            edition.part,
            state,
            rows,
            taken,
            first_row=first_row,
            is_last=is_last,
            slot_id=self.slot_id,
            payload_bytes=edition.payload.size,
            schema_ids=self.schema_ids,
        )


def _unreadable(part: Part, rows: chunks.Rows) -> str:
    reasons = Counter(f"{each.reason}: {each.detail}" for each in rows.rejects)
    ((why, times),) = reasons.most_common(1)
    total = len(rows.rejects) + rows.count
    return (
        f"{part.name} is held: {len(rows.rejects)} of its first {total} rows are rejected, {times} of them with {why}"
    )


def with_last(items: Iterator[Parsed]) -> Iterator[tuple[Parsed, bool]]:
    """Each item, and whether it is the last one."""
    current = next(items, None)
    while current is not None:
        item, current = current, next(items, None)
        yield item, current is None

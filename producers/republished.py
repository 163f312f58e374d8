"""Rebuild published chunks from the archive: with the same code, clocks, editions and schemas.

A manifest names payload, part, edition and clock of its chunk, counts its rows, and holds a hash over all of them. The
rest follows from the manifests before it: which days an earlier edition had stated, and so which rows were not new
history and which keys were withdrawn. If there are two possibilities, both are tried. The hash decides: a chunk is
returned only if it is byte for byte what was published. Nothing here publishes anything.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from foundation.errors import CorrentezaError
from foundation.rowhash import format_hash, row_hash
from producers import holdings
from producers.archive import Archive
from producers.chunk import WITHDRAWALS
from producers.editions import Chunks, Edition, Step
from producers.encode import Message
from producers.model import CHUNK_ROWS, Comparison, Holding, Part, PartState, Source
from producers.publication_clock import API, HTTP
from producers.scope import Scope
from schemas.contracts import Contract

Manifest = Mapping[str, Any]
"""The fields of a manifest."""


@dataclass(frozen=True)
class RepublishedChunk:
    """One wanted chunk.

    Attributes:
        messages: contract → (key, value), of everything but the manifest; empty if the chunk cannot be rebuilt.
        problem: why it cannot be rebuilt; None if it can.
    """

    manifest: Manifest
    messages: Mapping[str, Sequence[Message]]
    problem: str | None = None


@dataclass
class _Editions:
    """The state of one resource's cursor at some manifest."""

    holdings: list[Holding] = field(default_factory=list)
    states: dict[str, PartState] = field(default_factory=dict)
    comparisons: dict[str, Comparison | None] = field(default_factory=dict)

    def begin(self, first: Manifest) -> Comparison | None:
        """The comparison of the edition that begins with this manifest."""
        if first["scope"] is None:
            return None
        key, found = first["part_key"], list(self.holdings)
        before, old = self.comparisons.get(key), self.states.get(key)
        if before is not None and old is not None and not old.is_complete:
            found += [*before.former, holdings.of(key, old, before.scope, next_row=old.next_row)]
        elif before is not None and before.held:
            found += before.former
        former = holdings.former(found, Scope.of(first["scope"]))
        return Comparison(first["scope"], list(dict.fromkeys(former)))

    def end(self, manifests: Sequence[Manifest], state: PartState, comparison: Comparison | None) -> None:
        """Record that the edition was published."""
        key, last = manifests[0]["part_key"], manifests[-1]
        is_complete = any(each["is_last_of_part"] for each in manifests)
        next_row = last["first_row"] + max(last["rows_published"] + last["rows_rejected"], 1)
        self.states[key] = replace(state, is_complete=is_complete, next_row=next_row)
        held = max((each["withdrawals_held"] or 0 for each in manifests), default=0)
        self.comparisons[key] = comparison and replace(comparison, held=held)
        if is_complete and comparison is not None:
            new = holdings.of(key, state, comparison.scope)
            self.holdings = holdings.after(self.holdings, new, len(self.states))


@dataclass(frozen=True)
class Erased:
    """What was erased of a chunk, of all that its manifest counts.

    Attributes:
        rows, rejects, withdrawals: how many.
        row_hash: the sum over rows and withdrawals.
    """

    rows: int = 0
    rejects: int = 0
    withdrawals: int = 0
    row_hash: int = 0


NOTHING_ERASED = Erased()


@dataclass(frozen=True)
class Republished:
    """Rebuilds chunks of the sources.

    Attributes:
        source_of: name → source.
        contract_of: (contract's name, registry id) → the contract with which records of this id were written.
        schema_ids: today's ids of the bookkeeping contracts, which manifests do not name.
        withdrawn: chunk → how many withdrawals of it are known, and the sum of their row hashes. They prove the rows of
            an edition if the payloads that it was compared with are gone.
        erased: chunk → what was erased of it. A chunk is refused if its payload gives back what was erased.
    """

    archive: Archive
    source_of: Callable[[str], Source]
    contract_of: Callable[[str, int], Contract]
    schema_ids: Mapping[str, int]
    withdrawn: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    erased: Mapping[str, Erased] = field(default_factory=dict)

    def chunks(self, manifests: Iterable[Manifest], wanted: frozenset[str]) -> Iterator[RepublishedChunk]:
        """Every wanted chunk once, or the reason why it cannot be rebuilt.

        Args: manifests: all of these sources, in the order in which they were published. wanted: chunk ids.
        """
        of_resource: dict[tuple[str, str | None], dict[tuple[str, int], list[Manifest]]] = defaultdict(dict)
        for each in manifests:
            editions = of_resource[each["source"], each["resource"]]
            editions.setdefault((each["part_key"], each["edition"]), []).append(each)
        for (name, resource), editions in of_resource.items():
            seen = _Editions()
            for of_edition in editions.values():
                lacking = [each for each in of_edition if each["chunk_id"] in wanted]
                if resource is None or of_edition[0]["edition"] is None:
                    yield from _refused(lacking, "its manifest is of a release that noted no resource and no edition")
                    continue
                state, comparison = _state(of_edition[0]), seen.begin(of_edition[0])
                if lacking:
                    yield from self._of_edition(self.source_of(name), of_edition, lacking, comparison)
                seen.end(of_edition, state, comparison)

    def _of_edition(
        self, source: Source, manifests: Sequence[Manifest], lacking: Sequence[Manifest], comparison: Comparison | None
    ) -> Iterator[RepublishedChunk]:
        first = manifests[0]
        payload = self.archive.get(first["payload_sha256"])
        if payload is None:
            yield from _refused(lacking, f"the archive does not hold its payload {first['payload_sha256']}")
            return
        left = {each["chunk_id"]: each for each in lacking}
        problem = "its payload does not give it"
        for state in _states(first):
            part = Part(first["resource"], first["part_key"], first["part"], state.retrieved_at)
            edition = Edition(part, state, comparison, payload)
            try:
                for step in self._steps(source, manifests, edition):
                    manifest = left.get(step.chunk.chunk_id)
                    if manifest is None:
                        continue
                    messages = self._proved(step, manifest)
                    if messages is None:
                        problem = "parsed again it is not what was published: its hash or its counts are others"
                        break
                    del left[step.chunk.chunk_id]
                    yield RepublishedChunk(manifest, messages)
            except CorrentezaError as error:
                problem = f"its payload cannot be read again: {error}"
            if not left:
                return
        yield from _refused(left.values(), problem)

    def _proved(self, step: Step, manifest: Manifest) -> Mapping[str, Sequence[Message]] | None:
        """The messages of a chunk; None unless counts and hash of the manifest prove that they are what was
        published."""
        made, gone = step.chunk, self.erased.get(step.chunk.chunk_id, NOTHING_ERASED)
        counts = (made.rows + gone.rows, made.rejects + gone.rejects)
        if counts != (manifest["rows_published"], manifest["rows_rejected"]):
            return None
        if format_hash(int(made.row_hash, 16) + gone.row_hash) == manifest["row_hash"]:
            return made.messages
        rows, total = self.withdrawn.get(made.chunk_id, (0, 0))
        of_rows = {name: each for name, each in made.messages.items() if name != WITHDRAWALS}
        counted = (each for name, each in of_rows.items() if name in manifest["datasets"])
        total += gone.row_hash + sum(row_hash(key, value) for each in counted for key, value in each)
        is_proved = (
            rows + gone.withdrawals == manifest["datasets"].get(WITHDRAWALS, 0)
            and format_hash(total) == manifest["row_hash"]
        )
        return of_rows if is_proved else None

    def _steps(self, source: Source, manifests: Sequence[Manifest], edition: Edition) -> Iterator[Step]:
        """The chunks of an edition, followed by those of withdrawals that were held at first."""
        ids = {**self.schema_ids, **{name: id_ for each in manifests for name, id_ in each["schema_ids"].items()}}
        missing = {name: 0 for name in source.datasets if name not in ids}  # for which the edition has no record
        contracts = {name: self.contract_of(name, ids[name]) for name in source.datasets if name in ids}
        made = Chunks(source, "", {**missing, **ids}, _chunk_rows(manifests), self.archive.get, contracts=contracts)
        step = None
        for step in made.of(edition):
            yield step
        if step is not None and step.comparison is not None and step.comparison.held:
            yield from made.accepted(replace(edition, state=step.state, comparison=step.comparison))


def _refused(manifests: Iterable[Manifest], problem: str) -> Iterator[RepublishedChunk]:
    return (RepublishedChunk(each, {}, problem) for each in manifests)


def _state(first: Manifest) -> PartState:
    """The state of a part when the edition of this manifest began, as far as the manifest shows."""
    return PartState(
        name=first["part"],
        payload_sha256=first["payload_sha256"],
        edition=first["edition"],
        next_row=0,
        is_complete=False,
        first_edition_assumed=first["edition"] == 1,
        retrieved_at=first["retrieved_at"],
        published_at=first["published_at"],
        published_at_basis=HTTP if first["published_at"] else None,
    )


def _states(first: Manifest) -> Iterator[PartState]:
    """This state and other possible ones: for example, a reparse keeps the assumption of a first edition."""
    likely = _state(first)
    bases = (HTTP, API) if first["published_at"] else (None,)
    for is_first, basis in product((likely.first_edition_assumed, not likely.first_edition_assumed), bases):
        yield replace(likely, first_edition_assumed=is_first, published_at_basis=basis)


def _chunk_rows(manifests: Sequence[Manifest]) -> int:
    """How many source rows a chunk of the edition had: the setting may have been different then."""
    rows = sorted({each["first_row"] for each in manifests})
    return rows[1] - rows[0] if len(rows) > 1 else CHUNK_ROWS

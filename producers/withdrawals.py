"""Which keys an edition no longer holds: its payload is compared with those that stated the same scope before.

Both sides are sets of 64-bit hashes of keys, 8 bytes a key: five million keys are 40 MB. Of the former payloads only
the rows within the scope count. The former set may hold too much (a key that another edition withdrew already): a
withdrawal of what is not there says nothing. It must not hold too little, and where a former payload is gone or no
longer parses, that is said: `is_unknown`. Two keys with one hash would hide a withdrawal; among five million that
happens once in a million editions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from foundation.errors import InvalidContent
from producers import encode, payloads
from producers.archive import Payload
from producers.model import Comparison, Holding, Parsed, Part, Source
from producers.scope import Scope
from schemas.contracts import load

FEW_ROWS = 100
"""An edition that is shorter by up to so many keys is accepted, whatever their share."""

PARTS = 32
"""Two sets are compared in so many parts, a power of two."""


@dataclass
class Keys:
    """Hashes of the keys that were seen, per dataset, and how many records and rejects that was."""

    rows: int = 0
    rejects: int = 0
    _hashes: dict[str, list[pa.Array]] = field(default_factory=lambda: defaultdict(list))

    def add(self, dataset: str, keys: Sequence[bytes]) -> None:
        """Keys of one dataset; a key may be added twice."""
        self._hashes[dataset].append(_hashes(dataset, keys))

    def distinct(self) -> int:
        """How many different keys were seen."""
        return sum(len(pc.unique(part)) for dataset in self._hashes for part in _parts(self._of(dataset)))

    def missing_in(self, other: "Keys") -> dict[str, pa.Array]:
        """Per dataset the hashes that the other has not seen, each once; datasets without any are left out."""
        found = {}
        for dataset in sorted(self._hashes):
            gone = []
            for mine, theirs in zip(_parts(self._of(dataset)), _parts(other._of(dataset)), strict=True):
                keys = pc.unique(mine)
                gone.append(keys.filter(pc.invert(pc.is_in(keys, value_set=theirs))))
            if any(map(len, gone)):
                found[dataset] = pa.concat_arrays(gone)
        return found

    def _of(self, dataset: str) -> pa.Array:
        return pa.concat_arrays([pa.array([], pa.uint64()), *self._hashes.get(dataset, [])])


def _parts(hashes: pa.Array) -> Iterator[pa.Array]:
    """The hashes in PARTS parts, by their last bits: a hash table of millions of them costs some hundred bytes each."""
    last_bits = pc.bit_wise_and(hashes, pa.scalar(PARTS - 1, pa.uint64()))
    for number in range(PARTS):
        yield hashes.filter(pc.equal(last_bits, pa.scalar(number, pa.uint64())))


def _keys(dataset: str, records: pa.RecordBatch) -> list[bytes]:
    columns = dict(zip(records.schema.names, records.columns, strict=True))
    return encode.keys(load(dataset), columns, records.num_rows) if records.num_rows else []


def _hashes(dataset: str, keys: Sequence[bytes]) -> pa.Array:
    seed = xxhash.xxh64_intdigest(dataset.encode())
    return pa.array([xxhash.xxh64_intdigest(key, seed) for key in keys], pa.uint64())


@dataclass(frozen=True)
class Withdrawn:
    """The withdrawals of an edition.

    Attributes:
        keys: dataset → the key columns of what it no longer holds, in the order of their message keys.
        is_unknown: whether a former payload could not be read, so that there may be more.
        why_held: why a person must decide; None when the edition is accepted.
    """

    keys: Mapping[str, pa.Table]
    is_unknown: bool
    why_held: str | None

    @property
    def rows(self) -> int:
        """Keys of all datasets."""
        return sum(table.num_rows for table in self.keys.values())

    def slices(self, first: int, rows: int) -> dict[str, pa.RecordBatch]:
        """The keys from the place `first` on, at most `rows` of them."""
        found = {}
        for dataset, table in self.keys.items():
            piece = table.slice(max(0, first), max(0, rows)) if first < table.num_rows else table.slice(0, 0)
            first, rows = max(0, first - table.num_rows), rows - piece.num_rows
            if piece.num_rows:
                found[dataset] = piece.combine_chunks().to_batches()[0]
        return found


NOTHING = Withdrawn({}, is_unknown=False, why_held=None)


class Comparing:
    """Compares one edition with its former payloads."""

    def __init__(
        self,
        source: Source,
        resource: str,
        comparison: Comparison,
        payload_of: Callable[[str], Payload | None],
    ) -> None:
        """Args: resource: of the edition, and of its former payloads. Another one may have answered the same bytes,
        and the archive keeps them once. payload_of: SHA-256 → the archived payload, None when it is gone."""
        self._source, self._resource, self._comparison = source, resource, comparison
        self._payload_of = payload_of
        self._scope = Scope.of(comparison.scope)
        self._held = Keys()

    def see(self, records: Mapping[str, pa.RecordBatch], keys: Mapping[str, Sequence[bytes]], rejects: int) -> None:
        """Rows of the edition itself."""
        self._held.rejects += rejects
        for dataset in self._scope.datasets:
            if dataset in records:
                self._held.rows += pc.sum(self._scope.holds(self._source.days[dataset](records[dataset]))).as_py() or 0
                self._held.add(dataset, keys[dataset])

    def see_again(self, part: Part, payload: Payload, until_row: int | None = None) -> None:
        """The rows of the edition that an earlier poll published, up to a row of the source. Raises: InvalidContent."""
        self.see_parsed(self._parsed(part, payload, until_row))

    def see_parsed(self, parsed: Iterable[Parsed]) -> None:
        """Rows of the edition that were not encoded. Raises: InvalidContent."""
        for each in parsed:
            keys = {dataset: _keys(dataset, records) for dataset, records in each.records.items()}
            self.see(each.records, keys, len(each.rejects))

    def withdrawn(self) -> Withdrawn:
        """What is withdrawn, once every row of the edition was seen."""
        before, readable = self._before()
        is_unknown = len(readable) < len(self._comparison.former)
        gone = before.missing_in(self._held)
        if not gone:
            return Withdrawn({}, is_unknown, None)
        return Withdrawn(self._named(gone, readable), is_unknown, self._why_held(before))

    def takes_away(self) -> bool:
        """Whether anything is withdrawn; what it is would take one more reading."""
        return bool(self._before()[0].missing_in(self._held))

    def _before(self) -> tuple[Keys, list[Holding]]:
        """The keys that the former payloads held of the scope, and those payloads that can be read."""
        before, readable = Keys(), []
        for holding in self._comparison.former:
            try:
                for dataset, _, keys in self._former(holding, before):
                    before.add(dataset, keys)
                readable.append(holding)
            except (InvalidContent, FileNotFoundError):
                continue  # what it held is unknown
        before.rows = before.distinct()
        return before, readable

    def _why_held(self, before: Keys) -> str | None:
        shrunk = before.rows - self._held.rows
        if shrunk > FEW_ROWS and shrunk > self._source.most_withdrawn * before.rows:
            return f"{self._held.rows} rows where {before.rows} stood"
        if self._held.rejects > before.rejects:
            return f"{self._held.rejects} rows were rejected, and may be what seems to be gone"
        return None

    def _named(self, gone: Mapping[str, pa.Array], readable: Sequence[Holding]) -> dict[str, pa.Table]:
        """The key columns of the hashes, read from the former payloads once more."""
        found: dict[str, list[pa.Table]] = defaultdict(list)
        seen: dict[str, set[int]] = defaultdict(set)
        for holding in readable:
            for dataset, records, keys in self._former(holding, Keys()):
                if dataset not in gone:
                    continue
                hashes = _hashes(dataset, keys)
                places = pc.indices_nonzero(pc.is_in(hashes, value_set=gone[dataset])).to_pylist()
                fresh = [place for place in places if not _was_seen(seen[dataset], hashes[place].as_py())]
                if fresh:
                    columns = {name: records.column(name).take(pa.array(fresh)) for name in load(dataset).key}
                    columns[MESSAGE_KEY] = pa.array([keys[place].decode() for place in fresh])
                    found[dataset].append(pa.table(columns))
        return {dataset: pa.concat_tables(found[dataset]).sort_by(MESSAGE_KEY) for dataset in sorted(found)}

    def _former(self, holding: Holding, counted: Keys) -> Iterator[tuple[str, pa.RecordBatch, list[bytes]]]:
        """(dataset, records within the scope, their keys) of a former payload; its rejects are counted.

        Raises: FileNotFoundError when it is gone, InvalidContent when it no longer parses.
        """
        payload = self._payload_of(holding.payload_sha256) if holding.payload_sha256 else None
        if payload is None:
            raise FileNotFoundError(holding.payload_sha256)
        part = Part(self._resource, holding.part, holding.name, holding.retrieved_at)
        scope = Scope.of(holding.scope)
        for parsed in self._parsed(part, payload, holding.next_row):
            counted.rejects += len(parsed.rejects)
            for dataset in scope.datasets:
                if dataset in parsed.records:
                    records = parsed.records[dataset]
                    records = records.filter(scope.holds(self._source.days[dataset](records)))
                    yield dataset, records, _keys(dataset, records)

    def _parsed(self, part: Part, payload: Payload, until_row: int | None) -> Iterator[Parsed]:
        for parsed in payloads.parsed(self._source, payload, part):
            if until_row is not None and parsed.first_row >= until_row:
                return
            yield parsed


MESSAGE_KEY = "message_key"
"""Column of `Withdrawn.keys`: the natural key as one text."""


def _was_seen(seen: set[int], number: int) -> bool:
    if number in seen:
        return True
    seen.add(number)
    return False

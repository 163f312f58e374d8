"""A key leaves the payload archive: payloads that hold it are kept as the rows that are left of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from correnteza.erasing.key import Key
from foundation.errors import InvalidContent, UnsafeState
from monitoring.lake import Lake
from producers import erased, payloads, sources
from producers.archive import ROWS, Archive, Payload
from producers.erased import Taken
from producers.model import CHUNK_ROWS, Parsed, Part, Source
from storage import files
from storage.location import Location

_MANIFESTS = "bronze.ingest_manifests"
Found = Mapping[str, Taken]
"""SHA-256 → how much of the payload is of the key."""


class Payloads:
    """The archived payloads of the sources that publish a dataset.

    Attributes:
        sources: those sources, by name.
    """

    def __init__(self, archive: Archive, lake: Lake, key: Key) -> None:
        self._archive, self._key = archive, key
        self.sources = {each.name: each for each in sources.load_all().values() if key.contract.name in each.datasets}
        self._read = _read(lake)

    def find(self) -> Found:
        """Those that hold the key. Every payload of the sources is parsed: a publication may have died before it was
        noted anywhere."""
        found = {}
        for payload, source in self._every():
            taken = self._holds(payload, source)
            if taken.rows or taken.rejects:
                found[payload.sha256] = taken
        return found

    def take_out(self, found: Found, under_way: Iterable[str]) -> None:
        """Rewrite those that were found; and remove bytes that an earlier run was about to.

        Args: under_way: SHA-256 of payloads of which a part is half published.

        Raises: UnsafeState: one of them is among those found.
        """
        if met := sorted(set(found) & set(under_way)):
            publisher = self._source_of(met[0])
            raise UnsafeState(
                f"a payload of {publisher} that holds the key is half published",
                hint=f"correnteza poll {publisher} --once; then run this again",
            )
        for payload, source in self._every():
            if payload.sha256 in found:
                self._rewrite(payload, source)
            self._archive.forget_bytes(payload.sha256)

    def samples(self) -> list[Location]:
        """Samples of answers that were no data, and that hold the key's fields."""
        return [path for path in self._archive.invalid() if self._key.stands_in(files.read(path))]

    def clear(self) -> None:
        """Remove those samples, and what killed downloads left."""
        for path in self.samples():
            files.remove(path.parent / f"{path.name}.json")
            files.remove(path)
        self._archive.clear_spool()

    def _every(self) -> Iterator[tuple[Payload, Source]]:
        for sha256, _ in self._archive.names():
            payload = self._archive.get(sha256)
            source = self.sources.get(payload.about.get("source", "")) if payload else None
            if payload is not None and source is not None:
                yield payload, source

    def _source_of(self, sha256: str) -> str:
        payload = self._archive.get(sha256)
        return str(payload.about["source"]) if payload else "its source"

    def _holds(self, payload: Payload, source: Source) -> Taken:
        total = Taken()
        for part in self._parts(payload):
            try:
                for parsed in self._chunks(source, payload, part):
                    total += erased.without(parsed, self._key.erasing)[1]
            except InvalidContent:
                if payload.about["media"] != ROWS and self._key.stands_in(b"".join(payloads.content(payload))):
                    total += Taken(rejects=1)
        return total

    def _rewrite(self, payload: Payload, source: Source) -> None:
        before = erased.taken_from(payload) if payload.about["media"] == ROWS else {}
        # One that does not parse has no rows: nothing is left of it.
        parts = [(part, self._readable(source, payload, part)) for part in self._parts(payload)]
        self._archive.keep_rows(payload.sha256, partial(erased.write, parts, self._key.erasing, before))

    def _readable(self, source: Source, payload: Payload, part: Part) -> Iterator[Parsed]:
        try:
            yield from self._chunks(source, payload, part)
        except InvalidContent:
            return

    def _chunks(self, source: Source, payload: Payload, part: Part) -> Iterator[Parsed]:
        rows = self._read.get(payload.sha256, {}).get((part.resource, part.key), (part.name, CHUNK_ROWS))[1]
        return payloads.parsed(source, payload, part, chunk_rows=rows)

    def _parts(self, payload: Payload) -> list[Part]:
        """What was read from it, by the manifests; and what it was fetched as."""
        about = payload.about
        retrieved_at = datetime.fromisoformat(about["retrieved_at"])
        own = (about["resource"], about["part"])
        name = PurePosixPath(about["member"]["name"]).name if "member" in about else " ".join(own)
        parts = {own: name} | {place: told for place, (told, _) in self._read.get(payload.sha256, {}).items()}
        return [Part(*place, told, retrieved_at) for place, told in sorted(parts.items())]


def _read(lake: Lake) -> Mapping[str, dict[tuple[str, str], tuple[str, int]]]:
    """SHA-256 → (resource, part's key) → its name, and rows per chunk, by the manifests that bronze holds."""
    found: dict[str, dict[tuple[str, str], tuple[str, int]]] = defaultdict(dict)
    if lake.has(_MANIFESTS):
        rows: list[dict[str, Any]] = lake.rows(
            f"""
            SELECT record.payload_sha256 AS sha256, record.resource AS resource, record.part_key AS key,
                   any_value(record.part) AS name, list(DISTINCT record.first_row ORDER BY record.first_row) AS begins
            FROM {_MANIFESTS} WHERE decode_status = 'ok' AND record.resource IS NOT NULL GROUP BY ALL"""
        )
        for row in rows:
            begins = row["begins"]
            size = begins[1] - begins[0] if len(begins) > 1 else CHUNK_ROWS
            found[row["sha256"]][row["resource"], row["key"]] = (row["name"], size)
    return found


def under_way(cursors: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """SHA-256 of payloads of which a part is half published. Args: as `cursor.read` gives them."""
    each = (state for of_owner in cursors.values() for one in of_owner.values() for state in one.parts.values())
    return {state.payload_sha256 for state in each if not state.is_complete}

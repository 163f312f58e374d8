"""What is erased: one natural key of a dataset, and the rows, records and rejects that are of it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import UsageError
from producers import encode
from producers.chunk import REJECTS, WITHDRAWALS
from producers.erased import Erasing
from producers.model import Reject
from schemas.arrow import arrow_schema
from schemas.contracts import KEY_SEPARATOR, Contract, load
from sinks.erasing import Matching
from stream_jobs.places import QUARANTINE

BRONZE_OF = {REJECTS: "bronze.ingest_rejects", WITHDRAWALS: "bronze.ingest_withdrawals"}
"""Bookkeeping contracts whose records may be of a dataset's key, and their tables."""

_COST = 1 << 14


@dataclass(frozen=True)
class Key:
    """One natural key.

    Attributes:
        contract: of its dataset.
        fields: field → text, as in the message key; a null one is empty.
    """

    contract: Contract
    fields: Mapping[str, str]

    @property
    def text(self) -> bytes:
        """The message key."""
        return KEY_SEPARATOR.join(self.fields.values()).encode()

    def digest(self, salt: bytes) -> str:
        """What stands for the key where it must not stand itself. Slow on purpose: short keys could be guessed."""
        whole = f"{self.contract.name}{KEY_SEPARATOR}".encode() + self.text
        return hashlib.scrypt(whole, salt=salt, n=_COST, r=8, p=1, dklen=16).hex()

    def stands_in(self, raw: bytes | None) -> bool:
        """Whether every field's text stands in bytes that were not read, none as a part of a longer word."""
        return raw is not None and all(word.search(raw) for word in self._words)

    @cached_property
    def _words(self) -> list[re.Pattern[bytes]]:
        texts = [text.encode() for text in self.fields.values() if text]
        return [re.compile(rb"(?<![0-9A-Za-z])" + re.escape(text) + rb"(?![0-9A-Za-z])") for text in texts]

    @property
    def tables(self) -> dict[str, Matching]:
        """Table of bronze and silver → the rows of it that are of the key."""
        name = self.contract.name
        revisions = Matching(self.contract.key, self.of_rows, {})
        return {
            f"silver.{name}_revisions": revisions,
            f"silver.{name}": revisions,
            QUARANTINE: Matching(("key",), lambda rows: _equal(rows["key"], self.text.decode()), {"dataset": name}),
            f"bronze.{name}": self.of_records(self.text),
            BRONZE_OF[WITHDRAWALS]: self.of_records(f"{name}{KEY_SEPARATOR}".encode() + self.text),
            BRONZE_OF[REJECTS]: Matching(("record", "decode_status", "value"), self._of_rejects, {}),
        }

    @property
    def erasing(self) -> Erasing:
        """The same of a payload's rows."""

        def of_rows(dataset: str, records: pa.RecordBatch) -> pa.Array:
            if dataset == self.contract.name:
                return self.of_rows(pa.Table.from_batches([records]))
            return pa.repeat(pa.scalar(False), records.num_rows)

        return Erasing(of_rows, self._of_reject)

    def of_rows(self, rows: pa.Table) -> pa.Array:
        """Which rows with the key's columns are of it."""
        if not rows.num_rows:
            return pa.array([], pa.bool_())
        schema = arrow_schema(self.contract)
        columns = {name: rows[name].combine_chunks().cast(schema.field(name).type) for name in self.contract.key}
        keys = encode.keys(self.contract, columns, rows.num_rows)
        return pc.equal(pa.array(keys, pa.binary()), pa.scalar(self.text, pa.binary()))

    def of_records(self, message_key: bytes) -> Matching:
        """Records of bronze with a message key, and those that did not decode and hold the key's fields."""

        def of(rows: pa.Table) -> pa.Array:
            return pc.or_(_equal(rows["key"], message_key), self._undecoded(rows))

        return Matching(("key", "decode_status", "value"), of, {})

    def _of_rejects(self, rows: pa.Table) -> pa.Array:
        found = [
            record is not None and record["dataset"] == self.contract.name and self.stands_in(record["raw"])
            for record in rows["record"].to_pylist()
        ]
        return pc.or_(pa.array(found, pa.bool_()), self._undecoded(rows))

    def _undecoded(self, rows: pa.Table) -> pa.Array:
        pairs = zip(rows["decode_status"].to_pylist(), rows["value"].to_pylist(), strict=True)
        return pa.array([status != "ok" and self.stands_in(value) for status, value in pairs], pa.bool_())

    def _of_reject(self, reject: Reject) -> bool:
        return reject.dataset == self.contract.name and self.stands_in(reject.raw)


def key_of(dataset: str, fields: Mapping[str, str]) -> Key:
    """A key from its columns. Raises: UsageError: no such dataset; a column is missing, or is none of the key's."""
    try:
        contract = load(dataset)
    except FileNotFoundError:
        contract = None
    if contract is None or not contract.is_dataset:
        raise UsageError(f"no dataset {dataset}", hint="correnteza sources lists the sources and what they publish")
    if contract.external is not None:
        raise UsageError(
            f"{dataset} comes from a topic that others own: as long as it holds the key, the key would come back",
            hint="have it withdrawn there by a tombstone",
        )
    nullable = {each.name for each in arrow_schema(contract) if each.nullable}
    missing = [name for name in contract.key if name not in fields and name not in nullable]
    strange = [name for name in fields if name not in contract.key]
    if missing or strange or not any(fields.values()):
        what = (
            f"{missing[0]} is missing" if missing else f"{strange[0]} is no column of it" if strange else "it is empty"
        )
        example = " ".join(f"{name}=…" for name in contract.key)
        raise UsageError(
            f"the key of {dataset} is {', '.join(contract.key)}: {what}", hint=f"correnteza erase {dataset} {example}"
        )
    return Key(contract, {name: fields.get(name, "") for name in contract.key})


def _equal(column: pa.ChunkedArray, value: str | bytes) -> pa.Array:
    kind = pa.binary() if isinstance(value, bytes) else pa.string()
    return pc.fill_null(pc.equal(column.combine_chunks().cast(kind), pa.scalar(value, kind)), False)

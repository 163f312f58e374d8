"""Which writer schemas a topic's records may have: the registry's answers, stored in `ops.schemas` before they are
used."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from foundation.errors import TransientError
from foundation.log import get_logger
from schemas.contracts import Contract
from schemas.external import AVRO
from sinks.ops import schemas_table
from sinks.ops.schemas_table import StoredSchema
from stream_jobs.bronze.decode import Schemas, Writer

MOST_UNKNOWN = 100
"""After so many different unknown ids a query asks no more, because each question costs a restart."""

GRACE_SECONDS = 3.0
"""How long the registry is asked again for an id that it does not have: a replica may not have the newest schemas
yet."""
MOST_GRACE = 10
"""After so many unknown ids it is not asked again, because each wait delays the whole topic."""


class Registry(Protocol):
    """The part of the schema registry that bronze needs. Every method raises TransientError while it is away."""

    def schema_by_id(self, schema_id: int) -> str | None:
        """The schema's text; None when the registry answers that it has no such id."""
        ...

    def versions(self, subject: str) -> list[tuple[int, int, str]]:
        """(schema id, version, schema text), oldest first; empty when there is no such subject."""
        ...


@dataclass
class KnownSchemas:
    """`ops.schemas` and the registry behind it.

    Attributes:
        ids: the schema ids it held when it was last refreshed.
    """

    spark: SparkSession
    path: str
    registry: Registry
    prefix: str
    ids: frozenset[int] = frozenset()
    _denied_at: dict[int, float] = field(default_factory=dict)

    def refresh(self, contracts: Iterable[Contract]) -> None:
        """Store what the registry has of these subjects.

        If the registry does not answer, this does not fail as long as schemas are stored: the records can be decoded.

        Raises:
            TransientError: it does not answer, and no schema is stored.
        """
        schemas_table.ensure(self.spark, self.path)
        known = set(schemas_table.stored(self.path))
        try:
            found = {
                StoredSchema(schema_id, subject, version, text)
                for contract in contracts
                for subject in self._subjects(contract)
                for schema_id, version, text in self.registry.versions(subject)
                if contract.external is None or self._is_avro(text)
            }
        except TransientError as error:
            if not known:
                raise
            get_logger("schemas").warning("registry_unreachable", error=str(error), schemas_known=len(known))
            found = set()
        schemas_table.store(self.path, found - known)
        self.ids = frozenset(row.schema_id for row in found | known)

    def plan(self, contract: Contract, unknown: frozenset[int]) -> Schemas:
        """The stored schemas of one topic, and the ids that the registry does not have."""
        subjects = (*self._subjects(contract), None)
        texts = {row.schema_id: row.schema for row in schemas_table.stored(self.path) if row.subject in subjects}
        writers = tuple(
            Writer(schema_id, text, _reads_whole(contract, json.loads(text)), _is_of(contract, text))
            for schema_id, text in sorted(texts.items())
        )
        is_keyed = contract.external is not None and contract.external.key_format == AVRO
        keys = (
            Writer(schema_id, text, reads_whole=True, is_of_contract=_says_key(contract, text))
            for schema_id, text in sorted(texts.items())
        )
        return Schemas(
            writers, unknown - texts.keys(), ask=len(unknown) < MOST_UNKNOWN, keys=tuple(keys) if is_keyed else ()
        )

    def _subjects(self, contract: Contract) -> tuple[str, ...]:
        """Where schemas of a topic are usually registered."""
        is_keyed = contract.external is not None and contract.external.key_format == AVRO
        return (contract.subject_at(self.prefix), *([contract.key_subject] if is_keyed else []))

    def fetch(self, schema_id: int) -> bool:
        """Ask the registry for a schema that a record names, and store it; returns whether there is one.

        A schema that is not Avro decodes nothing, so it does not count.

        Raises:
            TransientError: the registry does not answer, or it has not been asked for this id for long enough.
        """
        text = self.registry.schema_by_id(schema_id)
        if text is None:
            self._require_past_grace(schema_id)
            return False
        if not self._is_avro(text):
            return False
        schemas_table.store(self.path, [StoredSchema(schema_id, None, None, text)])
        return True

    def _require_past_grace(self, schema_id: int) -> None:
        since = time.monotonic() - self._denied_at.setdefault(schema_id, time.monotonic())
        if since < GRACE_SECONDS and len(self._denied_at) <= MOST_GRACE:
            raise TransientError(
                f"the registry does not know schema id {schema_id} yet; it is asked again for {GRACE_SECONDS:.0f} s"
            )

    def _is_avro(self, text: str) -> bool:
        parser = self.spark._jvm.org.apache.avro.Schema.Parser()  # type: ignore[union-attr]
        try:
            parser.parse(text)
        except Py4JJavaError:
            return False
        return True


def _reads_whole(reader: Contract, written: Any) -> bool:
    """Whether the contract has every field of a writer's schema with the same type; it may have more."""
    if not isinstance(written, dict) or written.get("type") != "record":
        return False
    types = {field["name"]: _branches(field["type"]) for field in reader.schema["fields"]}
    return all(
        field["name"] in types and all(branch in types[field["name"]] for branch in _branches(field["type"]))
        for field in written["fields"]
    )


def _is_of(reader: Contract, text: str) -> bool:
    """Whether a writer's record has the name that the contract has for it. One topic may hold several kinds of records;
    Spark reads a record of any name, and takes defaults for all that another kind lacks."""
    if reader.external is None:
        return True
    written = json.loads(text)
    if not isinstance(written, dict) or written.get("type") != "record":
        return False
    names = (reader.schema["name"], *reader.schema.get("aliases", ()))
    return written["name"].rpartition(".")[2] in {name.rpartition(".")[2] for name in names}


def _says_key(reader: Contract, text: str) -> bool:
    """Whether a message key of this schema may say the contract's key."""
    written = json.loads(text)
    return (isinstance(written, dict) and written.get("type") == "record") or len(reader.key) == 1


def _branches(kind: Any) -> list[Any]:
    return kind if isinstance(kind, list) else [kind]

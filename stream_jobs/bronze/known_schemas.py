"""Which writer schemas a topic's records may have: the registry's answers, kept in `ops.schemas` before any use."""

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
from sinks.ops import schemas_table
from sinks.ops.schemas_table import StoredSchema
from stream_jobs.bronze.decode import Schemas, Writer

MOST_UNKNOWN = 100
"""After so many different unknown ids a query stops asking: each question is a restart."""

GRACE_SECONDS = 3.0
"""How long an id that the registry denies is asked for again: a replica may not have heard yet what another took."""
MOST_GRACE = 10
"""After so many denied ids they are no accident: each wait holds up the whole topic."""


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
        """Take over what the registry has of these subjects.

        A registry that is away is no reason to stop while the book knows the subject: the records can be decoded.

        Raises:
            TransientError: it is away, and the book is empty.
        """
        schemas_table.ensure(self.spark, self.path)
        known = set(schemas_table.stored(self.path))
        try:
            found = {
                StoredSchema(schema_id, self.prefix + contract.subject, version, text)
                for contract in contracts
                for schema_id, version, text in self.registry.versions(self.prefix + contract.subject)
            }
        except TransientError as error:
            if not known:
                raise
            get_logger("schemas").warning("registry_unreachable", error=str(error), schemas_known=len(known))
            found = set()
        schemas_table.store(self.path, found - known)
        self.ids = frozenset(row.schema_id for row in found | known)

    def plan(self, contract: Contract, unknown: frozenset[int]) -> Schemas:
        """The schemas of one topic that are on record, and the ids that the registry has denied."""
        subjects = (self.prefix + contract.subject, None)
        texts = {row.schema_id: row.schema for row in schemas_table.stored(self.path) if row.subject in subjects}
        writers = tuple(
            Writer(schema_id, text, _reads_whole(contract, json.loads(text)))
            for schema_id, text in sorted(texts.items())
        )
        return Schemas(writers, unknown - texts.keys(), ask=len(unknown) < MOST_UNKNOWN)

    def fetch(self, schema_id: int) -> bool:
        """Ask the registry for a schema that a record names; keep it, and say whether there is one.

        A schema that is no Avro decodes nothing: it counts as none.

        Raises:
            TransientError: nothing is decided: the registry is away, or denies the id and has not done so for long.
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
    """Whether the contract takes up every field of a schema as it was written. Fewer may be needed, or wider ones."""
    if not isinstance(written, dict) or written.get("type") != "record":
        return False
    types = {field["name"]: _branches(field["type"]) for field in reader.schema["fields"]}
    return all(
        field["name"] in types and all(branch in types[field["name"]] for branch in _branches(field["type"]))
        for field in written["fields"]
    )


def _branches(kind: Any) -> list[Any]:
    return kind if isinstance(kind, list) else [kind]

"""Read the contracts beside this file, and those that an installation declares for itself.

A contract is an Avro record schema with five more attributes: `topic`, `key` (the natural key, in order), `partitions`,
`classes` (what each field says about people: schemas/classes.py) and, for a compacted topic, `cleanup`. One that an
installation declares also has `prune_by` and, for migrated rows, `legacy`. The schema is registered without them, so
that a topic can get more partitions without a new schema version. One with `"origin": "external"` declares a topic that
others own (docs/adr/0032): it has what `schemas/external.py` reads, and no `partitions`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from foundation.errors import UsageError
from schemas import external
from schemas.avro_types import inlined
from schemas.classes import by_column
from schemas.external import External

FOLDER = Path(__file__).parent
INGEST_PREFIX = "ingest."
CANARY = "pipeline.canary"
"""The record that the pipeline sends through all its layers to itself: users never see it in results
(docs/adr/0022)."""
CANARY_TABLE = "pipeline_canary"
"""Its table in each layer."""
KEY_SEPARATOR = "|"

# The last fields of every data record; all other fields are the natural key and the values.
PROVENANCE = ("published_at", "published_at_basis", "retrieved_at", "chunk_id", "row_number")


@dataclass(frozen=True)
class Contract:
    """One topic and the schema of its records.

    Attributes:
        name: the dataset, such as `inmet_hourly`, or `ingest.manifests`.
        key: fields of the natural key; joined by `|`, with the empty text for null, they are the message key.
        schema: the Avro record schema, parsed, in the registered form.
        classes: field → class.
        prune_by: of an installation's own contract, the column by which its silver table is pruned.
        legacy: how the rows of a migrated file are read: the values of a mapping; None for every other contract.
        external: what is said of a topic that others own; None for every other contract.
    """

    name: str
    topic: str
    key: tuple[str, ...]
    partitions: int
    compacted: bool
    schema: dict[str, Any]
    classes: Mapping[str, str] = field(default_factory=dict)
    prune_by: str | None = None
    legacy: Mapping[str, Any] | None = None
    external: External | None = None

    @property
    def subject(self) -> str:
        """The registry subject of the record's value, without a prefix."""
        return f"{self.topic}-value"

    def topic_at(self, prefix: str) -> str:
        """The topic in an installation that gives its topics a prefix; a topic of others has none of ours."""
        return self.topic if self.external else prefix + self.topic

    def subject_at(self, prefix: str) -> str:
        """As `topic_at`, the subject. Others may use another one: records name their schema by its id."""
        return f"{self.topic_at(prefix)}-value"

    @property
    def key_subject(self) -> str:
        """The subject of the message key of a topic that others own. They may use another one."""
        return f"{self.topic}-key"

    @property
    def types(self) -> dict[str, Any]:
        """Field → its Avro type, with named types in full."""
        return inlined(self.schema)

    @property
    def is_dataset(self) -> bool:
        """Whether the records are rows of a source, and not the pipeline's own bookkeeping."""
        return not self.name.startswith(INGEST_PREFIX) and self.name != CANARY

    @property
    def fields(self) -> tuple[str, ...]:
        """All field names, in the schema's order."""
        return tuple(field["name"] for field in self.schema["fields"])

    @property
    def value_fields(self) -> tuple[str, ...]:
        """The fields whose change makes a new version: neither key nor provenance."""
        return tuple(name for name in self.fields if name not in self.key and name not in PROVENANCE)

    @property
    def schema_text(self) -> str:
        """The registered text: one line, fields in order."""
        return json.dumps(self.schema, ensure_ascii=False)


def parse(name: str, text: str) -> Contract:
    """A contract from its file's text.

    Raises:
        KeyError: it lacks `topic`, `key` or `partitions`.
        ValueError: `classes` names an unknown class, or a field twice.
        UsageError: it declares an external topic that cannot be kept.
    """
    schema = json.loads(text)
    of_others = external.taken(name, schema) if schema.pop("origin", None) == external.ORIGIN else None
    return Contract(
        name=name,
        topic=schema.pop("topic"),
        key=tuple(schema.pop("key")),
        partitions=0 if of_others else schema.pop("partitions"),
        compacted=schema.pop("cleanup", "delete") == "compact",
        classes=by_column(schema.pop("classes", {})),
        prune_by=schema.pop("prune_by", None),
        legacy=schema.pop("legacy", None),
        external=of_others,
        schema=schema,
    )


_own_folders: list[Path] = []


def use_also(folder: Path) -> None:
    """Read the contracts of this folder too, which may not exist yet, instead of those of a folder named before."""
    if _own_folders != [folder]:
        _own_folders[:] = [folder]
        forget()


def forget() -> None:
    """Read every contract again when it is next asked for: one was declared."""
    load.cache_clear()
    load_all.cache_clear()


@cache
def load(name: str) -> Contract:
    """The contract of one dataset or bookkeeping topic.

    Raises:
        FileNotFoundError: there is no such contract.
        KeyError: the file lacks `topic`, `key` or `partitions`.
        UsageError: as `parse`; or an installation's own contract is no JSON, or has the name of one of ours.
    """
    shipped = FOLDER / f"{name}.avsc"
    file = next((found for folder in _own_folders if (found := folder / f"{name}.avsc").exists()), shipped)
    if file is not shipped and shipped.exists():
        raise UsageError(f"{file}: a contract of this name is part of the product", hint="give the file another name")
    try:
        return parse(name, file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UsageError(f"{file} is no JSON: {error}") from error


@cache
def load_all() -> dict[str, Contract]:
    """Every contract by name: datasets first, then bookkeeping, each in alphabetical order."""
    names = sorted(
        {file.stem for folder in (FOLDER, *_own_folders) for file in folder.glob("*.avsc")},
        key=lambda name: (name.startswith(INGEST_PREFIX) or name == CANARY, name),
    )
    return {name: load(name) for name in names}


def ours(contracts: Iterable[Contract]) -> Iterator[Contract]:
    """Those whose topics and subjects are declared, configured and written here; others own the rest."""
    return (contract for contract in contracts if contract.external is None)


def datasets() -> dict[str, Contract]:
    """The contracts whose records are a source's rows."""
    return {name: contract for name, contract in load_all().items() if contract.is_dataset}

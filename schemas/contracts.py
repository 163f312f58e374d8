"""Read the contracts beside this file, and those that an installation declares for itself.

A contract is an Avro record schema with five more attributes: `topic`, `key` (the natural key, in order), `partitions`,
`classes` (what each field says about people: schemas/classes.py) and, for a compacted topic, `cleanup`. One that an
installation declares also has `prune_by` and, for migrated rows, `legacy`. The schema is registered without them, so
that a topic can get more partitions without a new schema version.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from schemas.classes import by_column

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

    @property
    def subject(self) -> str:
        """The registry subject of the record's value."""
        return f"{self.topic}-value"

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
    """
    schema = json.loads(text)
    return Contract(
        name=name,
        topic=schema.pop("topic"),
        key=tuple(schema.pop("key")),
        partitions=schema.pop("partitions"),
        compacted=schema.pop("cleanup", "delete") == "compact",
        classes=by_column(schema.pop("classes", {})),
        prune_by=schema.pop("prune_by", None),
        legacy=schema.pop("legacy", None),
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
    """
    file = next(
        (found for folder in _own_folders if (found := folder / f"{name}.avsc").exists()), FOLDER / f"{name}.avsc"
    )
    return parse(name, file.read_text(encoding="utf-8"))


@cache
def load_all() -> dict[str, Contract]:
    """Every contract by name: datasets first, then bookkeeping, each in alphabetical order."""
    names = sorted(
        {file.stem for folder in (FOLDER, *_own_folders) for file in folder.glob("*.avsc")},
        key=lambda name: (name.startswith(INGEST_PREFIX) or name == CANARY, name),
    )
    return {name: load(name) for name in names}


def datasets() -> dict[str, Contract]:
    """The contracts whose records are a source's rows."""
    return {name: contract for name, contract in load_all().items() if contract.is_dataset}

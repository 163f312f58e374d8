"""What a contract says about a topic that others own, and the types that its columns may have.

A contract with `"origin": "external"` is refused when it is read, if bronze, silver or `verify` could not hold what it
declares; the error names the field.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from foundation.errors import UsageError
from schemas.avro_types import inlined, kind_of, nullable, sole

ORIGIN = "external"
"""As `origin` of a contract."""

KAFKA = "kafka"
"""As `known_from`: the timestamp of the record in Kafka."""

AVRO, JSON = "avro", "json"
KEY_FORMATS = ("text", JSON, AVRO)
VALUE_FORMATS = (AVRO, JSON)
ACTIONS = ("warn", "quarantine", "fail")
WIDEST_DECIMAL = 38

RESERVED = frozenset(
    (
        *("key", "topic", "topic_id", "kafka_partition", "kafka_offset", "kafka_timestamp", "known_from"),
        *("published_at", "published_at_basis", "retrieved_at", "chunk_id", "row_number"),
        *("version_hash", "is_withdrawn", "is_valid", "is_newest", "is_first_of_key", "is_disturbed", "outcome"),
        *("rules", "warn", "quarantine", "fail", "closed", "in_window", "said", "stands", "is_first", "is_version"),
    )
)
"""Columns that silver has beside the record's own, or needs while it compares versions."""

_SIMPLE = {"string", "int", "long", "float", "double", "boolean", "bytes"}
_LOGICAL = {
    "date": ("int",),
    "timestamp-millis": ("long",),
    "timestamp-micros": ("long",),
    "uuid": ("string",),
    "decimal": ("bytes", "fixed"),
}
"""Logical type → the types that carry it."""
_CLOCKS = ("timestamp-millis", "timestamp-micros")
_OF_KEYS = {"string", "enum", "int", "long", "boolean", "uuid", "date", *_CLOCKS}
"""Types of a key field: those whose text says exactly one value."""
_OF_BOUNDS = _OF_KEYS - {"boolean"}


class Rule(NamedTuple):
    """An expectation: a predicate in SQL over the record's fields."""

    name: str
    sql: str
    action: str


@dataclass(frozen=True)
class External:
    """How the records of a topic that others own become rows.

    Attributes:
        known_from: the field that says from when on a record holds, or `KAFKA`.
        key_format: how the message key of a tombstone says the contract's key.
        value_format: how a value says the record; the fields and their types are the same.
    """

    known_from: str
    key_format: str
    value_format: str
    expectations: tuple[Rule, ...]

    @property
    def is_by_kafka(self) -> bool:
        """Whether Kafka's timestamp is the clock. It counts milliseconds, so the later record of one counts."""
        return self.known_from == KAFKA


def taken(name: str, declared: dict[str, Any]) -> External:
    """Take what concerns an external topic out of a contract's file; what is left is the contract of every dataset.

    Args:
        name: the dataset.
        declared: the file's content, which is changed.

    Raises:
        UsageError: it declares what cannot be kept; the message names the field.
    """
    try:
        found = External(
            known_from=declared.pop("known_from"),
            key_format=declared.pop("key_format", "text"),
            value_format=declared.pop("value_format", AVRO),
            expectations=tuple(Rule(**rule) for rule in declared.pop("expectations", ())),
        )
        wrong = next(_problems(name, declared, found), None)
    except KeyError as error:
        wrong = f"it lacks {error}"
    except (TypeError, AttributeError, ValueError) as error:
        wrong = f"it cannot be read: {error}"
    if wrong:
        raise UsageError(f"contract {name}: {wrong}", hint="docs/your-topic.md says what a contract may declare")
    return found


def _problems(name: str, declared: Mapping[str, Any], external: External) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        yield "a table's name has small letters, digits and underscores only"
    if external.value_format not in VALUE_FORMATS:
        yield f"value_format {external.value_format}: one of {', '.join(VALUE_FORMATS)}"
    if unknown := declared.keys() - _WORDS:
        yield f"{', '.join(sorted(unknown))}: no such word"
    if external.key_format not in KEY_FORMATS:
        yield f"key_format {external.key_format}: one of {', '.join(KEY_FORMATS)}"
    if declared["type"] != "record":
        yield "the schema is no record"
    fields = inlined(declared)
    yield from _bad_record(fields, "")
    if external.value_format == JSON:
        yield from _bad_defaults({"type": "record", "fields": _with_types(declared["fields"], fields)}, "")
    yield from _bad_keys(fields, declared["key"], declared["prune_by"])
    if not external.is_by_kafka and kind_of(fields.get(external.known_from, "null")) not in _CLOCKS:
        yield f"known_from {external.known_from}: no field of a timestamp that is never null, and not {KAFKA!r}"
    classified = {column for columns in declared["classes"].values() for column in columns}
    if missing := [field for field in fields if field not in classified]:
        yield f"field {missing[0]}: classes does not say what it says about people"
    for rule in external.expectations:
        if rule.action not in ACTIONS or not re.fullmatch(r"[a-z][a-z0-9_]*", rule.name):
            yield f"expectation {rule.name}: a name of small letters, and one of {', '.join(ACTIONS)}"


_WORDS = frozenset(("type", "name", "namespace", "doc", "aliases", "fields", "topic", "key", "prune_by", "classes"))


def _bad_record(fields: Mapping[str, Any], path: str) -> Iterator[str]:
    """Names and types of a record's fields. Args: path: of the record, empty or with a dot at its end."""
    seen: set[str] = set()
    for name, kind in fields.items():
        if name.lower() in seen:
            yield f"field {path}{name}: another name differs by capitals only; for columns they are the same"
        seen.add(name.lower())
        if not path and (name.lower() in RESERVED or name.startswith("_")):
            yield (
                f'field {name}: silver has a column of this name; declare it under another, with "aliases": ["{name}"]'
            )
        yield from _bad_type(kind, path + name, is_top=not path)


def _bad_type(kind: Any, path: str, *, is_top: bool) -> Iterator[str]:
    inner = sole(kind)
    if inner is None:
        yield f"field {path}: a union of several types; a column has one"
        return
    kind = kind_of(inner)
    if kind == "record":
        yield from _bad_record({each["name"]: each["type"] for each in inner["fields"]}, f"{path}.")
    elif kind == "array":
        yield from _bad_type(inner["items"], f"{path}[]", is_top=False)
    elif kind == "map":
        if not is_top:
            yield f"field {path}: a map inside of a record, an array or a map; versions cannot be compared by it"
        values = inner["values"]
        if nullable(values) or kind_of(values) in ("record", "array", "map"):
            yield f"field {path}: a map whose values may be null, or have parts"
        yield from _bad_type(values, f"{path}{{}}", is_top=False)
    elif isinstance(inner, dict) and (logical := inner.get("logicalType")):
        yield from _bad_logical(inner, logical, path)
    elif kind not in (*_SIMPLE, "enum", "fixed"):
        yield f"field {path}: {kind} is no type of a column"


def _bad_logical(kind: Mapping[str, Any], logical: str, path: str) -> Iterator[str]:
    if logical not in _LOGICAL or kind["type"] not in _LOGICAL[logical]:
        yield f"field {path}: {logical} in {kind['type']} is not kept; leave the logical type out to keep the number"
    elif logical == "decimal":
        precision, scale = kind.get("precision", 0), kind.get("scale", 0)
        if not 0 <= scale <= precision <= WIDEST_DECIMAL or precision == 0:
            yield f"field {path}: decimal({precision}, {scale}); a column holds 1 to {WIDEST_DECIMAL} digits"


def _with_types(fields: Sequence[Mapping[str, Any]], types: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**each, "type": types[each["name"]]} for each in fields]


def _bad_defaults(record: Mapping[str, Any], path: str) -> Iterator[str]:
    """Avro writes the defaults of some types in forms that no JSON value has: bytes as Latin-1, decimals as bytes."""
    for field in record["fields"]:
        inner = sole(field["type"])
        kind = kind_of(inner)
        is_plain = kind in _OF_DEFAULTS or field.get("default") in (None, [], {})
        if "default" in field and not is_plain:
            yield f"field {path}{field['name']}: in JSON a default is null, empty, or of {', '.join(_OF_DEFAULTS)}"
        while kind in ("array", "map"):
            inner = sole(inner["items" if kind == "array" else "values"])
            kind = kind_of(inner)
        if kind == "record":
            yield from _bad_defaults(inner, f"{path}{field['name']}.")


_OF_DEFAULTS = ("string", "enum", "boolean", "int", "long", "float", "double")


def _bad_keys(fields: Mapping[str, Any], key: Sequence[str], prune_by: str) -> Iterator[str]:
    if not key:
        yield "key: it has no field"
    for name in key:
        if name not in fields:
            yield f"key: there is no field {name}"
        elif kind_of(sole(fields[name])) not in _OF_KEYS:
            yield f"field {name}: a key is made of {', '.join(sorted(_OF_KEYS))}"
    if prune_by not in key:
        yield f"prune_by {prune_by}: it must be a field of the key"
    elif nullable(fields[prune_by]) or kind_of(fields[prune_by]) not in _OF_BOUNDS:
        yield f"field {prune_by}: prune_by must be ordered, and never null"

"""The rules that a contract must meet to be readable, and to read every published version. Checked without a service.

The registry refuses an incompatible version too, but only when somebody registers it. This check runs before a commit.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, UnknownType

from schemas.contracts import Contract, parse

WIDEST_DECIMAL = 38
"""Largest precision of a decimal in Spark and Delta."""

_WIDER = "another type; its column keeps the one it has, a wider one too (int to long): add a field"
"""Avro reads an int as a long. Delta can widen a column, but then readers without a JVM refuse the table."""

_VALUES: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "int": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "bytes": b"\x01",
    "string": "1",
}
"""One value per primitive type. Logical types are left out: they are compared directly."""


def findings(contract: Contract, published: list[Contract]) -> list[str]:
    """The reasons why a contract may not be published; empty if it may.

    Args:
        published: all published versions of it, oldest first.
    """
    found = list(_unfit(contract.schema, contract.name, ()))
    if found:
        return found
    if not published:
        return ["no published version of it is kept: copy the contract there when it is published first"]
    for number, version in enumerate(published, start=1):
        if (version.topic, version.key) != (contract.topic, contract.key):
            found.append(f"version {number} has another topic or key: declare another contract")
        found += [f"version {number}: {reason}" for reason in _unreadable(version.schema, contract.schema)]
    return found


def published_versions(folder: Path, name: str) -> list[Contract]:
    """Every kept version of a contract, oldest first: `<name>.avsc`, then `<name>/2.avsc`, `<name>/3.avsc` and on."""
    first = folder / f"{name}.avsc"
    later = sorted((folder / name).glob("*.avsc"), key=lambda file: int(file.stem))
    files = [first, *later] if first.exists() else later
    return [parse(name, file.read_text(encoding="utf-8")) for file in files]


def _unfit(schema: Any, place: str, names: tuple[str, ...]) -> Iterator[str]:
    """Types that no contract may have, at any depth. `names` are the records around this place."""
    if isinstance(schema, str):
        if schema.rpartition(".")[2] in names:
            yield f"{place}: a recursive schema; Spark has no type for it"
        return
    if isinstance(schema, list):
        if len([branch for branch in schema if branch != "null"]) != 1:
            yield f"{place}: a union of more than one type beside null; a column has one type"
        parts = [(branch, place) for branch in schema]
    elif schema["type"] == "record":
        names = (*names, schema["name"])
        parts = [(field["type"], f"{place}.{field['name']}") for field in schema["fields"]]
    else:
        yield from _unfit_here(schema, place)
        parts = [(schema[name], place) for name in ("items", "values") if name in schema]
    for part, where in parts:
        yield from _unfit(part, where, names)


def _unfit_here(schema: dict[str, Any], place: str) -> Iterator[str]:
    """The problems of one type that is neither a record nor a union, without those of inner types."""
    if schema["type"] == "enum":
        yield f"{place}: an enum; a new symbol would break every older reader: use a string"
    if schema["type"] == "array" and _is_empty(schema["items"]):
        yield f"{place}: items of no bytes; a few hostile bytes would make millions of them"
    if schema.get("logicalType") == "decimal":
        precision, scale = schema.get("precision", 0), schema.get("scale", 0)
        if not 0 <= scale <= precision <= WIDEST_DECIMAL or precision == 0:
            yield f"{place}: decimal({precision}, {scale}); Spark holds 1 to {WIDEST_DECIMAL} digits"


def _is_empty(schema: Any) -> bool:
    """Whether a value of this type takes no bytes at all."""
    if isinstance(schema, str):
        return schema == "null"
    if isinstance(schema, list):
        return False  # the number of the branch takes a byte
    if schema["type"] == "record":
        return all(_is_empty(field["type"]) for field in schema["fields"])
    return bool(schema["type"] == "null" or (schema["type"] == "fixed" and schema["size"] == 0))


def _unreadable(written: dict[str, Any], reader: dict[str, Any]) -> Iterator[str]:
    """The reasons why a reader cannot read a writer's records: by Avro's resolution, and by the columns of the
    tables."""
    old = {field["name"]: field["type"] for field in written["fields"]}
    for field in reader["fields"]:
        if field["name"] in old and _column(old[field["name"]]) != _column(field["type"]):
            yield f"{field['name']}: {_WIDER}"
    try:
        bare_writer, bare_reader = (fastavro.parse_schema(_physical(schema)) for schema in (written, reader))
        for choice in range(_most_branches(written)):
            body = io.BytesIO()
            fastavro.schemaless_writer(body, bare_writer, _value(_physical(written), choice))
            body.seek(0)
            fastavro.schemaless_reader(body, bare_writer, bare_reader)
    except (SchemaResolutionError, SchemaParseException, UnknownType) as error:
        yield f"cannot be read: {error}"


def _column(kind: Any) -> Any:
    """The parts of a type that determine its column: without documentation and default; every column may be null."""
    if isinstance(kind, list):
        branches = [_column(branch) for branch in kind if branch != "null"]
        return branches[0] if len(branches) == 1 else branches
    if not isinstance(kind, dict):
        return kind
    if kind.get("logicalType") == "decimal":
        return ("decimal", kind["precision"], kind.get("scale", 0))
    if kind["type"] == "record":
        return {field["name"]: _column(field["type"]) for field in kind["fields"]}
    if kind["type"] in ("array", "map"):
        return (kind["type"], _column(kind["items" if kind["type"] == "array" else "values"]))
    return kind.get("logicalType") or _column(kind["type"])


def _physical(schema: Any) -> Any:
    """The schema without logical types, to check the resolution of the bytes."""
    if isinstance(schema, list):
        return [_physical(branch) for branch in schema]
    if isinstance(schema, dict):
        return {name: _physical(value) for name, value in schema.items() if name != "logicalType"}
    return schema


def _most_branches(schema: Any) -> int:
    """How many records are needed to write every branch of every union once."""
    if isinstance(schema, list):
        return max([len(schema), *(_most_branches(branch) for branch in schema)])
    if isinstance(schema, dict):
        inner = [schema.get(name) for name in ("type", "items", "values")]
        return max([1, *map(_most_branches, [*inner, *(field["type"] for field in schema.get("fields", ()))])])
    return 1


def _value(schema: Any, choice: int) -> Any:
    """A value of the type, with one item in every map and array and the chosen branch in every union."""
    if isinstance(schema, list):
        return _value(schema[choice % len(schema)], choice)
    if isinstance(schema, str):
        return _VALUES[schema]
    match schema["type"]:
        case "record":
            value: Any = {field["name"]: _value(field["type"], choice) for field in schema["fields"]}
        case "map":
            value = {"1": _value(schema["values"], choice)}
        case "array":
            value = [_value(schema["items"], choice)]
        case "fixed":
            value = b"\x01" * int(schema["size"])
        case kind:
            value = _value(kind, choice)
    return value


def check_all(contracts: dict[str, Contract], folder: Path) -> dict[str, list[str]]:
    """Contract name → findings, against the versions kept in a folder."""
    return {name: findings(contract, published_versions(folder, name)) for name, contract in contracts.items()}

"""Avro types as they are, with named types in full: a type that a schema uses twice is named the second time."""

from collections.abc import Mapping
from typing import Any

_NAMED = ("record", "enum", "fixed")


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Field → its type, of a record schema; every named type stands in full where it is used.

    Raises:
        ValueError: a recursive schema, which no column can hold.
    """
    namespace = _namespace(schema, "")
    known: dict[str, Any] = {}
    inside = (_full_name(schema, ""),)
    return {field["name"]: _inlined(field["type"], namespace, known, inside) for field in schema["fields"]}


def _inlined(avro: Any, namespace: str, known: dict[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(avro, list):
        return [_inlined(branch, namespace, known, inside) for branch in avro]
    if isinstance(avro, str):
        full = avro if "." in avro or not namespace else f"{namespace}.{avro}"
        if full in inside or avro in inside:
            raise ValueError(f"{avro} is recursive; no column holds that")
        return known.get(full, known.get(avro, avro))
    if isinstance(avro["type"], dict | list):
        return _inlined(avro["type"], namespace, known, inside)
    found = dict(avro)
    if avro["type"] in _NAMED:
        full = _full_name(avro, namespace)
        if avro["type"] == "record":
            within = _namespace(avro, namespace)
            found["fields"] = [
                {**field, "type": _inlined(field["type"], within, known, (*inside, full))} for field in avro["fields"]
            ]
        known[full] = found
    for part in ("items", "values"):
        if part in avro:
            found[part] = _inlined(avro[part], namespace, known, inside)
    is_bare = found["type"] not in (*_NAMED, "array", "map") and "logicalType" not in found
    return found["type"] if is_bare else found  # without properties that only one language's classes have


def sole(avro: Any) -> Any:
    """The only type of a field beside null; None if there are several, or none."""
    if not isinstance(avro, list):
        return avro
    branches = [branch for branch in avro if branch != "null"]
    return branches[0] if len(branches) == 1 else None


def nullable(avro: Any) -> bool:
    """Whether a field may be null."""
    return avro == "null" or (isinstance(avro, list) and "null" in avro)


def kind_of(avro: Any) -> str:
    """The logical type if there is one, else the type; `union` for a union."""
    if isinstance(avro, list):
        return "union"
    return avro if isinstance(avro, str) else str(avro.get("logicalType") or avro["type"])


def _namespace(schema: Mapping[str, Any], around: str) -> str:
    """The namespace of the types inside of a named one."""
    return _full_name(schema, around).rpartition(".")[0]


def _full_name(schema: Mapping[str, Any], around: str) -> str:
    name = str(schema["name"])
    namespace = schema.get("namespace", around)
    return name if "." in name or not namespace else f"{namespace}.{name}"

"""A schema for JSON objects, from a sample of them: the narrowest types that all of them fit."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from schemas.external import WIDEST_DECIMAL
from stream_jobs.bronze.json_scalars import Misfit, simple

_TEXTS: tuple[Any, ...] = (
    {"type": "string", "logicalType": "uuid"},
    {"type": "int", "logicalType": "date"},
    {"type": "long", "logicalType": "timestamp-micros"},
    "string",
)
"""Types of a text, the narrowest first."""


def record(name: str, objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An Avro record schema. What is missing somewhere gets the default null; what is always null counts as a text.

    A name that no column can have is declared under another, with its own name in `aliases`. A field whose values have
    several types gets all of them, which a contract refuses by the field's name.
    """
    names = list(dict.fromkeys(name for each in objects for name in each))
    return {"type": "record", "name": _named(name), "fields": [_field(name, each, objects) for each in names]}


def _field(within: str, name: str, objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = {"name": _named(name), "type": _type(f"{within}_{name}", [each.get(name) for each in objects])}
    if found["name"] != name:
        found["aliases"] = [name]
    if not all(name in each for each in objects):
        found["default"] = None
    return found


def _type(name: str, values: Sequence[Any]) -> Any:
    present = [value for value in values if value is not None]
    kinds = {type(value) for value in present} or {str}
    if kinds <= {int, Decimal}:
        found = _number(present)
    elif kinds == {str}:
        found = next(avro for avro in _TEXTS if _fit(avro, present) or avro == "string")
    elif kinds == {bool}:
        found = "boolean"
    elif kinds == {dict}:
        found = record(name, present)
    elif kinds == {list}:
        found = {"type": "array", "items": _type(f"{name}_item", [item for value in present for item in value])}
    else:
        found = sorted({_WORDS.get(kind, "double") for kind in kinds})
    if len(present) == len(values) and present:
        return found
    return ["null", *(found if isinstance(found, list) else [found])]


def _number(values: Sequence[int | Decimal]) -> Any:
    """A whole number, else a decimal with as many digits after the point as any of them has."""
    if _fit("long", values):
        return "long"
    places = max(0, *(-int(Decimal(value).as_tuple().exponent) for value in values), 0)
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": WIDEST_DECIMAL, "scale": places}
    return decimal if places < WIDEST_DECIMAL and _fit(decimal, values) else "double"


def _fit(avro: Any, values: Sequence[Any]) -> bool:
    convert = simple(avro)
    try:
        for value in values:
            convert(value, "")
    except Misfit:
        return False
    return bool(values)


def _named(name: str) -> str:
    """The name as Avro has names."""
    found = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return found if re.match(r"[A-Za-z_]", found) else f"f_{found}"


_WORDS = {str: "string", bool: "boolean", int: "long", dict: "bytes", list: "bytes"}

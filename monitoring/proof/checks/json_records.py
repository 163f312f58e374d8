"""JSON values of a topic that others own, read a second time: by other code than the pipeline's, for the checks.

Days and instants are whole numbers, as the checks read them from bronze. Whatever does not fit raises.
"""

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from schemas.avro_types import inlined, kind_of, nullable, sole
from schemas.contracts import Contract

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MICROS = {"timestamp-millis": 1000, "timestamp-micros": 1}


def body(value: bytes) -> bytes:
    """The JSON text: behind the framing, if there is one."""
    return value[5:] if value[:1] == b"\0" else value


def record(contract: Contract, value: bytes) -> tuple[dict[str, Any], set[str]]:
    """Column → value, and the names that the value itself has. Raises: ValueError, or any error of a type that is
    another than declared."""
    said = json.loads(body(value).decode("utf-8"), parse_float=Decimal, object_pairs_hook=_once)
    types = inlined(contract.schema)
    return _record([{**each, "type": types[each["name"]]} for each in contract.schema["fields"]], said), set(said)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _record(fields: Sequence[Mapping[str, Any]], said: Any) -> dict[str, Any]:
    found = {}
    for each in fields:
        [*names] = {each["name"], *each.get("aliases", ())} & said.keys()
        value = said[names[0]] if names else each["default"]
        if len(names) > 1:
            raise ValueError(f"{names} are the same field")
        found[each["name"]] = _value(each["type"], value)
    return found


def _value(avro: Any, value: Any) -> Any:
    if value is None:
        if not nullable(avro):
            raise ValueError("null")
        return None
    one, kind = sole(avro), kind_of(sole(avro))
    match kind, value:
        case "record", dict():
            return _record(one["fields"], value)
        case "array", list():
            return [_value(one["items"], each) for each in value]
        case "map", dict():
            return {name: _value(one["values"], each) for name, each in value.items()}
        case _, str():
            return _of_text(one, kind, value)
        case _:
            return _of_number(one, kind, value)


def _of_text(one: Any, kind: str, value: str) -> Any:
    match kind:
        case "decimal":
            return _decimal(one, value)
        case "date":
            return date.fromisoformat(value).toordinal() - _EPOCH_DAY
        case "timestamp-millis" | "timestamp-micros":
            return _micros(value)
        case "bytes" | "fixed":
            return base64.b64decode(value)
        case "string" | "uuid":
            return value
        case "enum" if value in one["symbols"]:
            return value
    raise ValueError(f"a text is no {kind}")


def _of_number(one: Any, kind: str, value: Any) -> Any:
    if isinstance(value, bool) is not (kind == "boolean") or isinstance(value, dict | list):
        raise ValueError(f"{type(value).__name__} is no {kind}")
    match kind, value:
        case "boolean", _:
            return value
        case (("int" | "long" | "date"), int()):
            return value
        case (("timestamp-millis" | "timestamp-micros"), int()):
            return value * _MICROS[kind]
        case "float", _:
            return struct.unpack("<f", struct.pack("<f", value))[0]
        case "double", _:
            return float(value)
        case "decimal", _:
            return _decimal(one, value)
    raise ValueError(f"{value} is no {kind}")


def _decimal(one: Any, value: int | str | Decimal) -> Decimal:
    exact = Context(prec=one["precision"], traps=[Inexact, InvalidOperation])
    return Decimal(value).quantize(Decimal(1).scaleb(-one.get("scale", 0)), context=exact)


def _micros(text: str) -> int:
    at = datetime.fromisoformat(text)
    offset = at.utcoffset()
    if offset is None:
        raise ValueError("no zone")
    days = at.date().toordinal() - _EPOCH_DAY
    seconds = days * 86_400 + at.hour * 3600 + at.minute * 60 + at.second
    return seconds * 1_000_000 + at.microsecond - int(offset.total_seconds()) * 1_000_000

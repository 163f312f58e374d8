"""JSON values under a declared schema: every field typed, nothing rounded, nothing made null (docs/adr/0035).

A value that the schema cannot hold as it is does not decode, and the message names the field. It never repeats a value:
a log or a terminal may show it. Spark's own `from_json` is not used: it rounds decimals, takes a number for a text, and
fills what is missing with null.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from schemas import framing
from schemas.avro_types import kind_of, nullable, sole
from stream_jobs.bronze.json_scalars import Misfit, kind_said, must, simple, text_of

OK, NOT_JSON, CORRUPT = "ok", "not_json", "corrupt"
_MISSING = object()


class Read(NamedTuple):
    """What was made of a value.

    Attributes:
        record: the fields in the schema's order, as Spark's Python functions return them; None unless `OK`.
        problem: why it did not decode.
        is_whole: whether the schema has every field of it.
    """

    status: str
    record: tuple[Any, ...] | None
    problem: str | None
    is_whole: bool


Convert = Callable[[Any, str, list[str]], Any]
"""Value of JSON, path, list that takes the paths of fields without a column → value of the column. Raises: Misfit."""


def read(fields: str, value: bytes | None) -> Read | None:
    """One value, with or without Confluent's framing; None for a tombstone.

    Args:
        fields: of the record's schema, as JSON, named types in full.
    """
    if value is None:
        return None
    framed = framing.split(bytes(value))
    try:
        said = json.loads(
            (framed[1] if framed else bytes(value)).decode("utf-8"),
            parse_float=Decimal,
            parse_constant=_refused,
            object_pairs_hook=_object,
        )
    except Misfit as error:
        return Read(CORRUPT, None, str(error), is_whole=False)
    except (ValueError, RecursionError) as error:
        return Read(NOT_JSON, None, f"no JSON: {type(error).__name__}", is_whole=False)
    without_column: list[str] = []
    try:
        record = _compiled(fields)(said, "", without_column)
    except Misfit as error:
        return Read(CORRUPT, None, str(error), is_whole=False)
    return Read(OK, record, None, not without_column)


@cache
def _compiled(fields: str) -> Convert:
    return _record(json.loads(fields))


def _refused(name: str) -> Any:
    raise ValueError(name)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Misfit("", "an object has a name twice")
    return found


def _record(fields: Sequence[Mapping[str, Any]]) -> Convert:
    parts = [
        (each["name"], (each["name"], *each.get("aliases", ())), _of(each["type"]), each.get("default", _MISSING))
        for each in fields
    ]
    known = {name for _, names, _, _ in parts for name in names}

    def convert(value: Any, path: str, without_column: list[str]) -> Any:
        if type(value) is not dict:
            raise Misfit(path, f"{kind_said(value)} instead of an object")
        before = f"{path}." if path else ""
        without_column += [before + name for name in value if name not in known]
        found = []
        for name, names, of_field, default in parts:
            there = [each for each in names if each in value]
            if len(there) > 1:
                raise Misfit(before + name, f"it is there as {there[0]} and as {there[1]}")
            if not there and default is _MISSING:
                raise Misfit(before + name, "it is missing, and has no default")
            found.append(of_field(value[there[0]] if there else default, before + name, without_column))
        return tuple(found)

    return convert


def _of(avro: Any) -> Convert:
    one = sole(avro)
    inner = _of_one(one)
    may_be_null = nullable(avro)

    def convert(value: Any, path: str, without_column: list[str]) -> Any:
        if value is None:
            if may_be_null:
                return None
            raise Misfit(path, "null, and it is never null")
        return inner(value, path, without_column)

    return convert


def _of_one(avro: Any) -> Convert:
    match kind_of(avro):
        case "record":
            return _record(avro["fields"])
        case "array":
            item = _of(avro["items"])
            return lambda value, path, rest: [item(each, f"{path}[]", rest) for each in must(value, list, path)]
        case "map":
            item = _of(avro["values"])
            return lambda value, path, rest: {
                text_of(name, path): item(each, f"{path}{{}}", rest) for name, each in must(value, dict, path).items()
            }
        case _:
            convert = simple(avro)
            return lambda value, path, without_column: convert(value, path)

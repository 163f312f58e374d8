"""Records of any contract, made from its types alone: values at the bounds of their types, nulls where they may be."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from schemas.arrow import arrow_schema
from schemas.contracts import PROVENANCE, Contract

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


def sample(contract: Contract, number: int, **fields: Any) -> dict[str, Any]:
    """Record `number`, with a key of its own; of its other fields, each nullable one is null in every third record.

    Nullable fields of the key are null in every third record too. Provenance is left out.
    """
    record = {}
    for place, field in enumerate(arrow_schema(contract)):
        if field.name not in PROVENANCE:
            is_null = field.nullable and (number + place) % 3 == 0
            record[field.name] = None if is_null else _value(field.name, field.type, number)
    return record | fields


def changed(contract: Contract, record: dict[str, Any]) -> dict[str, Any]:
    """The record with another value in the first field that is none of its key."""
    field = arrow_schema(contract).field(contract.value_fields[0])
    before = record[field.name]
    after = next(made for n in range(2) if (made := _value(field.name, field.type, 1000 + n)) != before)
    return record | {field.name: after}


def _value(name: str, kind: pa.DataType, number: int) -> Any:
    made: Any
    if pa.types.is_decimal(kind):
        digits = str(10**kind.precision - 1 - number)  # as many as the type holds; arithmetic would round them
        made = Decimal(f"{digits}e-{kind.scale}")
    elif pa.types.is_map(kind):
        made = {"Núm. d'Estação": f"{number} \\ \"'", "b": "", **{f"k{n}": str(n) for n in range(number % 4)}}
    elif pa.types.is_boolean(kind):
        made = number % 2 == 0
    elif pa.types.is_floating(kind):
        made = number + 0.1
    elif pa.types.is_integer(kind):
        made = number
    elif pa.types.is_date(kind):
        made = date(2024, 1, 1) + timedelta(days=number)
    elif pa.types.is_timestamp(kind):
        made = EPOCH + timedelta(hours=number)
    else:
        made = f'{name} {number}: O\'Neill \\ "São" \U0001f4e1'
    return made

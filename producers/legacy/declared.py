"""What a mapping declares: the contract of its rows, and the source that publishes them."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from producers.calendars import Calendar
from producers.legacy import mapping as mappings
from producers.legacy.mapping import FILE, PROVENANCE, ROW, Mapping
from producers.legacy.parser import parse
from producers.model import Publication, Source
from producers.publication_clock import INSTANT
from producers.scope import Scope, any_day
from schemas.classes import PERSONAL, TECHNICAL
from schemas.contracts import Contract, load_all

_DAY = {"type": "int", "logicalType": "date"}
_INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
_AVRO: dict[str, Any] = {
    "text": "string",
    "int": "long",
    "real": "double",
    "boolean": "boolean",
    "day": _DAY,
    "instant": _INSTANT,
}
_FAR = datetime(9999, 1, 1, tzinfo=UTC)
_CLOCKS = (
    (
        "published_at",
        ["null", _INSTANT],
        "When the values could first be known, assumed from the row's day; else null.",
    ),
    (
        "published_at_basis",
        "string",
        "assumed_lag: the row's day and the mapping's lag; none: only retrieved_at is known.",
    ),
    ("retrieved_at", _INSTANT, "When the file was read, UTC."),
    ("chunk_id", "string", "The chunk, and so the transaction, that published this record."),
    ("row_number", "long", "0-based position of the row in its file."),
)

_OWN = frozenset((ROW, PROVENANCE, *(name for name, *_ in _CLOCKS)))
"""Fields that the migration itself adds; the file's name may say anything."""


def contract_text(mapping: Mapping) -> str:
    """The contract of the mapping's rows, as its file holds it: an Avro schema, and the mapping itself."""
    fields = [
        _field(FILE, "string", "Name of the file that the row was read from."),
        _field(ROW, "long", "The row's number: its rowid, or its 0-based position in the file."),
    ]
    for column in mapping.columns:
        kind = _AVRO.get(column.kind)
        if kind is None:
            precision, scale = column.digits
            kind = {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
        doc = f"Column {column.name!r} of {mapping.name}."
        fields.append(_field(column.field, kind if column.field in mapping.key else ["null", kind], doc))
    fields.append(_field(PROVENANCE, "string", "legacy_unverified: nobody measured again what the row says."))
    fields += [_field(*clock) for clock in _CLOCKS]
    return json.dumps(
        {
            "type": "record",
            "name": mapping.dataset,
            "namespace": "correnteza",
            "doc": f"Rows of {mapping.name} as the legacy system held them.",
            "topic": f"{mapping.dataset}.v1",
            "key": [FILE, *mapping.key],
            "partitions": 1,
            # Nobody has said what the columns of an old system tell about people: the strictest class, until then.
            "classes": {
                PERSONAL: [field["name"] for field in fields if field["name"] not in _OWN],
                TECHNICAL: [field["name"] for field in fields if field["name"] in _OWN],
            },
            "prune_by": _prune_by(mapping),
            "legacy": mapping.model_dump(mode="json"),
            "fields": fields,
        },
        indent=1,
        ensure_ascii=False,
    )


def _field(name: str, kind: Any, doc: str) -> dict[str, Any]:
    default = {"default": None} if isinstance(kind, list) else {}
    return {"name": name, "type": kind, "doc": doc, **default}


def _prune_by(mapping: Mapping) -> str:
    """The key's first day or instant, else its first field."""
    times = (field for field in mapping.key if field != ROW and mapping.column(field).kind in {"day", "instant"})
    return next(times, mapping.key[0])


def mapping_of(contract: Contract) -> Mapping:
    """The mapping in a contract of migrated rows."""
    assert contract.legacy is not None
    return mappings.of(dict(contract.legacy), f"{contract.name}.avsc")


def sources() -> dict[str, Source]:
    """The source of every contract that holds a mapping, by name."""
    return {contract.name: source_of(contract) for contract in load_all().values() if contract.legacy is not None}


def source_of(contract: Contract) -> Source:
    """The source of a contract that holds a mapping: nothing polls it, `correnteza migrate` publishes its files."""
    mapping = mapping_of(contract)
    return Source(
        name=contract.name,
        datasets=(contract.name,),
        base_url="https://localhost/",  # never asked: it has no resources
        calendar=Calendar(("0 0 * * *",)),  # a file that is not published to its end a day later is a finding
        terms="yours: a file of the legacy system",
        history_start=date(1900, 1, 1),
        kind="file",
        resources=lambda today, span: [],
        parse=partial(parse, mapping, contract),
        publication={contract.name: Publication(_period_end(mapping), lambda part: timedelta(days=mapping.lag_days))},
        days={contract.name: any_day},
        plan=lambda resource, progress: [],
        keeps_history=False,
    )


def scope(mapping: Mapping, file: str) -> Scope:
    """What one file states in full: all rows of its own."""
    return Scope((mapping.dataset,), where=((FILE, file),))


def _period_end(mapping: Mapping) -> Callable[[pa.RecordBatch], pa.Array]:
    """When the day ends that a row describes; far ahead where it names none, so that no clock is assumed."""

    def end(records: pa.RecordBatch) -> pa.Array:
        if mapping.day is None:
            return pa.repeat(pa.scalar(_FAR, INSTANT), records.num_rows)
        days = records.column(mapping.day).cast(INSTANT)
        return pc.fill_null(pc.add(days, pa.scalar(timedelta(days=1), pa.duration("us"))), pa.scalar(_FAR, INSTANT))

    return end

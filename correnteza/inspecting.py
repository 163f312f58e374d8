"""What is in a topic that others own, and a contract to begin with."""

import io
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import fastavro
from confluent_kafka import Message

from correnteza import inferring
from foundation.errors import UsageError
from monitoring.reading.topic_sample import PartitionSample, form_of, seconds
from schemas import framing
from schemas.classes import PERSONAL
from schemas.contracts import KEY_SEPARATOR
from schemas.external import AVRO, JSON, KAFKA, ORIGIN, RESERVED
from schemas.registry import Registry

Row = tuple[str, str, int]
"""What it is about, what is there, and how many records or offsets."""

_MOST_FIELDS = 12
"""Of so many fields every selection of up to three is compared with the message keys."""


def rows(partitions: Sequence[PartitionSample], registry: Registry) -> Iterator[Row]:
    """All that the sample shows, most frequent first."""
    messages = [message for each in partitions for message in each.messages]
    for each in partitions:
        bounds = each.bounds
        yield f"partition {each.partition}", f"offsets {bounds.first} to {bounds.stable - 1}", len(each.messages)
        if each.without_record:
            yield (
                f"partition {each.partition}",
                "offsets without a record: transactions, or compacted",
                each.without_record,
            )
    for about, of in (("value", Message.value), ("key", Message.key)):
        for form, count in Counter(form_of(of(message)) for message in messages).most_common():
            yield about, _described(form, registry), count
    names = Counter(str(each[0]) for message in messages for each in list(message.headers() or ()))
    yield from (("header", name, count) for name, count in names.most_common())
    times = sorted(at for message in messages if (at := seconds(message)) is not None)
    if times:
        first, last = (
            datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds") for at in (times[0], times[-1])
        )
        rate = f", {len(times) / (times[-1] - times[0]):.3g} records/s" if times[-1] > times[0] else ""
        yield "timestamps", f"{first} to {last}{rate}", len(times)


def _described(form: str, registry: Registry) -> str:
    kind, _, number = form.partition(" ")
    if kind != "schema":
        return "none: a tombstone, or no key" if form == "none" else form
    text = registry.schema_by_id(int(number))
    if text is None:
        return f"{form}: the registry does not know it"
    subjects = ", ".join(registry.subjects_of(int(number))) or "no subject"
    return f"{form}: {_name(text) or _other_kind(text)}, under {subjects}"


def _name(text: str) -> str | None:
    """The full name of the record that a schema describes; None if it describes none."""
    try:
        schema = json.loads(text)
        return f"{schema.get('namespace', '')}.{schema['name']}".strip(".")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _other_kind(text: str) -> str:
    try:
        schema = json.loads(text)
    except ValueError:
        return "no Avro record"
    is_of_json = isinstance(schema, dict) and ("$schema" in schema or "properties" in schema)
    return "a JSON Schema" if is_of_json else "no Avro record"


def contract(topic: str, partitions: Sequence[PartitionSample], registry: Registry) -> dict[str, Any]:
    """A contract for the kind of record that is most frequent in the sample, with the key that the message keys say.

    Raises:
        UsageError: no value is Avro in Confluent framing, or an object of JSON.
    """
    messages = [message for each in partitions for message in each.messages]
    framed = [(message, found) for message in messages if (found := framing.split(message.value() or b""))]
    known = {schema_id: registry.schema_by_id(schema_id) for schema_id in {found[0] for _, found in framed}}
    names = {schema_id: name for schema_id, text in known.items() if text and (name := _name(text))}
    records = {schema_id: json.loads(known[schema_id] or "") for schema_id in names}
    counts = Counter(found[0] for _, found in framed if found[0] in records)
    objects = [(message, said) for message in messages if (said := _object(message.value(), records)) is not None]
    if not counts and not objects:
        raise UsageError(
            f"no value of {topic} is JSON, or an Avro record in Confluent framing, of a schema that the registry has",
            hint="docs/your-topic.md says which topics can be read",
        )
    if len(objects) > sum(counts.values()):
        schema = inferring.record(topic, [said for _, said in objects])
        return _declared(topic, schema, objects, registry) | {"value_format": JSON}
    most = counts.most_common(1)[0][0]
    # The newest schema of that name: readers of it read the older ones.
    chosen = max(schema_id for schema_id in counts if names[schema_id] == names[most])
    samples = [
        (message, fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(records[schema_id])))
        for message, (schema_id, body) in framed
        if schema_id == chosen
    ]
    return _declared(topic, records[chosen], samples, registry)


def _declared(
    topic: str, written: Mapping[str, Any], samples: Sequence[tuple[Message, Any]], registry: Registry
) -> dict[str, Any]:
    """The contract of records that have this schema. Args: samples: messages and the records that they say."""
    schema = _renamed(written)
    names = [field.get("aliases", [field["name"]])[0] if field["name"] not in samples[0][1] else field["name"]
             for field in written["fields"]]  # fmt: skip
    key, key_format = _key(samples, names, registry)
    new = dict(zip(names, schema["fields"], strict=True))
    key = [new[each]["name"] for each in key]
    return {
        **schema,
        "origin": ORIGIN,
        "topic": topic,
        "key": key,
        "key_format": key_format,
        "known_from": KAFKA,
        "prune_by": key[0] if key else "",
        "classes": {PERSONAL: [field["name"] for field in schema["fields"]]},
        "expectations": [],
    }


def _renamed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema, with other names for fields that silver has columns for."""
    fields = []
    for field in schema["fields"]:
        old = field["name"]
        if old.lower() in RESERVED or old.startswith("_"):
            aliases = [*field.get("aliases", ()), old]
            fields.append({**field, "name": f"record_{old.lstrip('_')}", "aliases": aliases})
        else:
            fields.append(field)
    return {**schema, "fields": fields}


def _object(value: bytes | None, of_avro: Collection[int]) -> dict[str, Any] | None:
    """The JSON object that a value is, with or without framing; None if it is none, or of one of these schemas."""
    schema_id, body = framing.split(value or b"") or (-1, value or b"")
    if schema_id in of_avro:
        return None
    try:
        said = json.loads(body.decode("utf-8"), parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _avro_key(samples: Sequence[tuple[Message, Any]], names: Sequence[str], registry: Registry) -> list[str]:
    """The fields that every message key in Avro says: a record of them, or the only one by itself."""
    said: list[Any] = []
    for message, _ in samples:
        schema_id, body = framing.split(message.key() or b"") or (0, b"")
        text = registry.schema_by_id(schema_id)
        try:
            said.append(fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(json.loads(text or ""))))
        except Exception:  # whatever the library raises: the key is no Avro
            return []
    if all(isinstance(key, dict) for key in said):
        fields = [name for name in said[0] if name in names]
        is_same = all(key.get(name) == _plain(record[name]) for key, (_, record) in zip(said, samples, strict=True)
                      for name in fields)  # fmt: skip
        return fields if is_same else []
    pairs = list(zip(said, (record for _, record in samples), strict=True))
    return next(([name] for name in names if all(key == _plain(record.get(name)) for key, record in pairs)), [])


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _key(samples: Sequence[tuple[Message, Any]], names: Sequence[str], registry: Registry) -> tuple[list[str], str]:
    """The fields that every message key says, and how; no field where there are none."""
    keys = [message.key() for message, _ in samples]
    forms = {form_of(key) for key in keys}
    if forms and all(form.startswith("schema ") for form in forms):
        return _avro_key(samples, names, registry), AVRO
    if forms == {"json object"}:
        said = [json.loads(key or b"{}") for key in keys]
        return [name for name in said[0] if name in names], "json"
    if not samples or forms - {"text", "json"}:
        return [], "text"
    texts = [
        ((key or b"").decode(), {name: _text(record.get(name)) for name in names})
        for key, (_, record) in zip(keys, samples, strict=True)
    ]
    simple = [name for name in names if any(fields[name] is not None for _, fields in texts)]
    for length in (1, 2, 3) if len(simple) <= _MOST_FIELDS else (1, 2):
        for chosen in permutations(simple, length):
            if all(key == KEY_SEPARATOR.join(fields[name] or "" for name in chosen) for key, fields in texts):
                return list(chosen), "text"
    return [], "text"


def _text(value: Any) -> str | None:
    """A value as a message key says it; None for one that none says."""
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case float() | bytes() | list() | dict() | None:
            return None
    return str(value)

"""Records → Confluent-framed Avro and message keys, a column at a time.

Row by row, Python spends three times the time on the same rows (benchmarks/publish.py). A chunk's columns have few
distinct values, so each distinct value is encoded once, and Arrow joins the pieces: an Avro record is nothing but its
fields' bytes one after the other.
"""

import io
import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
from fastavro.schema import parse_schema

from schemas.contracts import KEY_SEPARATOR, Contract

Column: TypeAlias = Any  # pa.Array | pa.Scalar: pyarrow is untyped here
Message: TypeAlias = tuple[bytes, bytes]
"""(key, value)"""


def frame_header(schema_id: int) -> bytes:
    """The five bytes before an Avro value in Confluent's wire format."""
    return struct.pack(">bI", 0, schema_id)


def messages(contract: Contract, schema_id: int, columns: Mapping[str, Column], count: int) -> list[Message]:
    """The key and value of each of `count` records.

    Args:
        columns: every field of the contract, by name; a scalar stands for all rows.
    """
    if not count:
        return []
    values = _Join(count)
    values.constant(frame_header(schema_id))
    for field in contract.schema["fields"]:
        column = columns[field["name"]]
        if _is_text(column):
            values.text(column, is_nullable=isinstance(field["type"], list))
        else:
            values.add(_as_stored(column), _Encoder(field["type"]))
    keys = _Join(count)
    for number, name in enumerate(contract.key):
        if number:
            keys.constant(KEY_SEPARATOR.encode())
        column = _as_key(columns[name])
        if _is_text(column):
            keys.bytes_of(column)
        else:
            keys.add(column, _key_bytes)
    return list(zip(keys.joined(), values.joined(), strict=True))


def record(contract: Contract, schema_id: int, values: Mapping[str, Any]) -> Message:
    """One record, row-wise: for manifests and cursors."""
    buffer = io.BytesIO()
    buffer.write(frame_header(schema_id))
    fastavro.schemaless_writer(buffer, parse_schema(contract.schema), values)
    key = KEY_SEPARATOR.join(key_text(values[name]) for name in contract.key)
    return key.encode(), buffer.getvalue()


def key_text(value: Any) -> str:
    """One field of a natural key as text; null is nothing."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
        return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return plain(value)
    return str(value)


def plain(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) if value else "0"


def _key_bytes(value: Any) -> bytes:
    return key_text(value).encode()


def _is_text(column: Column) -> bool:
    return isinstance(column, pa.Array) and pa.types.is_string(column.type)


def _as_stored(column: Column) -> Column:
    """Dates and instants as the numbers that Avro stores: a datetime object per value would cost more than the rest."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        number = pa.int64() if pa.types.is_timestamp(column.type) else pa.int32()
        return column.cast(number)
    return column


def _as_key(column: Column) -> Column:
    """Whole-second instants as text at once; other values are turned into text one by one."""
    if not isinstance(column, pa.Array) or not pa.types.is_timestamp(column.type):
        return column
    seconds = column.cast(pa.timestamp("s", tz="UTC"), safe=False)
    if not pc.all(pc.equal(seconds.cast(column.type), column)).as_py():
        return column
    text = seconds.cast(pa.timestamp("s")).cast(pa.string())
    return pc.binary_join_element_wise(pc.replace_substring(text, " ", "T"), "Z", "")


class _Encoder:
    """One field type: value, as `_as_stored` gives it → its Avro bytes."""

    def __init__(self, kind: Any) -> None:
        bare = [_without_time(branch) for branch in kind] if isinstance(kind, list) else _without_time(kind)
        self._schema = bare if isinstance(bare, str) else parse_schema(bare)

    def __call__(self, value: Any) -> bytes:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, self._schema, value)
        return buffer.getvalue()


def _without_time(kind: Any) -> Any:
    is_time = isinstance(kind, dict) and kind.get("logicalType") in {"date", "timestamp-micros"}
    return kind["type"] if is_time else kind


class _Join:
    """Pieces of bytes to be joined row by row; neighbours that are constant are joined once."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pieces: list[pa.Array | bytes] = []

    def constant(self, piece: bytes) -> None:
        """The same bytes in every row."""
        if self._pieces and isinstance(self._pieces[-1], bytes):
            self._pieces[-1] += piece
        else:
            self._pieces.append(piece)

    def bytes_of(self, column: pa.Array) -> None:
        """A column of text as it is; null is nothing."""
        self._pieces.append(pc.fill_null(column, "").cast(pa.binary()))

    def text(self, column: pa.Array, *, is_nullable: bool) -> None:
        """A column of Avro strings: before each text stands its length, and before that the union's branch.

        Only the lengths are encoded one by one; the texts, of which there may be as many as rows, are not touched.
        """
        lengths = pc.fill_null(pc.binary_length(column), -1).dictionary_encode()
        length = _Encoder("long")
        branch = length(1) if is_nullable else b""
        prefixes = [length(0) if each < 0 else branch + length(each) for each in lengths.dictionary.to_pylist()]
        self._pieces.append(pa.array(prefixes, pa.binary()).take(lengths.indices))
        self.bytes_of(column)

    def add(self, column: Column, encode: Any) -> None:
        """A column of other values, each distinct one encoded once."""
        if isinstance(column, pa.Scalar):
            self.constant(encode(column.as_py()))
            return
        encoded = column.dictionary_encode(null_encoding="encode")
        if len(encoded.dictionary) == 1:
            self.constant(encode(encoded.dictionary[0].as_py()))
            return
        pieces = pa.array([encode(value) for value in encoded.dictionary.to_pylist()], pa.binary())
        self._pieces.append(pieces.take(encoded.indices))

    def joined(self) -> list[bytes]:
        """One bytes object per row."""
        if len(self._pieces) == 1 and isinstance(self._pieces[0], bytes):
            return [self._pieces[0]] * self._count
        scalars = [pa.scalar(piece, pa.binary()) if isinstance(piece, bytes) else piece for piece in self._pieces]
        joined: list[bytes] = pc.binary_join_element_wise(*scalars, pa.scalar(b"", pa.binary())).to_pylist()
        return joined

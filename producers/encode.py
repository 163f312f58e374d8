"""Records → Confluent-framed Avro and message keys, a column at a time.

Encoding row by row in Python takes three times as long (benchmarks/publish.py). A chunk's columns have few distinct
values, so each distinct value is encoded once, and Arrow joins the pieces: an Avro record consists of its fields' bytes
one after the other. A map consists of its entries' bytes, so all entries of a column of maps are encoded as one column,
too.
"""

import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, reduce
from typing import Any, TypeAlias

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
from fastavro.schema import parse_schema

from schemas.contracts import KEY_SEPARATOR, Contract
from schemas.framing import header

Column: TypeAlias = Any  # pa.Array | pa.Scalar: pyarrow is untyped here
Message: TypeAlias = tuple[bytes, bytes]
"""(key, value)"""


def messages(contract: Contract, schema_id: int, columns: Mapping[str, Column], count: int) -> list[Message]:
    """The key and value of each of `count` records. The entries of a map are in the order of their keys.

    Args:
        columns: every field of the contract, by name; a scalar is the value of all rows.

    Raises:
        ValueError: a map names a key twice, or is null.
    """
    if not count:
        return []
    values = _Join(count)
    values.constant(header(schema_id))
    for field in contract.schema["fields"]:
        column = columns[field["name"]]
        values.field(column, field["type"])
    return list(zip(keys(contract, columns, count), values.joined(), strict=True))


def keys(contract: Contract, columns: Mapping[str, Column], count: int) -> list[bytes]:
    """The message keys alone, of `count` records."""
    joined = _Join(count)
    for number, name in enumerate(contract.key):
        if number:
            joined.constant(KEY_SEPARATOR.encode())
        column = _as_key(columns[name])
        if _is_text(column):
            joined.bytes_of(column)
        else:
            joined.add(column, _key_bytes)
    return joined.joined()


def key_fields(contract: Contract, columns: Mapping[str, pa.Array], count: int) -> pa.MapArray:
    """One map per record: field of the natural key → its text as in the message key. A null field is absent."""
    width = len(contract.key)
    columns_of_text = [_key_text_column(columns[name]) for name in contract.key]
    # The columns are concatenated and then read by rows: entry i is of row i div width, column i mod width.
    entry = pa.arange(0, count * width, 1)
    row = pc.divide(entry, width)
    column = pc.subtract(entry, pc.multiply(row, width))
    texts = pa.concat_arrays(columns_of_text).take(pc.add(pc.multiply(column, count), row))
    names = pa.array(contract.key, pa.string()).take(column)
    present = pc.is_valid(texts)
    entries = reduce(pc.add, (pc.is_valid(each).cast(pa.int32()) for each in columns_of_text))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(entries)])
    return pa.MapArray.from_arrays(offsets, names.filter(present), texts.filter(present))


def _key_text_column(column: pa.Array) -> pa.Array:
    column = _as_key(column)
    if _is_text(column):
        return column
    encoded = column.dictionary_encode()
    texts = [key_text(value) for value in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)


def record(contract: Contract, schema_id: int, values: Mapping[str, Any]) -> Message:
    """Encode one record: for manifests and cursors. The bytes are the same as from `messages`."""
    buffer = io.BytesIO()
    buffer.write(header(schema_id))
    in_order = {name: dict(sorted(each.items())) if isinstance(each, dict) else each for name, each in values.items()}
    fastavro.schemaless_writer(buffer, parse_schema(contract.schema), in_order)
    key = KEY_SEPARATOR.join(key_text(values[name]) for name in contract.key)
    return key.encode(), buffer.getvalue()


def key_text(value: Any) -> str:
    """One field of a natural key as text; null is the empty text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
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


def _map_entries(column: pa.MapArray) -> tuple[pa.ListArray, pa.Array, pa.Array]:
    """A column of maps as numbers of each row's entries, and the keys and items with these numbers.

    Entries are in the order of their keys within each row, so that equal maps have equal bytes: the order is that of
    the keys' UTF-8 bytes, as Python's of the texts.

    Raises:
        ValueError: a key is twice in a map, or a map is null.
    """
    if column.null_count:
        raise ValueError("a map is null; the contracts have no nullable maps")
    first, last = column.offsets[0].as_py(), column.offsets[-1].as_py()
    keys, items = column.keys.slice(first, last - first), column.items.slice(first, last - first)
    numbers = pa.array(range(last - first), pa.int64())
    rows = pa.ListArray.from_arrays(pc.subtract(column.offsets, first), numbers)
    if not len(keys):
        return rows, keys, items
    encoded = keys.dictionary_encode()
    ranks = pc.rank(encoded.dictionary, sort_keys="ascending").cast(pa.int64())
    # One number per entry that rises with (row, key): texts are compared once per distinct key, not per entry.
    places = pc.add(pc.multiply(pc.list_parent_indices(rows), len(ranks) + 1), ranks.take(encoded.indices))
    if not _is_rising(places):
        order = pc.sort_indices(places)
        keys, items, places = keys.take(order), items.take(order), places.take(order)
        if not _is_rising(places):
            raise ValueError("a map names a key twice")
    return rows, keys, items


def _is_rising(numbers: pa.Array) -> bool:
    """Whether each number is greater than the one before it."""
    return len(numbers) < 2 or bool(pc.all(pc.greater(numbers[1:], numbers[:-1])).as_py())


def _as_key(column: Column) -> Column:
    """Whole-second instants as text at once; other values are turned into text one by one."""
    if not isinstance(column, pa.Array) or not pa.types.is_timestamp(column.type):
        return column
    seconds = column.cast(pa.timestamp("s", tz="UTC"), safe=False)
    if not pc.all(pc.equal(seconds.cast(column.type), column)).as_py():
        return column
    text = seconds.cast(pa.timestamp("s")).cast(pa.string())
    return pc.binary_join_element_wise(pc.replace_substring(text, " ", "T"), "Z", "")


_END_OF_MAP = b"\x00"


def _block_begin(entries: int) -> bytes:
    """The bytes before a map's entries: their number. Empty if there are none, because a zero ends the map."""
    return _Encoder("long")(entries) if entries else b""


class _Encoder:
    """One field type: value, as `_as_stored` gives it → its Avro bytes."""

    def __init__(self, kind: Any) -> None:
        bare = [_without_time(branch) for branch in kind] if isinstance(kind, list) else _without_time(kind)
        self._schema = bare if isinstance(bare, str) else parse_schema(bare)

    def __call__(self, value: Any) -> bytes:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, self._schema, value)
        return buffer.getvalue()

    def all(self, column: pa.Array) -> pa.Array | None:
        """The bytes of a whole column at once, if that can be done: of doubles, which Avro stores as Arrow does."""
        if self._schema != ["null", "double"]:
            return None
        stored = column.view(pa.binary(8)).cast(pa.binary())
        return pc.fill_null(pc.binary_join_element_wise(pa.scalar(b"\x02"), stored, pa.scalar(b"")), b"\x00")


def _without_time(kind: Any) -> Any:
    is_time = isinstance(kind, dict) and kind.get("logicalType") in {"date", "timestamp-micros"}
    return kind["type"] if is_time else kind


_GROUP_BITS = 14


@cache
def _groups() -> tuple[pa.Array, pa.Array]:
    """Every group of 14 bits as two bytes that more follow, and as the last byte or two of a number."""
    numbers = range(1 << _GROUP_BITS)
    more = [bytes([number & 127 | 128, number >> 7 | 128]) for number in numbers]
    last = [bytes([number & 127 | 128, number >> 7] if number > 127 else [number]) for number in numbers]
    return pa.array(more, pa.binary()), pa.array(last, pa.binary())


def _longs(column: pa.Array) -> list[pa.Array]:
    """Avro longs (zigzag, then 7 bits a byte) of a column that may have as many values as rows, 14 bits at a time."""
    more, last = _groups()
    sign = pc.if_else(pc.less(column, 0), -1, 0)
    left = pc.bit_wise_xor(pc.shift_left(column, 1), sign).view(pa.uint64())
    pieces, is_open = [], None
    while True:
        group = pc.bit_wise_and(left, pa.scalar((1 << _GROUP_BITS) - 1, pa.uint64())).cast(pa.int32())
        left = pc.shift_right(left, pa.scalar(_GROUP_BITS, pa.uint64()))
        goes_on = pc.greater(left, pa.scalar(0, pa.uint64()))
        is_end = not pc.any(goes_on).as_py()
        piece = last.take(group) if is_end else pc.if_else(goes_on, more.take(group), last.take(group))
        pieces.append(piece if is_open is None else pc.if_else(is_open, piece, pa.scalar(b"", pa.binary())))
        if is_end:
            return pieces
        is_open = goes_on


class _Join:
    """Pieces of bytes that are joined row by row; neighbouring constant pieces are joined only once."""

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
        """A column of text; null is empty."""
        self._pieces.append(pc.fill_null(column, "").cast(pa.binary()))

    def field(self, column: Column, kind: Any) -> None:
        """A field of a record, or the values of a map's entries, of an Avro type."""
        if _is_text(column):
            self.text(column, is_nullable=isinstance(kind, list))
        elif isinstance(column, pa.MapArray):
            self.map(column, kind["values"])
        else:
            stored = _as_stored(column)
            # A null would make the joined row null, which Kafka reads as a deletion; so the encoder refuses it.
            if _without_time(kind) == "long" and isinstance(stored, pa.Array) and not stored.null_count:
                self._pieces += _longs(stored.cast(pa.int64()))
            else:
                self.add(stored, _Encoder(kind))

    def map(self, column: pa.MapArray, kind: Any) -> None:
        """A column of Avro maps: a block with its number of entries, the entries, and an empty block to end it.

        The entries of all rows are encoded as one column and then joined per row.
        """
        rows, keys, items = _map_entries(column)
        entries = _Join(len(keys))
        entries.text(keys, is_nullable=False)
        entries.field(items, kind)
        self.add(pc.list_value_length(rows), _block_begin)
        self._pieces.append(pc.binary_join(pa.ListArray.from_arrays(rows.offsets, entries.column()), b""))
        self.constant(_END_OF_MAP)

    def text(self, column: pa.Array, *, is_nullable: bool) -> None:
        """A column of Avro strings: each is the union's branch, the length, and the text.

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
        pieces = encode.all(encoded.dictionary) if isinstance(encode, _Encoder) else None
        if pieces is None:
            pieces = pa.array([encode(value) for value in encoded.dictionary.to_pylist()], pa.binary())
        self._pieces.append(pieces.take(encoded.indices))

    def joined(self) -> list[bytes]:
        """One bytes object per row."""
        if len(self._pieces) == 1 and isinstance(self._pieces[0], bytes):
            return [self._pieces[0]] * self._count
        joined: list[bytes] = self.column().to_pylist()
        return joined

    def column(self) -> pa.Array:
        """The joined pieces as a column; some piece must be one."""
        scalars = [pa.scalar(piece, pa.binary()) if isinstance(piece, bytes) else piece for piece in self._pieces]
        return pc.binary_join_element_wise(*scalars, pa.scalar(b"", pa.binary()))

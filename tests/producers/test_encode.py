"""The bulk encoder: what fastavro decodes is what went in, for every contract and every value."""

import io
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers import encode
from schemas.arrow import arrow_schema
from schemas.contracts import datasets, load

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


SIMPLE = {
    pa.string(): st.text(max_size=12),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("us", tz="UTC"): st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(
        lambda moment: moment.replace(tzinfo=UTC)
    ),
}


def values_of(kind: pa.DataType) -> st.SearchStrategy:
    if pa.types.is_map(kind):
        return st.dictionaries(values_of(kind.key_type), values_of(kind.item_type), max_size=4)
    if pa.types.is_decimal(kind):
        most = 10**kind.precision - 1
        return st.integers(-most, most).map(lambda number: Decimal(f"{number}e-{kind.scale}"))
    return SIMPLE[kind]


@st.composite
def tables(draw):
    contract = load(draw(st.sampled_from(sorted(datasets()))))
    schema = arrow_schema(contract)
    count = draw(st.integers(1, 8))
    columns = {}
    for field in schema:
        values = values_of(field.type)
        values = st.none() | values if field.nullable else values
        pool = draw(st.lists(values, min_size=1, max_size=3))
        columns[field.name] = draw(st.lists(st.sampled_from(pool), min_size=count, max_size=count))
    return contract, schema, columns, count


@settings(max_examples=150, deadline=None)
@given(tables(), st.integers(0, 2**32 - 1))
def test_fastavro_decodes_what_the_bulk_encoder_made(table, schema_id):
    contract, schema, columns, count = table
    arrays = {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}

    found = encode.messages(contract, schema_id, arrays, count)

    expected = [{name: values[row] for name, values in columns.items()} for row in range(count)]
    assert len(found) == count
    for (_, value), row in zip(found, expected, strict=True):
        assert value[:5] == b"\x00" + schema_id.to_bytes(4, "big")
        body = io.BytesIO(value[5:])
        assert fastavro.schemaless_reader(body, contract.schema, None) == row
        assert body.read() == b""


@settings(max_examples=60, deadline=None)
@given(tables())
def test_bulk_and_row_by_row_encoding_give_the_same_bytes_and_keys(table):
    contract, schema, columns, count = table
    arrays = {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    rows = [{name: values[row] for name, values in columns.items()} for row in range(count)]
    assert encode.messages(contract, 7, arrays, count) == [encode.record(contract, 7, row) for row in rows]


def test_a_scalar_stands_for_every_row():
    contract = load("anatel_broadband_totals")
    schema = arrow_schema(contract)
    columns = {
        "reference_month_on": pa.array([date(2024, 1, 1), date(2024, 2, 1)], pa.date32()),
        "accesses": pa.array([1, 2], pa.int64()),
        "published_at": pa.scalar(None, schema.field("published_at").type),
        "published_at_basis": pa.scalar("none"),
        "retrieved_at": pa.scalar(EPOCH, schema.field("retrieved_at").type),
        "chunk_id": pa.scalar("c"),
        "row_number": pa.array([0, 1], pa.int64()),
    }
    decoded = [
        fastavro.schemaless_reader(io.BytesIO(value[5:]), contract.schema, None)
        for _, value in encode.messages(contract, 1, columns, 2)
    ]
    assert [row["row_number"] for row in decoded] == [0, 1]
    assert {(row["published_at"], row["retrieved_at"], row["chunk_id"]) for row in decoded} == {(None, EPOCH, "c")}


def stations(maps: list) -> dict[str, pa.Array]:
    """Columns of base stations that differ in nothing but their attributes."""
    schema = arrow_schema(load("anatel_base_stations"))
    values = {"license_row_id": "1", "station_number": "2", "published_at_basis": "none", "chunk_id": "c"}
    others = {"retrieved_at": EPOCH, "row_number": 0, **values}
    columns = {field.name: pa.array([others.get(field.name)] * len(maps), field.type) for field in schema}
    return columns | {"attributes": pa.array(maps, schema.field("attributes").type)}


def test_maps_with_the_same_entries_have_the_same_bytes_in_whatever_order_they_came():
    maps = [[("b", "1"), ("a", "2"), ("á", "")], [("á", ""), ("a", "2"), ("b", "1")], []]

    first, second, empty = (value for _, value in encode.messages(load("anatel_base_stations"), 1, stations(maps), 3))

    assert first == second != empty


def test_a_slice_of_maps_encodes_what_it_shows():
    maps = stations([[("k", str(n))] * (n % 2) for n in range(6)])
    part = {name: column.slice(2, 3) for name, column in maps.items()}
    contract = load("anatel_base_stations")

    assert encode.messages(contract, 1, part, 3) == encode.messages(contract, 1, maps, 6)[2:5]


@pytest.mark.parametrize(("maps", "why"), [([[("k", "1"), ("k", "2")]], "a key twice"), ([None], "is null")])
def test_what_is_no_map_is_refused(maps, why):
    with pytest.raises(ValueError, match=why):
        encode.messages(load("anatel_base_stations"), 1, stations(maps), 1)


def test_no_rows_are_no_messages():
    assert encode.messages(load("bcb_sgs"), 1, {}, 0) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("A401", "A401"),
        (433, "433"),
        (date(2024, 3, 1), "2024-03-01"),
        (datetime(2024, 3, 1, 5, tzinfo=UTC), "2024-03-01T05:00:00Z"),
        (datetime(2024, 3, 1, 5, 0, 0, 120_000, tzinfo=UTC), "2024-03-01T05:00:00.120000Z"),
        (datetime(999, 1, 1, tzinfo=UTC), "0999-01-01T00:00:00Z"),
        (Decimal("500.000000"), "500"),
        (Decimal("0.512000"), "0.512"),
        (Decimal("0E-6"), "0"),
        (Decimal("100"), "100"),
    ],
)
def test_key_fields_as_text(value, text):
    assert encode.key_text(value) == text


@given(st.integers(-(10**15), 10**15), st.booleans())
def test_instants_have_one_text_in_bulk_and_alone(microseconds, whole):
    moment = EPOCH + timedelta(microseconds=microseconds)
    moment = moment.replace(microsecond=0) if whole else moment
    column = encode._as_key(pa.array([moment], pa.timestamp("us", tz="UTC")))
    assert encode.key_text(column[0].as_py()) == encode.key_text(moment)


def test_a_number_beyond_float_text_is_not_lost():
    """0.1 + 0.2 is not 0.3: doubles travel as bits, never as text."""
    contract = load("inmet_hourly")
    schema = arrow_schema(contract)
    columns = {field.name: pa.array([None], field.type) for field in schema}
    columns |= {
        "station_code": pa.array(["A401"]),
        "observed_at": pa.array([EPOCH], schema.field("observed_at").type),
        "rain_mm": pa.array([0.1 + 0.2]),
        "published_at_basis": pa.array(["none"]),
        "retrieved_at": pa.array([EPOCH], schema.field("retrieved_at").type),
        "chunk_id": pa.array(["c"]),
        "row_number": pa.array([0]),
    }
    ((_, value),) = encode.messages(contract, 1, columns, 1)
    decoded = fastavro.schemaless_reader(io.BytesIO(value[5:]), contract.schema, None)
    assert decoded["rain_mm"] == 0.1 + 0.2
    assert not math.isclose(decoded["rain_mm"], 0.3, rel_tol=0, abs_tol=0)

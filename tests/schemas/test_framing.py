"""The five bytes before a record's Avro bytes."""

import pytest

from schemas import framing


@pytest.mark.parametrize("schema_id", [0, 1, 2**31, 2**32 - 1])
def test_what_was_framed_is_split_into_the_same(schema_id):
    value = framing.header(schema_id) + b"avro"
    assert value[: framing.HEADER_BYTES] == b"\x00" + schema_id.to_bytes(4, "big")
    assert framing.split(value) == (schema_id, b"avro")


@pytest.mark.parametrize("value", [b"", b"\x00\x00\x00\x01", b"\x01\x00\x00\x00\x01avro", b"\xff" * 9])
def test_another_value_is_not_framed(value):
    assert framing.split(value) is None


def test_a_record_may_have_no_bytes_of_its_own():
    assert framing.split(b"\x00\x00\x00\x00\x07") == (7, b"")

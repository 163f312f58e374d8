"""The cursor topic as it is read at the start of a poll: of each key the newest record, and no other is decoded."""

import json
from datetime import UTC, datetime

import pytest

from foundation.errors import UnsafeState
from producers import committed, cursor
from producers.committed import Committed
from producers.model import Cursor, PartState
from schemas.contracts import load

OWNER = "inmet_hourly"
SCHEMA = json.dumps(load("ingest.cursors").schema)
STATE = PartState("a member", "ab" * 32, 1, 8040, True, True, datetime(2025, 3, 1, tzinfo=UTC))


def read(monkeypatch, *records: tuple[bytes | None, bytes | None]) -> dict[str, dict[str, Cursor]]:
    """Args: records: (key, value), in order."""
    there = [Committed(offset, *record) for offset, record in enumerate(records)]
    monkeypatch.setattr(committed, "records", lambda bootstrap, topic: iter(there))
    return cursor.read("a broker", "cursors", (OWNER, "inmet_hourly.backfill"), lambda schema_id: SCHEMA)


def written(resource: str, parts: int, owner: str = OWNER) -> tuple[bytes | None, bytes]:
    return cursor.message(Cursor(owner, resource, parts={f"A{n}": STATE for n in range(parts)}), 7)


def test_of_a_year_that_was_committed_station_by_station_one_record_is_decoded(monkeypatch):
    decoded = []
    decode = cursor._decode
    monkeypatch.setattr(cursor, "_decode", lambda *given: decoded.append(given[-1]) or decode(*given))
    found = read(monkeypatch, *(written("2025", stations) for stations in range(1, 60)), written("2024", 1))
    assert {resource: len(each.parts) for resource, each in found[OWNER].items()} == {"2025": 59, "2024": 1}
    assert decoded == [58, 59], "offsets of the newest records"


def test_each_owner_has_its_own_and_others_are_left_out(monkeypatch):
    theirs = [written("2025", 2, "inmet_hourly.backfill"), written("2025", 3, "bcb_sgs"), (None, b"no key")]
    found = read(monkeypatch, written("2025", 1), *theirs)
    assert {owner: len(each["2025"].parts) for owner, each in found.items()} == {OWNER: 1, "inmet_hourly.backfill": 2}


def test_a_key_whose_newest_record_is_a_tombstone_has_no_cursor(monkeypatch):
    assert read(monkeypatch, written("2025", 1), (b"inmet_hourly|2025", None))[OWNER] == {}


def test_a_newest_record_that_cannot_be_read_is_unsafe_and_a_superseded_one_is_ignored(monkeypatch):
    broken = (b"inmet_hourly|2025", b"\x00\x00\x00\x00\x07\xff")
    assert len(read(monkeypatch, broken, written("2025", 1))[OWNER]["2025"].parts) == 1
    with pytest.raises(UnsafeState, match="cursors, offset 1: not a cursor"):
        read(monkeypatch, written("2025", 1), broken)

"""A payload from which a key was erased: the same rows, in the same chunks, without the erased ones."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from foundation.errors import InvalidContent
from producers import erased, payloads, sources
from producers.archive import ROWS, Archive
from producers.erased import Erasing, Taken
from producers.model import Part
from producers.payloads import MEDIA_BODY
from tests import byte_search

SGS = sources.load("bcb_sgs")
NOW = datetime(2025, 1, 1, tzinfo=UTC)
PART = Part("433", "p", "433 p", NOW)
SAME_BYTES = Part("188", "q", "188 q", NOW)
DAYS = [f"{day:02}/01/2024" for day in range(1, 8)]
BODY = json.dumps([{"data": day, "valor": "1.5"} for day in DAYS] + [{"data": "x", "valor": "raw-canary"}]).encode()


def of_days(*days: int) -> Erasing:
    return Erasing(
        lambda _, rows: pc.is_in(rows.column("reference_on").cast(pa.int32()), value_set=pa.array(days, pa.int32())),
        lambda reject: b"raw-canary" in reject.raw,
    )


FIRST = (datetime(2024, 1, 1) - datetime(1970, 1, 1)).days
ERASING = of_days(FIRST + 1, FIRST + 5)


@pytest.fixture
def archive(tmp_path) -> Archive:
    return Archive(tmp_path / "archive")


def put(archive: Archive) -> str:
    about = {"source": "bcb_sgs", "resource": "433", "part": "p", "media": MEDIA_BODY, "retrieved_at": NOW}
    return archive.put([BODY], about).sha256


def erase(archive: Archive, sha256: str, *parts: Part, erasing: Erasing = ERASING) -> list[Taken]:
    payload = archive.get(sha256)
    assert payload is not None
    before = erased.taken_from(payload) if payload.about["media"] == ROWS else {}
    taken: list[Taken] = []
    chunks = [(part, payloads.parsed(SGS, payload, part, chunk_rows=3)) for part in parts]
    archive.keep_rows(sha256, lambda target: taken.append(erased.write(chunks, erasing, before, target)))
    return taken


def rows(archive: Archive, sha256: str, part: Part = PART, **options) -> list[tuple[int, int, list[int], int]]:
    """(first row, next row, row numbers, rejects) of each chunk."""
    payload = archive.get(sha256)
    assert payload is not None
    return [
        (each.first_row, each.next_row, each.records["bcb_sgs"].column("row_number").to_pylist(), len(each.rejects))
        for each in payloads.parsed(SGS, payload, part, **options)
    ]


def test_rows_keep_their_numbers_and_chunks_their_bounds(archive):
    sha256 = put(archive)
    assert rows(archive, sha256, chunk_rows=3) == [(0, 3, [0, 1, 2], 0), (3, 6, [3, 4, 5], 0), (6, 8, [6], 1)]
    assert erase(archive, sha256, PART) == [Taken(2, 1)]
    assert rows(archive, sha256) == [(0, 3, [0, 2], 0), (3, 6, [3, 4], 0), (6, 8, [6], 0)]
    assert rows(archive, sha256, first_row=3) == [(3, 6, [3, 4], 0), (6, 8, [6], 0)]
    assert rows(archive, sha256, first_row=4) == [(4, 6, [4], 0), (6, 8, [6], 0)]
    assert rows(archive, sha256, first_row=8) == []


def test_the_bytes_are_gone_and_the_same_bytes_are_not_kept_again(archive, tmp_path):
    sha256 = put(archive)
    erase(archive, sha256, PART)
    assert byte_search.in_files(tmp_path, b"raw-canary") == []
    assert put(archive) == sha256
    assert byte_search.in_files(tmp_path, b"raw-canary") == []
    payload = archive.get(sha256)
    assert payload is not None
    assert payload.about["media"] == ROWS
    assert [name for name, _ in archive.names()] == [sha256]
    assert archive.remove(sha256, datetime.now(UTC).replace(year=2100))
    assert archive.get(sha256) is None
    assert list(archive.names()) == []


def test_bytes_that_a_kill_left_beside_the_rows_are_found_and_go(archive, tmp_path, monkeypatch):
    sha256 = put(archive)
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "forget_bytes", lambda self, sha256: False)
        erase(archive, sha256, PART)
    assert byte_search.in_files(tmp_path, b"raw-canary")
    assert rows(archive, sha256)[0] == (0, 3, [0, 2], 0), "the rows stand for them already"
    assert archive.forget_bytes(sha256)
    assert not archive.forget_bytes(sha256)
    assert byte_search.in_files(tmp_path, b"raw-canary") == []


def test_a_second_key_is_taken_from_what_the_first_left_and_both_are_counted(archive):
    sha256 = put(archive)
    erase(archive, sha256, PART)
    assert erase(archive, sha256, PART, erasing=of_days(FIRST)) == [Taken(1, 0)]
    payload = archive.get(sha256)
    assert payload is not None
    assert erased.taken_from(payload) == {erased.name_of(PART): Taken(3, 1)}
    assert rows(archive, sha256)[0] == (0, 3, [2], 0)


def test_equal_bytes_of_two_resources_are_one_payload_with_two_parts(archive):
    sha256 = put(archive)
    erase(archive, sha256, PART, SAME_BYTES)
    payload = archive.get(sha256)
    assert payload is not None
    (first, *_) = payloads.parsed(SGS, payload, SAME_BYTES)
    assert first.records["bcb_sgs"].column("series_code").to_pylist() == [188, 188]
    with pytest.raises(InvalidContent, match="was not read from it before"):
        list(payloads.parsed(SGS, payload, Part("1", "z", "1 z", NOW)))


def test_a_payload_without_rows_leaves_one_empty_chunk_as_its_parser_does(archive):
    about = {"source": "bcb_sgs", "resource": "433", "part": "p", "media": MEDIA_BODY, "retrieved_at": NOW}
    sha256 = archive.put([b"[]"], about).sha256
    before = rows(archive, sha256)
    erase(archive, sha256, PART)
    assert rows(archive, sha256) == before == [(0, 0, [], 0)]

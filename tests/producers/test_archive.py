"""The payload archive."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from foundation.errors import InvalidContent
from producers import archive
from producers.archive import Archive, read_blocks

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def test_a_payload_is_found_by_its_hash_with_what_is_known_of_it(tmp_path):
    store = Archive(tmp_path)
    payload = store.put([b"one ", b"two"], {"media": "body", "retrieved_at": NOW})
    assert payload.sha256 == hashlib.sha256(b"one two").hexdigest()
    found = store.get(payload.sha256)
    assert found is not None
    assert b"".join(read_blocks(found.path)) == b"one two"
    assert found.about["retrieved_at"] == "2026-01-05T00:00:00+00:00"
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_payload_cut_short_is_not_found(tmp_path):
    store = Archive(tmp_path)
    payload = store.put([b"one two"], {"media": "body"})
    payload.path.write_bytes(b"one")
    assert store.get(payload.sha256) is None


def test_what_was_never_put_is_not_found(tmp_path):
    assert Archive(tmp_path).get("0" * 64) is None


def test_a_payload_above_the_cap_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_PAYLOAD_BYTES", 10)
    with pytest.raises(InvalidContent):
        Archive(tmp_path).put([b"123456", b"789012"], {})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_samples_of_what_is_no_data_are_capped_in_size_and_number(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "INVALID_SAMPLES", 3)
    monkeypatch.setattr(archive, "INVALID_SAMPLE_BYTES", 10)
    store = Archive(tmp_path)
    for number in range(5):
        newest = store.put_invalid(b"<html>%d and much more" % number, {"url": "u"}, NOW + timedelta(seconds=number))
    kept = sorted((tmp_path / "invalid").glob("*Z-????????????"))
    assert len(kept) == 3
    assert newest == kept[-1]
    assert newest.read_bytes() == b"<html>4 an"
    assert json.loads(newest.with_suffix(".json").read_text()) == {"url": "u"}


def test_what_a_dead_process_spooled_is_removed_and_what_a_living_one_spools_is_not(tmp_path):
    store = Archive(tmp_path)
    with store.spool() as file:
        (tmp_path / "spool" / "999999999-dead").write_bytes(b"x")
        store.clear_spool()
        assert [path.name for path in (tmp_path / "spool").iterdir()] == [file.name.rsplit("/", 1)[1]]

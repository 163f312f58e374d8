"""The payload archive."""

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundation.errors import InvalidContent
from producers import archive
from producers.archive import ROWS, Archive, read_blocks

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


def put_again(store, monkeypatch, at_rename):
    """Put the payload again just before the nth rename of its removal."""
    rename, count = Path.rename, [0]

    def late(self, target):
        if self.parent.parent.name == "sha256":
            count[0] += 1
            if count[0] == at_rename:
                monkeypatch.setattr(Path, "rename", rename)
                store.put([b"payload"], {"source": "again"})
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)


def is_whole(store, sha256):
    """The oracle: the archive still holds what was put again."""
    found = store.get(sha256)
    return [] if found and found.path.read_bytes() == b"payload" else ["the payload that was put again is gone"]


def old_payload(root):
    """A store with a payload of a month ago, and the moment before which it may go."""
    store = Archive(root)
    payload = store.put([b"payload"], {"source": "some"})
    for file in (payload.path, payload.path.with_name(payload.path.name + ".json")):
        os.utime(file, (1e9, 1e9))
    return store, payload.sha256, datetime.fromtimestamp(1e9 + 1, UTC)


def test_an_archive_on_a_disk_spools_on_its_own_file_system(tmp_path):
    store = Archive(tmp_path / "archive", tmp_path / "spool")
    with store.spool() as file:
        assert Path(file.name).parent == tmp_path / "archive" / "spool"
    assert not (tmp_path / "spool").exists()


def test_rows_that_are_left_stand_for_a_payload_and_are_named_once(tmp_path):
    store, sha256, _ = old_payload(tmp_path)
    store.keep_rows(sha256, lambda file: file.write(b"rows"))
    left = store.get(sha256)
    assert left is not None
    assert (left.about["media"], left.size, [name for name, _ in store.names()]) == (ROWS, 4, [sha256])
    assert store.put([b"payload"], {"source": "some"}) == left
    assert store.remove(sha256, datetime.max.replace(tzinfo=UTC))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_old_payload_is_named_and_removed_whole(tmp_path):
    store, sha256, before = old_payload(tmp_path)
    assert list(store.names()) == [(sha256, datetime.fromtimestamp(1e9, UTC))]
    assert store.remove(sha256, before)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("at_rename", [1, 2])
def test_control_a_payload_that_is_put_again_meanwhile_stays(tmp_path, monkeypatch, control, at_rename):
    store, sha256, before = old_payload(tmp_path / "one")
    put_again(store, monkeypatch, at_rename)
    store.remove(sha256, before)
    control.holds(is_whole, store, sha256)

    store, sha256, _ = old_payload(tmp_path / "other")
    put_again(store, monkeypatch, at_rename)
    store.remove(sha256, datetime.max.replace(tzinfo=UTC))  # whatever was put since
    control.objects(is_whole, store, sha256, damage="that was put again is gone")

"""Files mean the same on a disk and in a store."""

import pytest

from foundation.errors import DependencyUnavailable, UsageError
from storage import files, location
from storage.location import Remote
from storage.s3 import S3


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path):
    """An empty folder, of either kind."""
    return tmp_path if request.param == "disk" else request.getfixturevalue("lake")


def test_what_is_written_is_listed_looked_at_and_read(folder):
    files.write(folder / "a.json", b"one")
    files.write(folder / "deep" / "b.json", b"two")
    files.write(folder / "a.json", b"other")

    assert files.read(folder / "a.json") == b"other"
    assert files.names(folder / "deep") == ["b.json"]
    assert [(entry.name, entry.size) for entry in files.entries(folder)] == [("a.json", 5)]
    assert sorted(entry.name for entry in files.walk(folder)) == ["a.json", "deep/b.json"]
    assert files.folders(folder) == ["deep"]
    assert files.is_folder(folder / "deep")
    assert files.sizes(folder, ["a.json", "deep/b.json", "gone"]) == {"a.json": 5, "deep/b.json": 3}
    assert b"".join(files.blocks(folder / "a.json", 1, 3, most=2)) == b"the"


def test_what_is_not_there_is_said_to_be_so(folder):
    assert (files.look(folder / "a"), files.size(folder / "a"), files.exists(folder / "a")) == (None, None, False)
    assert (files.entries(folder / "b"), files.folders(folder / "b"), list(files.walk(folder / "b"))) == ([], [], [])
    assert not files.is_folder(folder / "b")
    with pytest.raises(FileNotFoundError):
        files.read(folder / "a")
    files.remove(folder / "a")
    files.remove_tree(folder / "b")


def test_a_file_is_moved_linked_and_removed(folder):
    files.write(folder / "first", b"bytes")
    files.link(folder / "first", folder / "deep" / "second")
    files.link(folder / "first", folder / "deep" / "second")
    files.move(folder / "first", folder / "third")

    assert sorted(entry.name for entry in files.walk(folder)) == ["deep/second", "third"]
    assert files.read(folder / "deep" / "second") == files.read(folder / "third") == b"bytes"
    files.remove_tree(folder / "deep")
    assert [entry.name for entry in files.walk(folder)] == ["third"]


def test_a_file_is_created_once_and_nothing_else_is_left(folder):
    files.write(folder / "there", b"first")
    files.create(folder / "there", b"second")
    files.create(folder / "new", b"second")
    assert {entry.name: files.read(folder / entry.name) for entry in files.walk(folder)} == {
        "there": b"first",
        "new": b"second",
    }


def test_a_download_is_kept_whole(folder, tmp_path):
    spooled = tmp_path / "spooled"
    spooled.write_bytes(b"x" * 7_000_000)
    files.keep(spooled, folder / "kept" / "payload")
    assert files.size(folder / "kept" / "payload") == 7_000_000


def test_a_store_that_refuses_or_is_away_is_a_dependency_that_is_away(store, lake):
    other = Remote(S3(store.endpoint, access_key="nobody", secret_key="nothing"), lake.bucket, lake.key)
    with pytest.raises(DependencyUnavailable, match="refuses"):
        files.read(other / "a")


def test_a_bucket_that_nobody_connected_is_an_error_of_use():
    with pytest.raises(UsageError, match="not known here"):
        location.location("s3://nobody-connected-this/x")
    with pytest.raises(UsageError, match="names no bucket"):
        location.location("s3:///x")


def test_a_secret_stands_in_no_text(store):
    assert store.secret_key not in repr(store)

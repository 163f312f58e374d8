"""A file that holds state is replaced whole."""

import os
from pathlib import Path

import pytest

from foundation.files import replace_file
from tests.controls import complaint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "state.json"
    replace_file(made, "[1, 2, 3]")
    return made


def test_a_file_is_made_and_replaced_and_leaves_nothing_beside_it(file):
    assert file.read_text() == "[1, 2, 3]"
    replace_file(file, "[4]")
    replace_file(file.with_name("bytes"), b"\x00")
    assert (file.read_text(), file.with_name("bytes").read_bytes()) == ("[4]", b"\x00")
    assert sorted(each.name for each in file.parent.iterdir()) == ["bytes", "state.json"]


def cut_short(file: Path) -> list[str]:
    """The oracle: a process killed while it writes leaves the file with its former content."""
    said = complaint(lambda: replace_file(file, "[5, 6, 7]"))
    assert said, "the disk was full"
    return [] if file.read_text() == "[1, 2, 3]" else [f"the file holds {file.read_text()!r}"]


def test_control_written_in_place_a_file_is_cut_short_by_a_full_disk(file, monkeypatch, control):
    def full(descriptor: int) -> None:
        os.truncate(descriptor, 2)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    control.holds(cut_short, file)
    monkeypatch.setattr(Path, "with_name", lambda self, name: self)
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    control.objects(cut_short, file, damage="the file holds '[5'")

"""Zips by span: the directory, the members, and everything that can be wrong with both."""

import io
import random
import zipfile
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.errors import InvalidContent
from producers.formats import zips
from producers.poll_zip import runs

TEXT = b"Ano;M\xc3\xaas;Acessos\r\n" * 5_000
NOISE = random.Random(7).randbytes(300_000)


def made(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("folder/", b"")
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def directory(data: bytes, log: list[tuple[int, int]] | None = None) -> list[zips.Member]:
    def fetch(start: int, end: int) -> bytes:
        if log is not None:
            log.append((start, end))
        return data[start:end]

    return zips.directory(zips.RangeFile(len(data), fetch))


def blocks(data: bytes, size: int = 1000):
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_members_span_alone_gives_its_content(method):
    data = made({"a.csv": TEXT, "b.csv": NOISE, "c.csv": b""}, method)
    members = directory(data)
    assert [member.name for member in members] == ["a.csv", "b.csv", "c.csv"]
    for member, content in zip(members, (TEXT, NOISE, b""), strict=True):
        zips.check(member)
        assert b"".join(zips.inflate(blocks(data[member.start : member.end]), member)) == content


def test_what_macos_adds_to_a_zip_is_no_member():
    """`__MACOSX/._a.csv` bears a member's name and would be read, and refused, at every poll."""
    content = {"a.csv": TEXT, "__MACOSX/._a.csv": b"\0\5\x16\7", "b/._c.csv": b"\0\5\x16\7", "b/c.csv": NOISE}
    data = made(content)
    members = directory(data)
    assert [member.name for member in members] == ["a.csv", "b/c.csv"]
    for member in members:
        assert b"".join(zips.inflate(blocks(data[member.start : member.end]), member)) == content[member.name]


def test_a_backslash_between_folders_is_read_as_a_slash():
    data = made({"2024\\a.csv": TEXT, "empty\\": b"", "__MACOSX\\._a.csv": b"\0\5\x16\7"})
    (member,) = directory(data)
    assert member.name == "2024/a.csv"
    assert b"".join(zips.inflate(blocks(data[member.start : member.end]), member)) == TEXT


def test_the_directory_of_a_large_zip_costs_one_request():
    log: list[tuple[int, int]] = []
    data = made({f"{number}.csv": NOISE for number in range(5)})
    assert len(directory(data, log)) == 5
    assert len(log) == 1
    assert log[0][1] - log[0][0] < len(data) / 4


def test_spans_lie_end_to_end_up_to_the_directory():
    data = made({"a": TEXT, "b": NOISE, "c": TEXT})
    members = directory(data)
    assert [member.end for member in members[:-1]] == [member.start for member in members[1:]]
    assert data[members[-1].end :].startswith(b"PK\x01\x02")


@pytest.mark.parametrize("place", [40, 200, -5])
def test_one_flipped_bit_is_found(place):
    data = made({"a": NOISE})
    (member,) = directory(data)
    span = bytearray(data[member.start : member.end])
    span[place] ^= 1
    with pytest.raises(InvalidContent):
        zips.verify(blocks(bytes(span)), member)


@pytest.mark.parametrize("kept", [0, 10, 100, 299_000])
def test_a_span_cut_short_is_found(kept):
    data = made({"a": NOISE})
    (member,) = directory(data)
    with pytest.raises(InvalidContent):
        zips.verify(blocks(data[member.start : member.start + kept]), member)


def test_a_member_that_expands_to_more_than_it_declares_is_stopped_there():
    data = made({"a": bytes(50 << 20)})
    (member,) = directory(data)
    lying = replace(member, size=1 << 20)
    taken: list[int] = []
    with pytest.raises(InvalidContent, match="more than"):
        taken.extend(map(len, zips.inflate(blocks(data[member.start : member.end]), lying)))
    assert sum(taken) <= 2 << 20


def test_a_bomb_is_refused_before_a_byte_of_it_is_fetched():
    with pytest.raises(InvalidContent, match="expands"):
        zips.check(directory(made({"a": bytes(100 << 20)}))[0])


@pytest.mark.parametrize(("method", "name"), [(9, "deflate64"), (12, "bzip2"), (14, "LZMA"), (93, "Zstandard")])
def test_other_compression_methods_are_named(method, name):
    """Python writes bzip2; the others are the same zip with the method's number changed in the directory."""
    data = bytearray(made({"a": TEXT}, zipfile.ZIP_BZIP2))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 10 : entry + 12] = method.to_bytes(2, "little")
    with pytest.raises(InvalidContent, match=rf"a: compression method {method} \({name}\)"):
        zips.check(directory(bytes(data))[0])


def test_a_member_that_overlaps_another_is_refused():
    """How a small zip declares petabytes: every directory entry points at the same compressed bytes."""
    data = bytearray(made({"a": NOISE, "b": NOISE}))
    last = data.rindex(b"PK\x01\x02")
    data[last + 42 : last + 46] = (50).to_bytes(4, "little")
    first, second = directory(bytes(data))
    with pytest.raises(InvalidContent, match="overlaps"):
        zips.check(first)
    with pytest.raises(InvalidContent, match="no local header"):
        zips.verify(blocks(bytes(data)[second.start : second.end]), second)


def test_too_many_members_are_refused():
    with pytest.raises(InvalidContent, match="10001 members"):
        directory(made({f"{number}": b"" for number in range(zips.MAX_MEMBERS)}))


def test_a_directory_that_would_not_fit_into_memory_is_refused_before_it_is_read(monkeypatch):
    log: list[tuple[int, int]] = []
    data = made({f"{number}" * 50: b"" for number in range(2000)})
    monkeypatch.setattr(zips, "MAX_DIRECTORY_BYTES", 256 << 10)
    with pytest.raises(InvalidContent, match="a central directory above"):
        directory(data, log)
    assert sum(end - start for start, end in log) <= 256 << 10


def test_a_zip_in_a_zip_is_bytes_like_any_other():
    """Members are never looked into, so nesting multiplies nothing."""
    inner = made({"bomb": bytes(30 << 20)})
    (member,) = directory(made({"inner.zip": inner}))
    assert member.size == len(inner)


@pytest.fixture
def huge(tmp_path):
    """A zip of more than 4 GiB, of which all but a few kilobytes are holes: its offsets need ZIP64."""
    path = tmp_path / "huge.zip"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 10)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", TEXT)
        with archive.open("b.csv", "w", force_zip64=True) as member:
            member.write(NOISE)
    return path


def test_a_zip_above_four_gibibytes_is_read_by_range(huge):
    with huge.open("rb") as file:

        def fetch(start: int, end: int) -> bytes:
            file.seek(start)
            return file.read(end - start)

        members = zips.directory(zips.RangeFile(huge.stat().st_size, fetch))
        assert [member.name for member in members] == ["a.csv", "b.csv"]
        assert all(member.start > 4 << 30 for member in members)
        for member, content in zip(members, (TEXT, NOISE), strict=True):
            zips.check(member)
            assert b"".join(zips.inflate(blocks(fetch(member.start, member.end)), member)) == content


class Unseekable(io.BytesIO):
    """As a pipe: the writer cannot go back to fill in sizes."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def test_members_with_data_descriptors_are_read_too():
    """A zip written as a stream states sizes and CRC behind each member, not before."""
    pipe = Unseekable()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("a.csv", TEXT), ("b.csv", NOISE)):
            archive.writestr(name, content)
    data = pipe.getvalue()
    for member, content in zip(directory(data), (TEXT, NOISE), strict=True):
        zips.check(member)
        assert b"".join(zips.inflate(blocks(data[member.start : member.end]), member)) == content


def test_a_zip_without_files_is_refused_also_if_only_its_end_says_so():
    """A single damaged byte makes the directory's size zero: all files stand there, and the end counts none."""
    whole = made({"a.csv": TEXT, "b.csv": NOISE})
    size_of_directory = len(whole) - 10
    assert int.from_bytes(whole[size_of_directory : size_of_directory + 4], "little") > 0
    for data in (made({}), whole[:size_of_directory] + bytes(4) + whole[size_of_directory + 4 :]):
        with pytest.raises(InvalidContent, match="a zip without files"):
            directory(data)


def test_a_member_without_a_name_is_refused():
    with pytest.raises(InvalidContent, match="no name"):
        directory(made({"a.csv": TEXT}).replace(b"a.csv", b"\0.csv"))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_zip_is_refused_or_read_and_nothing_else(data):
    whole = made({"a.csv": TEXT[:400], "b.csv": NOISE[:400]})
    start = data.draw(st.integers(0, len(whole) - 1))
    damage = data.draw(st.binary(min_size=1, max_size=40))
    damaged = whole[:start] + damage + whole[start + len(damage) :]
    with suppress(InvalidContent):
        for member in directory(damaged):
            zips.check(member)
            zips.verify(blocks(damaged[member.start : member.end]), member)


@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_refused_or_a_zip(body):
    with suppress(InvalidContent):
        directory(body)


def test_changed_neighbours_are_one_request_and_a_gap_begins_another(monkeypatch):
    members = directory(made(dict.fromkeys("abcde", NOISE)))
    a, b, c, d, e = [(member.name, member) for member in members]
    assert list(runs([a, b, d, e])) == [[a, b], [d, e]]
    monkeypatch.setattr("producers.poll_zip.RUN_BYTES", 2 * len(NOISE) + 1000)
    assert list(runs([a, b, c, d, e])) == [[a, b], [c, d], [e]]
    assert list(runs([])) == []

"""Read zips by byte ranges: first the central directory, then only the wanted members.

A member's payload is its exact span in the file, from its local header to the next one: the archive holds the source's
own bytes, and one archived span can be inflated and checked without the rest of the zip.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from foundation.errors import InvalidContent

MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 4 << 20
"""A directory has at least 46 bytes per member and is read into memory as a whole; the largest real one has about 100
KB."""
MAX_MEMBER_BYTES = 8 << 30
MAX_RATIO = 250
"""A larger member with a higher compression ratio counts as a zip bomb; the highest real ratios are about 60."""
_RATIO_MATTERS_ABOVE = 64 << 20
_TAIL_BYTES = 256 << 10
_OUTPUT_BLOCK = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s2H3H3I2H")
_STORED, _DEFLATED = 0, 8
# Other compression methods of zip tools (APPNOTE.TXT 4.4.5), by their common names.
_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
_ENCRYPTED = 1


@dataclass(frozen=True)
class Member:
    """One member: its entry in the central directory, and its span [start, end) in the file."""

    name: str
    crc32: int
    size: int
    compressed_size: int
    method: int
    start: int
    end: int


class RangeFile(io.RawIOBase):
    """A remote file as a seekable one, enough for `zipfile` to read the central directory.

    The end of the file is fetched once; nearly every central directory is in it.
    """

    def __init__(self, length: int, fetch: Callable[[int, int], bytes]) -> None:
        self._length = length
        self._fetch = fetch
        self._position = 0
        self._tail_start = max(0, length - _TAIL_BYTES)
        self._tail: bytes | None = None

    def seekable(self) -> bool:
        """Always."""
        return True

    def readable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As any file."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        if origin + offset < 0:
            raise OSError("seek before the beginning")
        self._position = origin + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """As any file. Raises: InvalidContent for a read that no sane directory needs."""
        start = min(self._position, self._length)
        end = self._length if size is None or size < 0 else min(self._length, start + size)
        if end - start > MAX_DIRECTORY_BYTES:
            raise InvalidContent(f"a central directory above {MAX_DIRECTORY_BYTES} bytes")
        self._position = end
        if start >= end:
            return b""
        if start < self._tail_start:
            return self._fetch(start, end)
        if self._tail is None:
            self._tail = self._fetch(self._tail_start, self._length)
        return self._tail[start - self._tail_start : end - self._tail_start]


def directory(file: io.RawIOBase) -> list[Member]:
    """The files in a zip, in the order of their places, without the extra files of macOS. Raises: InvalidContent.

    Names have `/` between folders, also where a Windows program wrote `\\` against the format (APPNOTE.TXT 4.4.17.1):
    members are selected by the last part of a name.
    """
    try:
        archive = zipfile.ZipFile(file)
    # zipfile raises any of these for hostile bytes.
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error, KeyError, IndexError) as error:
        raise InvalidContent(f"not a readable zip: {error}") from error
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    if len(infos) > MAX_MEMBERS:
        raise InvalidContent(f"a zip of {len(infos)} members")
    if not all(info.filename for info in infos):
        raise InvalidContent("a zip with a member that has no name")
    ends = [info.header_offset for info in infos[1:]] + [archive.start_dir]
    members = [
        Member(
            info.filename.replace("\\", "/"),
            info.CRC,
            info.file_size,
            info.compress_size,
            info.compress_type,
            info.header_offset,
            end,
        )
        for info, end in zip(infos, ends, strict=False)  # without infos there is an end too many
    ]
    files = [member for member in members if not member.name.endswith("/") and not _is_of_a_mac(member.name)]
    if not files:  # a damaged end counts none although they stand there; taken for read, they would be passed over
        raise InvalidContent("a zip without files")
    return files


def _is_of_a_mac(name: str) -> bool:
    """Whether a member is metadata of macOS about another member (AppleDouble): it has a similar name, but no
    content."""
    *folders, last = name.split("/")
    return "__MACOSX" in folders or last.startswith("._")


def check(member: Member) -> None:
    """Whether a member may be read at all. Raises: InvalidContent."""
    if member.method not in {_STORED, _DEFLATED}:
        method = f"{member.method} ({_METHODS.get(member.method, 'unknown')})"
        raise InvalidContent(f"{member.name}: compression method {method} is not supported; stored and deflate are")
    if member.size > MAX_MEMBER_BYTES:
        raise InvalidContent(f"{member.name}: {member.size} bytes unpacked")
    if member.size > _RATIO_MATTERS_ABOVE and member.size > MAX_RATIO * max(1, member.compressed_size):
        raise InvalidContent(f"{member.name}: expands {member.size // max(1, member.compressed_size)} times")
    if member.end - member.start < _LOCAL_HEADER.size + member.compressed_size:
        raise InvalidContent(f"{member.name}: overlaps its neighbour")


def inflate(span: Iterable[bytes], member: Member) -> Iterator[bytes]:
    """The member's content in blocks. Size and CRC are checked when it has been read to its end.

    Raises: InvalidContent.
    """
    crc, size = 0, 0
    for block in _content(_compressed(iter(span), member), member):
        crc = zlib.crc32(block, crc)
        size += len(block)
        if size > member.size:
            raise InvalidContent(f"{member.name}: more than the {member.size} bytes it declares")
        yield block
    if size != member.size or crc != member.crc32:
        raise InvalidContent(f"{member.name}: damaged (size or CRC is not what the directory says)")


def verify(span: Iterable[bytes], member: Member) -> None:
    """Read a member to its end. Raises: InvalidContent."""
    for _ in inflate(span, member):
        pass


def _compressed(span: Iterator[bytes], member: Member) -> Iterator[bytes]:
    head = b""
    while len(head) < _LOCAL_HEADER.size and (block := next(span, None)) is not None:
        head += block
    if len(head) < _LOCAL_HEADER.size or not head.startswith(b"PK\x03\x04"):
        raise InvalidContent(f"{member.name}: no local header where the directory says")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack_from(head)
    if _LOCAL_HEADER.unpack_from(head)[2] & _ENCRYPTED:
        raise InvalidContent(f"{member.name}: encrypted")
    skip, left = _LOCAL_HEADER.size + name_length + extra_length, member.compressed_size
    for block in _chain(head, span):
        if skip >= len(block):
            skip -= len(block)
            continue
        data = block[skip : skip + left]
        skip = 0
        left -= len(data)
        yield data
        if not left:
            return


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _content(compressed: Iterator[bytes], member: Member) -> Iterator[bytes]:
    if member.method == _STORED:
        yield from compressed
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for block in compressed:
            data = block
            while data and not inflater.eof:
                # Bounded output: a few bytes can expand a thousandfold.
                yield inflater.decompress(data, _OUTPUT_BLOCK)
                data = inflater.unconsumed_tail
        while not inflater.eof and (data := inflater.decompress(inflater.unconsumed_tail, _OUTPUT_BLOCK)):
            yield data
    except zlib.error as error:
        raise InvalidContent(f"{member.name}: damaged: {error}") from None

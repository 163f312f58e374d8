"""The answer of a path: a small reply made for the request, or a published resource with its own version."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

DATA = Path(__file__).parent / "data"
JSON = "application/json;charset=UTF-8"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Reply:
    """An answer without a version, as from the sources' JSON services: no ETag, no Last-Modified, no ranges.

    Attributes:
        headers: besides Content-Type and Content-Length.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Resource:
    """The answer of one path on one publication day.

    Attributes:
        body: the bytes, or the file that holds them: a file is served in parts and not read into memory.
        modified_at: the source's Last-Modified, UTC, whole seconds.
    """

    body: bytes | Path
    content_type: str
    modified_at: datetime

    @property
    def size(self) -> int:
        """Bytes."""
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes [start, end), at most 1 MiB at a time."""
        if isinstance(self.body, bytes):
            yield from (self.body[at : min(at + _BLOCK, end)] for at in range(start, end, _BLOCK))
            return
        with self.body.open("rb") as file:
            file.seek(start)
            for at in range(start, end, _BLOCK):
                yield file.read(min(_BLOCK, end - at))

    @property
    def last_modified(self) -> str:
        """As an HTTP date."""
        return format_datetime(self.modified_at, usegmt=True)

    @property
    def etag(self) -> str:
        """As Apache makes it: modification time and size, in hexadecimal."""
        return f'"{int(self.modified_at.timestamp() * 1_000_000):x}-{self.size:x}"'

    def republished(self, times: int) -> "Resource":
        """The same bytes, published again so many times: each time a second later and with a new ETag."""
        return replace(self, modified_at=self.modified_at + timedelta(seconds=times))


def instant(text: str) -> datetime:
    """A UTC instant from `YYYY-MM-DDTHH:MM:SS`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def build_zip(members: Iterable[tuple[str, bytes]], modified_at: datetime) -> bytes:
    """A plain deflated zip, the same bytes each time: no data descriptors, every member dated alike."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, date_time=modified_at.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()

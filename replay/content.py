"""One published resource: its bytes, its media type and the clock that the source states for it."""

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Resource:
    """What one path answers on one publication day.

    Attributes:
        modified_at: the source's Last-Modified, UTC, whole seconds.
    """

    body: bytes
    content_type: str
    modified_at: datetime

    @property
    def last_modified(self) -> str:
        """As an HTTP date."""
        return format_datetime(self.modified_at, usegmt=True)

    @property
    def etag(self) -> str:
        """As Apache makes it: modification time and size, in hexadecimal."""
        return f'"{int(self.modified_at.timestamp() * 1_000_000):x}-{len(self.body):x}"'


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

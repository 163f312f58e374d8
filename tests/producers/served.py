"""A zip behind pytest-httpserver that supports Range, If-Range and If-None-Match, and that a test can replace."""

import io
import re
import zipfile
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from replay.content import DATA

SALVADOR = next((DATA / "inmet").glob("*A401*"))
MACAPA = next((DATA / "inmet").glob("*A249*"))
FIRST = datetime(2025, 2, 10, 14, 30, tzinfo=UTC)


def member_name(path) -> str:
    """A sample's name at the source."""
    return path.name[path.name.index("INMET_") :]


def corrected(content: bytes) -> bytes:
    """The same rows of a station, one value corrected: to a poll all of the member is news."""
    at = content.index(b";26,")
    return content[:at] + b";25," + content[at + 4 :]


def year_zip(members: dict[str, bytes]) -> bytes:
    """A deflated zip, equal for equal members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (2025, 2, 10, 14, 30, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


class ServedZip:
    """The zip at one path, and what was asked of it.

    Attributes:
        url: of the server.
        spans: (start, end) of each range asked for, one-byte questions left out.
    """

    def __init__(self, server: HTTPServer, path: str) -> None:
        self.url = server.url_for("/")
        self.modified_at = FIRST
        self.body = b""
        self.spans: list[tuple[int, int]] = []
        server.expect_request(path).respond_with_handler(self._answer)

    def put(self, members: dict[str, bytes], *, days: int = 0) -> None:
        """Publish these members, so many days after the first publication."""
        self.body = year_zip(members)
        self.modified_at = FIRST + timedelta(days=days)
        self.spans = []

    def _answer(self, request: Request) -> Response:
        etag = f'"{self.modified_at.timestamp():.0f}-{len(self.body)}"'
        headers = {"ETag": etag, "Last-Modified": format_datetime(self.modified_at, usegmt=True)}
        if request.headers.get("If-None-Match") == etag:
            return Response(b"", 304, headers)
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if match is None or request.headers.get("If-Range", etag) != etag:
            return Response(self.body, 200, headers)
        start, end = int(match[1]), int(match[2]) + 1
        if (start, end) != (0, 1):
            self.spans.append((start, end))
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(self.body)}"
        return Response(self.body[start:end], 206, headers)

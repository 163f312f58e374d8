"""One answer of a source: its version, its bytes, and whether they can be data."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from foundation.errors import CorrentezaError, DependencyUnavailable, InvalidContent, TransientError

SAMPLE_BYTES = 64 << 10
_MARKUP = re.compile(rb"<[!?/a-z]", re.IGNORECASE)
_LFS_POINTER = b"version https://git-lfs.github.com/spec"


class InvalidAnswer(InvalidContent):
    """An answer that is not data; carries a sample of it for the archive."""

    def __init__(self, message: str, *, url: str, status: int, content_type: str, sample: bytes) -> None:
        super().__init__(message)
        self.sample = sample
        self.about = {"url": url, "status": status, "content_type": content_type, "verdict": message}


class ThrottledError(TransientError):
    """The source asks for a pause.

    Attributes:
        until: the moment from which it may be asked again, UTC.
        wait: seconds from the answer to that moment.
    """

    def __init__(self, message: str, *, until: datetime, wait: float) -> None:
        super().__init__(f"{message}; asks to be left alone until {until:%Y-%m-%dT%H:%M:%SZ}")
        self.until = until
        self.wait = wait


@dataclass(frozen=True)
class Version:
    """What identifies one version of a file: the validators, as the server wrote them, and the length in bytes.

    Attributes:
        seen_at: when the answer came, UTC; None for a version that no answer gave.
    """

    etag: str | None
    last_modified_text: str | None
    length: int | None
    seen_at: datetime | None = field(default=None, compare=False)

    @property
    def last_modified(self) -> datetime | None:
        """UTC, and never later than the answer itself; None when absent or unreadable.

        What we received was public when we received it. A server whose clock is ahead must send the time of its answer
        instead (RFC 9110, 8.8.2.1). A date in the future would make every later version look old until then.
        """
        stated = http_date(self.last_modified_text)
        return min(stated, self.seen_at) if stated and self.seen_at else stated

    @property
    def ahead(self) -> timedelta:
        """How much later Last-Modified is than the answer; not negative."""
        stated = http_date(self.last_modified_text)
        return max(stated - self.seen_at, timedelta(0)) if stated and self.seen_at else timedelta(0)

    @property
    def validators(self) -> dict[str, Any]:
        """As fields of the cursor."""
        return {"etag": self.etag, "last_modified": self.last_modified, "content_length": self.length}

    @property
    def if_range(self) -> str | None:
        """The validator for If-Range, which must be strong."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified_text


@dataclass(frozen=True)
class Answer:
    """Status, version and body of one answer.

    Attributes:
        url: where the answer came from, after redirects; without the API key.
        body: without its Content-Encoding.
    """

    url: str
    status: int
    version: Version
    content_type: str
    body: bytes
    retrieved_at: datetime


def refused(url: str, status: int) -> CorrentezaError:
    """The error for a status that is neither data nor declared as "no news"."""
    if status in {401, 403, 407}:
        return DependencyUnavailable(f"{url}: access refused with status {status}")
    return CorrentezaError(f"{url}: refused with status {status}")


def sniff(answer: Answer, media: str) -> None:
    """Check that a body begins like the requested type, whatever status and Content-Type are.

    Raises: InvalidAnswer for markup, emptiness, and anything else that cannot be `media` (json, zip or csv).
    """
    beginning = answer.body[:512].removeprefix(b"\xef\xbb\xbf").lstrip()
    if _MARKUP.match(beginning):
        verdict = "a page of markup where data were asked for"
    elif not beginning:
        verdict = "an empty answer"
    elif beginning.startswith(_LFS_POINTER):
        verdict = "a pointer to a file that was left out (Git LFS)"
    elif media == "json" and beginning[:1] not in (b"[", b"{"):
        verdict = "no JSON"
    elif media == "zip" and not b"PK\x03\x04".startswith(beginning[:4]):
        verdict = "no zip"
    elif media == "csv" and (
        beginning[:1] in (b"[", b"{") or b"\0" in beginning or beginning.startswith(b"PK\x03\x04")
    ):
        verdict = "no CSV"
    else:
        return
    raise InvalidAnswer(
        f"{answer.url}: {verdict}",
        url=answer.url,
        status=answer.status,
        content_type=answer.content_type,
        sample=answer.body[:SAMPLE_BYTES],
    )


def http_date(text: str | None) -> datetime | None:
    """An HTTP date, UTC; None when absent or unreadable."""
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None

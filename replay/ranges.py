"""Byte ranges and validators, as the sources' servers honour them (RFC 9110, single ranges only)."""

import re
from dataclasses import dataclass
from email.message import Message

from replay.content import Resource


@dataclass(frozen=True)
class Part:
    """What a request gets of a resource: a status and the bytes' bounds, the end exclusive."""

    status: int
    start: int
    end: int


def select(resource: Resource, headers: Message) -> Part:
    """Decide between 200, 206, 304 and 416. A malformed or multiple range is ignored, as servers may."""
    size = resource.size
    whole = Part(200, 0, size)
    if _is_unchanged(resource, headers):
        return Part(304, 0, 0)
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("Range", ""))
    if match is None or match[0] == "bytes=-" or not _may_resume(resource, headers.get("If-Range")):
        return whole
    first, last = match[1], match[2]
    if not first:
        return Part(206, max(0, size - int(last)), size) if int(last) else Part(416, 0, 0)
    start, end = int(first), min(int(last) + 1 if last else size, size)
    if last and int(last) < start:
        return whole
    return Part(206, start, end) if start < size else Part(416, 0, 0)


def _is_unchanged(resource: Resource, headers: Message) -> bool:
    """If-None-Match decides when present; else If-Modified-Since, compared as text as Apache's clients send it back."""
    if "If-None-Match" in headers:
        tags = [tag.strip().removeprefix("W/") for tag in headers["If-None-Match"].split(",")]
        return resource.etag in tags or "*" in tags
    return bool(headers.get("If-Modified-Since") == resource.last_modified)


def _may_resume(resource: Resource, condition: str | None) -> bool:
    """A range is served only from the version that the client already holds a part of."""
    return condition is None or condition in (resource.etag, resource.last_modified)

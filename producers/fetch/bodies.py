"""Read the body of an answer: with a bounded size, and decoded if it has a Content-Encoding although none was
requested."""

import zlib
from collections.abc import Iterator

import httpx2

from foundation.errors import InvalidContent, TransientError

_INFLATED_BYTES = 1 << 20
_GZIP = zlib.MAX_WBITS | 16
_GZIP_BEGINS = b"\x1f"
MAX_GZIP_MEMBERS = 10_000
"""A server that compresses block by block sends about 1,000 in the largest body; even an empty one costs time."""


def whole(response: httpx2.Response, limit: int) -> bytes:
    """A body of at most `limit` bytes, as sent and as decoded. Raises: InvalidContent, TransientError."""
    found = encoding(response)
    if found is None:
        return b"".join(blocks(response, limit))
    if found not in {"gzip", "x-gzip"}:
        raise InvalidContent(f"{response.url}: sent in the encoding {found[:20]!r}, which was not asked for")
    body = bytearray()
    for block in _inflated(response, limit):
        body += block
        if len(body) > limit:
            raise InvalidContent(f"{response.url}: more than {limit} bytes")
    return bytes(body)


def beginning(response: httpx2.Response, limit: int) -> bytes:
    """The first `limit` bytes of a body as it was sent; the rest is not read, and the connection is closed."""
    body = bytearray()
    for block in response.iter_raw():
        body += block
        if len(body) >= limit:
            break
    return bytes(body[:limit])


def blocks(response: httpx2.Response, limit: int) -> Iterator[bytes]:
    """A body as it is sent, block by block. Raises: InvalidContent as soon as it exceeds `limit` bytes."""
    # No block size: iter_raw would collect blocks of that size, and lose the collected bytes if the connection drops.
    sent = 0
    for block in response.iter_raw():
        sent += len(block)
        if sent > limit:
            raise InvalidContent(f"{response.url}: more than {limit} bytes")
        yield block


def encoding(response: httpx2.Response) -> str | None:
    """The Content-Encoding, if there is one. All requests ask for none."""
    text = str(response.headers.get("content-encoding", "")).strip().lower()
    return None if text in {"", "identity"} else text


def _inflated(response: httpx2.Response, limit: int) -> Iterator[bytes]:
    """The content of a gzip body: one member or several, one after the other, and zeros after the last (RFC 1952)."""
    # Not the library's iter_bytes: for a bomb of empty blocks it yields no bytes that could be counted.
    inflater, members, is_padding = zlib.decompressobj(_GZIP), 1, False
    try:
        for block in blocks(response, limit):
            waiting = block
            while waiting:
                if inflater.eof:
                    is_padding = is_padding or waiting.startswith(b"\0")
                    if is_padding and not waiting.strip(b"\0"):
                        break
                    if is_padding or not waiting.startswith(_GZIP_BEGINS):
                        raise InvalidContent(f"{response.url}: there are bytes after the end of its gzip body")
                    inflater, members = zlib.decompressobj(_GZIP), members + 1
                    if members > MAX_GZIP_MEMBERS:
                        raise InvalidContent(f"{response.url}: a gzip body of more than {MAX_GZIP_MEMBERS} members")
                yield inflater.decompress(waiting, _INFLATED_BYTES)
                waiting = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        yield inflater.flush()
    except zlib.error as error:
        raise InvalidContent(f"{response.url}: called gzip, and is not: {error}") from error
    if not inflater.eof:
        raise TransientError(f"{response.url}: its gzip body ends early")

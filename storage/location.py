"""A place in the lake or the archive: a path on this machine, or a key in a bucket of a store that is known here.

Addresses are text, as Spark, delta-rs and settings have them: `/var/lake/silver/t`, `s3://bucket/prefix/silver/t`.
What the text does not say, the store's endpoint and credentials, is told to this process once, by `connect`.
"""

from dataclasses import dataclass
from pathlib import Path

from foundation.errors import UsageError
from storage.s3 import S3

SCHEME = "s3://"


@dataclass(frozen=True)
class Remote:
    """A key in a bucket, or the prefix of keys. It has the shape of a Path, and none of its methods that do I/O:
    those are in `storage.files`.
    """

    s3: S3
    bucket: str
    key: str

    def __truediv__(self, name: str) -> "Remote":
        return Remote(self.s3, self.bucket, f"{self.key}/{name}".strip("/"))

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}".rstrip("/")

    def __lt__(self, other: "Remote") -> bool:
        return str(self) < str(other)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "Remote":
        """Without the last part of the key."""
        return Remote(self.s3, self.bucket, self.key.rpartition("/")[0])


Location = Path | Remote
Address = str | Path | Remote

_stores: dict[str, S3] = {}


def connect(address: str, s3: S3) -> None:
    """From now on this process reaches the bucket of an address by this store. Nothing is asked yet."""
    if is_remote(address):
        _stores[_parts(address)[0]] = s3


def connected() -> dict[str, S3]:
    """Bucket → store, of all that this process has connected."""
    return dict(_stores)


def is_remote(address: Address) -> bool:
    """Whether it is in an object store."""
    return isinstance(address, Remote) or str(address).startswith(SCHEME)


def location(address: Address) -> Location:
    """The place that an address means. Raises: UsageError for a bucket that nobody has connected."""
    if not isinstance(address, str):
        return address
    if not is_remote(address):
        return Path(address)
    bucket, key = _parts(address)
    if bucket not in _stores:
        raise UsageError(f"{address}: the store of this bucket is not known here", hint="correnteza config check")
    return Remote(_stores[bucket], bucket, key)


def _parts(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise UsageError(f"{address} names no bucket", hint=f"{SCHEME}<bucket>/<prefix>")
    return bucket, key.strip("/")

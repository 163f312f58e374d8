"""The payload archive: the source's own bytes, kept under their SHA-256 before anything is published from them.

A folder, or a bucket's prefix:

    sha256/ab/<hash>        the bytes
    sha256/ab/<hash>.json   where they came from
    invalid/                bounded samples of answers that were not data
    spool/                  downloads under way; emptied at start. Always on a disk of this machine
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from foundation.errors import InvalidContent, TransientError, UsageError
from storage import files
from storage.location import Location

BLOCK = 1 << 20
MAX_PAYLOAD_BYTES = 4 << 30
FREE_FLOOR_BYTES = 256 << 20
"""Left free on the archive's file system: no download begins that would leave less. Lake, checkpoints and broker often
use it too. A download can be repeated tomorrow, but a lake that cannot commit stops."""

INVALID_SAMPLES = 50
INVALID_SAMPLE_BYTES = 64 << 10


@dataclass(frozen=True)
class Payload:
    """One archived payload."""

    sha256: str
    size: int
    path: Location
    about: Mapping[str, Any]


class Archive:
    """A content-addressed folder. One poll of one source uses it at a time."""

    def __init__(self, root: Location, spool: Path | None = None) -> None:
        """Args: spool: where downloads stand until they are whole; None is a folder of the archive.

        An archive in a store without a spool can be read only.
        """
        self._root = root
        self._spool = root / "spool" if spool is None and isinstance(root, Path) else spool

    def put(self, blocks: Iterable[bytes], about: Mapping[str, Any]) -> Payload:
        """Keep the bytes, durable when this returns. The same bytes twice are one file; the newer `about` stands.

        Raises: InvalidContent above MAX_PAYLOAD_BYTES; TransientError when there is no room.
        """
        digest, size = hashlib.sha256(), 0
        with self._room(), self.spool() as file:
            for block in blocks:
                size += len(block)
                if size > MAX_PAYLOAD_BYTES:
                    raise InvalidContent(f"a payload above {MAX_PAYLOAD_BYTES} bytes")
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            path = self._path(digest.hexdigest())
            files.keep(Path(file.name), path)
            described = {**about, "sha256": digest.hexdigest(), "size": size}
            # On a disk it writes out the folder too, and with it the payload's name.
            files.write(_description(path), json.dumps(described, indent=1, default=_json).encode())
        return Payload(digest.hexdigest(), size, path, described)

    def get(self, sha256: str) -> Payload | None:
        """The payload, or None when the archive does not hold it whole."""
        path = self._path(sha256)
        try:
            about = json.loads(files.read(_description(path)))
            if about["size"] != files.size(path):
                return None
        except (FileNotFoundError, ValueError, KeyError):
            return None
        return Payload(sha256, about["size"], path, about)

    def names(self) -> Iterator[tuple[str, datetime]]:
        """SHA-256 of every payload, and when it was last put."""
        for entry in sorted(files.walk(self._root / "sha256")):
            if not entry.name.endswith(".json"):
                yield entry.name.rpartition("/")[2], datetime.fromtimestamp(entry.modified_at, UTC)

    def remove(self, sha256: str, before: datetime) -> bool:
        """Remove a payload, unless it was put again since `before`; whether it is gone.

        Another process may store the same bytes meanwhile, in new files. So each file is moved aside first, and put
        back if it is new.

        Raises: UsageError for an archive in a store, which cannot do this.
        """
        path = self._path(sha256)
        if not isinstance(path, Path) or self._spool is None:
            raise UsageError(
                "payloads in an object store are not removed: a poll might store the same bytes at that moment",
                hint="unset archive_keep_days",
            )
        self._spool.mkdir(parents=True, exist_ok=True)
        asides, is_new = [], False
        for file in (path, path.with_name(path.name + ".json")):
            aside = self._spool / f"{os.getpid()}-{file.name}"
            try:
                file.rename(aside)
            except FileNotFoundError:
                continue
            if is_new := aside.stat().st_mtime >= before.timestamp():
                aside.rename(file)
                break
            asides.append(aside)
        for aside in asides:
            aside.unlink()
        return not is_new

    def put_invalid(self, sample: bytes, about: Mapping[str, Any], retrieved_at: datetime) -> Location:
        """Keep the beginning of an answer that is not data; the oldest samples go. Raises: TransientError: no room."""
        folder = self._root / "invalid"
        sample = sample[:INVALID_SAMPLE_BYTES]
        name = f"{retrieved_at:%Y%m%dT%H%M%S%f}Z-{hashlib.sha256(sample).hexdigest()[:12]}"
        with self._room():
            files.write(folder / f"{name}.json", json.dumps(about, indent=1, default=_json).encode())
            files.write(folder / name, sample)
        kept = sorted(entry.name for entry in files.entries(folder) if entry.name.endswith(".json"))
        for old in kept[: max(0, len(kept) - INVALID_SAMPLES)]:
            files.remove(folder / old.removesuffix(".json"))
            files.remove(folder / old)
        return folder / name

    @contextmanager
    def spool(self, wanted: int = 0) -> Iterator[BinaryIO]:
        """A temporary file, on the archive's own file system if it has one; gone afterwards, unless it was moved away.

        Args:
            wanted: bytes that are to come, where that is known.

        Raises: TransientError when they would leave less than FREE_FLOOR_BYTES free, or when the disk fills meanwhile.
        """
        folder = self._spool
        if folder is None:
            raise UsageError(f"no folder for downloads to {self._root} is set")
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free - wanted < FREE_FLOOR_BYTES:
            raise TransientError(
                f"a download of {wanted >> 20} MiB was refused: {free >> 20} MiB are free in {folder}, "
                f"and {FREE_FLOOR_BYTES >> 20} MiB must stay free",
                hint="free space there; the next poll goes on by itself",
            )
        with self._room(), tempfile.NamedTemporaryFile(dir=folder, prefix=f"{os.getpid()}-", delete=False) as file:
            try:
                yield file  # type: ignore[misc]
            finally:
                Path(file.name).unlink(missing_ok=True)

    def clear_spool(self) -> None:
        """Remove what killed downloads left behind."""
        for file in self._spool.glob("*") if self._spool else ():
            owner = file.name.partition("-")[0]
            if not owner.isdecimal() or not psutil.pid_exists(int(owner)):
                file.unlink(missing_ok=True)

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Raises: TransientError in place of the system's error, when the disk filled in spite of the floor."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise TransientError(
                f"the file system of {self._root} is full: {error}",
                hint="free space there; the next poll goes on by itself",
            ) from error

    def _path(self, sha256: str) -> Location:
        return self._root / "sha256" / sha256[:2] / sha256


def read_blocks(path: Location, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """A file, or a span of it, in blocks."""
    return files.blocks(path, start, length, most=BLOCK)


def _description(payload: Location) -> Location:
    return payload.parent / f"{payload.name}.json"


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)

"""The payload archive: the source's own bytes, kept under their SHA-256 before anything is published from them.

A folder, or a bucket's prefix:

    sha256/ab/<hash>        the bytes
    sha256/ab/<hash>.json   where they came from
    sha256/ab/<hash>.rows   in place of the bytes, once a key was erased: the rows that are left (producers/erased.py)
    invalid/                bounded samples of answers that were not data
    spool/                  downloads under way; emptied at start. Always on a disk of this machine
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
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
"""Bytes that must stay free on the archive's file system: no download begins that would leave less. Lake, checkpoints
and broker often use the same disk. A download can be repeated tomorrow, but a lake that cannot commit stops."""

ROWS = "rows"
"""Media of a payload of which only rows are left, and the ending of its file's name."""

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
        """Args: spool: where downloads stand until they are whole, if the archive is in a store; without it such an
        archive can be read only. An archive on a disk has a folder of its own, on the same file system.
        """
        self._root = root
        self._spool = root / "spool" if isinstance(root, Path) else spool

    def put(self, blocks: Iterable[bytes], about: Mapping[str, Any]) -> Payload:
        """Store the bytes; they are durable when this returns. The same bytes are stored once, with the newer `about`.

        Bytes from which a key was erased are not kept again: the rows that were left of them stand for them.

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
            is_erased = files.exists(self._rows(digest.hexdigest()))
            if not is_erased:
                files.keep(Path(file.name), path)
            described = {**about, "sha256": digest.hexdigest(), "size": size}
            # On a disk this also flushes the folder, and with it the payload's name.
            files.write(_description(path), json.dumps(described, indent=1, default=_json).encode())
        left = self.get(digest.hexdigest()) if is_erased else None
        return left or Payload(digest.hexdigest(), size, path, described)

    def get(self, sha256: str) -> Payload | None:
        """The payload; None if the archive does not hold all of it. After an erasure: the rows that are left of it."""
        path, rows = self._path(sha256), self._rows(sha256)
        try:
            about = json.loads(files.read(_description(path)))
            if (left := files.size(rows)) is not None:
                return Payload(sha256, left, rows, {**about, "media": ROWS})
            if about["size"] != files.size(path):
                return None
        except (FileNotFoundError, ValueError, KeyError):
            return None
        return Payload(sha256, about["size"], path, about)

    def names(self) -> Iterator[tuple[str, datetime]]:
        """SHA-256 of every payload, and when it was last put."""
        found: dict[str, float] = {}
        for entry in sorted(files.walk(self._root / "sha256")):
            sha256, _, ending = entry.name.rpartition("/")[2].partition(".")
            if ending in ("", ROWS):
                found[sha256] = max(entry.modified_at, found.get(sha256, 0.0))
        for sha256, put_at in found.items():
            yield sha256, datetime.fromtimestamp(put_at, UTC)

    def keep_rows(self, sha256: str, rows: Callable[[BinaryIO], object]) -> None:
        """Let the rows that are left of a payload stand in its place: they first, then the bytes go.

        Args: rows: writes them. Raises: TransientError when there is no room.
        """
        with self._room(), self.spool() as file:
            rows(file)
            file.flush()
            os.fsync(file.fileno())
            files.keep(Path(file.name), self._rows(sha256))
        self.forget_bytes(sha256)

    def forget_bytes(self, sha256: str) -> bool:
        """Remove the bytes of a payload of which rows are left; whether there were any, as after a kill."""
        path = self._path(sha256)
        if not files.exists(self._rows(sha256)) or not files.exists(path):
            return False
        files.remove(path)
        return True

    def invalid(self) -> Iterator[Location]:
        """The samples of answers that were not data."""
        folder = self._root / "invalid"
        yield from (folder / name for name in sorted(files.names(folder)) if not name.endswith(".json"))

    def remove(self, sha256: str, before: datetime) -> bool:
        """Remove a payload, unless it was stored again since `before`; returns whether it was removed.

        Another process may store the same bytes meanwhile, in new files. So each file is first renamed, and renamed
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
        for file in (path, path.with_suffix(f".{ROWS}"), path.with_name(path.name + ".json")):
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
        """Store the beginning of an answer that is not data, and delete the oldest samples. Raises: TransientError:
        disk full."""
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
        """A temporary file, on the archive's own file system if it has one; deleted at the end, unless it was moved
        away.

        Args:
            wanted: expected bytes, if known.

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
        """Remove the files of killed downloads."""
        for file in self._spool.glob("*") if self._spool else ():
            owner = file.name.partition("-")[0]
            if not owner.isdecimal() or not psutil.pid_exists(int(owner)):
                file.unlink(missing_ok=True)

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Raises: TransientError in place of the system's error, if the disk is full nevertheless."""
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

    def _rows(self, sha256: str) -> Location:
        return self._path(f"{sha256}.{ROWS}")


def read_blocks(path: Location, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """A file, or a span of it, in blocks."""
    return files.blocks(path, start, length, most=BLOCK)


def _description(payload: Location) -> Location:
    return payload.parent / f"{payload.name}.json"


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)

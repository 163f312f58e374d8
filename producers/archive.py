"""The payload archive: the source's own bytes, kept under their SHA-256 before anything is published from them.

Later an object store; today a folder:

    sha256/ab/<hash>        the bytes
    sha256/ab/<hash>.json   where they came from
    invalid/                bounded samples of answers that were not data
    spool/                  downloads under way; emptied at start
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

from foundation.errors import InvalidContent, TransientError
from foundation.files import replace_file

BLOCK = 1 << 20
MAX_PAYLOAD_BYTES = 4 << 30
FREE_FLOOR_BYTES = 256 << 20
"""Bytes that must stay free on the archive's file system: no download begins that would leave less. Lake, checkpoints
and broker often use the same disk. A download can be repeated tomorrow, but a lake that cannot commit stops."""

INVALID_SAMPLES = 50
INVALID_SAMPLE_BYTES = 64 << 10


@dataclass(frozen=True)
class Payload:
    """One archived payload."""

    sha256: str
    size: int
    path: Path
    about: Mapping[str, Any]


class Archive:
    """A content-addressed folder. One poll of one source uses it at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, blocks: Iterable[bytes], about: Mapping[str, Any]) -> Payload:
        """Store the bytes; they are durable when this returns. The same bytes are stored once, with the newer `about`.

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
            path.parent.mkdir(parents=True, exist_ok=True)
            Path(file.name).rename(path)
            described = {**about, "sha256": digest.hexdigest(), "size": size}
            # This also flushes the folder, and with it the payload's name.
            replace_file(path.with_name(path.name + ".json"), json.dumps(described, indent=1, default=_json))
        return Payload(digest.hexdigest(), size, path, described)

    def get(self, sha256: str) -> Payload | None:
        """The payload; None if the archive does not hold all of it."""
        path = self._path(sha256)
        try:
            about = json.loads(path.with_name(path.name + ".json").read_bytes())
            if about["size"] != path.stat().st_size:
                return None
        except (FileNotFoundError, ValueError, KeyError):
            return None
        return Payload(sha256, about["size"], path, about)

    def names(self) -> Iterator[tuple[str, datetime]]:
        """SHA-256 of every payload, and when it was last put."""
        for path in sorted(self._root.glob("sha256/*/*")):
            if not path.suffix:
                yield path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def remove(self, sha256: str, before: datetime) -> bool:
        """Remove a payload, unless it was stored again since `before`; returns whether it was removed.

        Another process may store the same bytes meanwhile, in new files. So each file is first renamed, and renamed
        back if it is new.
        """
        path = self._path(sha256)
        (self._root / "spool").mkdir(parents=True, exist_ok=True)
        asides, is_new = [], False
        for file in (path, path.with_name(path.name + ".json")):
            aside = self._root / "spool" / f"{os.getpid()}-{file.name}"
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

    def put_invalid(self, sample: bytes, about: Mapping[str, Any], retrieved_at: datetime) -> Path:
        """Store the beginning of an answer that is not data, and delete the oldest samples. Raises: TransientError:
        disk full."""
        folder = self._root / "invalid"
        sample = sample[:INVALID_SAMPLE_BYTES]
        name = f"{retrieved_at:%Y%m%dT%H%M%S%f}Z-{hashlib.sha256(sample).hexdigest()[:12]}"
        with self._room():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.json").write_text(json.dumps(about, indent=1, default=_json))
            (folder / name).write_bytes(sample)
        kept = sorted(folder.glob("*.json"))
        for old in kept[: max(0, len(kept) - INVALID_SAMPLES)]:
            old.with_suffix("").unlink(missing_ok=True)
            old.unlink(missing_ok=True)
        return folder / name

    @contextmanager
    def spool(self, wanted: int = 0) -> Iterator[BinaryIO]:
        """A temporary file on the archive's file system; deleted at the end, unless it was moved away.

        Args:
            wanted: expected bytes, if known.

        Raises: TransientError when they would leave less than FREE_FLOOR_BYTES free, or when the disk fills meanwhile.
        """
        folder = self._root / "spool"
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
        for file in (self._root / "spool").glob("*"):
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

    def _path(self, sha256: str) -> Path:
        return self._root / "sha256" / sha256[:2] / sha256


def read_blocks(path: Path, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """A file, or a span of it, in blocks."""
    with path.open("rb") as file:
        file.seek(start)
        left = length if length is not None else 1 << 62
        while left and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)

"""One driver owns a table's writes: a file lock per table, held by the JVM that writes; for a lake in a store also a
lease (storage/lease.py), by which drivers of other machines are kept out.

The JVM outlives a killed Python process by seconds and still commits; so the JVM must hold the lock, and the operating
system releases it exactly when the JVM has ended. Java's file locks are POSIX record locks, so Python sees them too.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from foundation.errors import UnsafeState
from storage.lease import Leases, TakenError
from storage.location import Remote, location

PATIENCE_SECONDS = 20.0
"""How long to wait for the JVM of a driver whose Python process is dead: it ends by itself."""


class TableIsTakenError(UnsafeState):
    """Another driver writes the table."""


class TableLocks:
    """The locks of one driver. They end with `release`, or with the JVM."""

    def __init__(self, spark: SparkSession, folder: Path, lake: str | None = None) -> None:
        """Args:
        folder: of the lock files `<layer>.<table>.lock`; beside each is a note on its holder.
        lake: of the tables; None for tables that no other machine knows.
        """
        self._leases = leases_of(lake)
        self._jvm: Any = spark._jvm  # always there in a classic session
        self._folder = folder
        self._held: dict[str, tuple[Any, Any]] = {}

    def acquire(self, table: str) -> None:
        """Take a table's lock; nothing happens if it is held here already.

        Raises:
            TableIsTakenError: another driver has it; its process and machine are named.
        """
        if table in self._held:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{table}.lock"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (lock := self._try(path)) is None:
            if _holder_lives(path) or time.monotonic() > deadline:
                raise _held_elsewhere(table, path)
            time.sleep(0.2)
        if self._leases is not None:
            try:
                lease(self._leases, table)
            except BaseException:
                lock[0].close()
                raise
        self._held[table] = lock
        _note(path).write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))

    def release(self) -> None:
        """Release all locks."""
        try:
            if self._leases is not None:
                self._leases.release()  # first: who waits for a file lock of this machine asks for the lease next
        finally:
            for file, _ in self._held.values():
                file.close()
            self._held.clear()

    def _try(self, path: Path) -> tuple[Any, Any] | None:
        """(file, lock), or None while another JVM, or another holder in this one, has it."""
        file = self._jvm.java.io.RandomAccessFile(str(path), "rw")
        try:
            lock = file.getChannel().tryLock()
        except Py4JJavaError as error:
            if "OverlappingFileLockException" not in str(error.java_exception):
                raise
            lock = None
        if lock is None:
            file.close()
            return None
        return file, lock  # keep both: closing either, or garbage collection, would release the lock


@contextmanager
def exclusive(folder: Path, table: str, lake: str | None = None) -> Iterator[None]:
    """Hold a table's lock from Python, for work that needs no JVM. Raises: TableIsTakenError, when a driver has it.

    Args: lake: as of `TableLocks`.
    """
    with _held(folder, table, fcntl.LOCK_EX):
        leases = leases_of(lake)
        if leases is None or leases.token(table) is not None:
            yield
            return
        lease(leases, table)
        try:
            yield
        finally:
            leases.release_one(table)


def leases_of(lake: str | None) -> Leases | None:
    """This process's leases of a lake; None for one on a disk."""
    place = location(lake) if lake is not None else None
    if not isinstance(place, Remote):
        return None
    return _leases.setdefault(place, Leases(place))


def lease(leases: Leases, table: str) -> None:
    """Take a table's lease. Raises: TableIsTakenError."""
    try:
        leases.acquire(table)
    except TakenError as error:
        raise TableIsTakenError(
            f"{table} is being written by {error}; two writers would double or lose rows",
            hint="stop that driver first; this releases its lease",
        ) from None


def fence_of(path: str) -> tuple[Leases, str, int] | None:
    """The leases, name and token under which this process writes a table; None where it holds no lease of it."""
    for lake, leases in _leases.items():
        layer, _, table = path.removeprefix(f"{lake}/").rstrip("/").partition("/")
        # A silver query writes two tables under one lock.
        name = f"{layer}.{table.removesuffix('_revisions')}"
        if path.startswith(f"{lake}/") and (token := leases.token(name)) is not None:
            return leases, name, token
    return None


_leases: dict[Remote, Leases] = {}


@contextmanager
def shared(folder: Path, table: str) -> Iterator[None]:
    """Hold a lock that other processes may share. Raises: TableIsTakenError, when a process holds it exclusively."""
    with _held(folder, table, fcntl.LOCK_SH):
        yield


@contextmanager
def _held(folder: Path, table: str, kind: int) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table}.lock"
    with path.open("a+") as file:  # a shared lock needs a file that is open for reading
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
        except OSError:
            raise _held_elsewhere(table, path) from None
        yield


def _note(lock: Path) -> Path:
    return lock.with_suffix(".holder.json")


def _holder(lock: Path) -> dict[str, Any]:
    try:
        note: dict[str, Any] = json.loads(_note(lock).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return note


def _holder_lives(lock: Path) -> bool:
    """Whether the process in the holder's note runs; a process on another machine is assumed to run."""
    note = _holder(lock)
    if not note or note["host"] != socket.gethostname():
        return bool(note)
    try:
        os.kill(note["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _held_elsewhere(table: str, path: Path) -> TableIsTakenError:
    note = _holder(path)
    holder = f"process {note['pid']} on {note['host']}" if note else "another process"
    return TableIsTakenError(
        f"{table} is being written by {holder}, which holds {path}; two writers would double or lose rows",
        hint="stop that driver first; this releases its lock",
    )

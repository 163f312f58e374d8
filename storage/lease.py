"""The right to write a table in a store: an object per table that names one driver, and a heartbeat per driver.

    <lake>/_locks/<layer>.<table>.json    {"token": 7, "driver": "…"}: who has it; the token grows with every owner
    <lake>/_locks/drivers/<driver>.json   written again every HEARTBEAT_SECONDS while the driver lives

Both are changed by conditional writes only (`If-None-Match: *`, `If-Match`), so of two that want a table one succeeds.
Whose heartbeat did not change for EXPIRY_SECONDS, as the other one's own clock measures it, has lost its tables. No two
clocks are compared. A driver that comes back after that finds another one's name, and must not write (`require`).

That a driver looks before it commits is not enough: it may stand still between the look and the commit. So every commit
also carries the token as a transaction of its own (sinks/commit.py), with which Delta refuses a commit that was
prepared before another owner's.
"""

import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from foundation.errors import TransientError, UnsafeState
from foundation.log import get_logger
from storage import files
from storage.errors import store_errors
from storage.location import Remote

HEARTBEAT_SECONDS = 5.0
EXPIRY_SECONDS = 30.0
LOOK_SECONDS = 1.0
FOLDER = "_locks"


class TakenError(Exception):
    """Another driver lives and has it. Its text names the process."""


@dataclass
class Leases:
    """The tables of one lake that this process may write.

    Attributes:
        driver: this process's name in the store.
    """

    lake: Remote
    driver: str = field(default_factory=lambda: uuid4().hex)
    _tokens: dict[str, int] = field(default_factory=dict)
    _silent: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)
    """Driver → its last heartbeat, which did not change for long enough: its next table is not waited for again."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _beats: threading.Thread | None = None

    def acquire(self, table: str) -> None:
        """Take a table (`<layer>.<table>`); nothing happens if it is held here.

        Raises:
            TakenError: its driver lives.
            TransientError: the store does not answer.
        """
        with self._lock:
            if table in self._tokens:
                return
            self._begin_to_beat()
            try:
                self._tokens[table] = self._taken(self._place(table))
            finally:
                self._end_beats_without_tables()

    def token(self, table: str) -> int | None:
        """The fencing token of a table that is held here."""
        return self._tokens.get(table)

    def require(self, table: str) -> None:
        """Look whether the store still names this process. Raises: UnsafeState when it does not; TransientError."""
        found = _read(self._place(table))
        mine = {"driver": self.driver, "token": self._tokens.get(table)}
        if found is None or any(found[0].get(name) != value for name, value in mine.items()):
            raise lost(table)

    def release(self) -> None:
        """Let all tables go, and end the heartbeat. Once the store does not answer, it is told of no other table: each
        question would be repeated for 30 s, and a driver has two minutes to end."""
        for table in list(self._tokens):
            if not self.release_one(table):
                break
        with self._lock:
            self._tokens.clear()
            self._end_beats_without_tables()

    def release_one(self, table: str) -> bool:
        """Let a table go; returns whether the store knows. If it does not, the heartbeat will be missed."""
        with self._lock:
            token, is_told = self._tokens.pop(table, None), True
            try:
                found = _read(self._place(table))
                if found is not None and found[0] == {"token": token, "driver": self.driver}:
                    _swap(self._place(table), {"token": token, "driver": None}, found[1])
            except TransientError as error:
                get_logger("lease").warning("lease_not_released", table=table, error=str(error))
                is_told = False
            self._end_beats_without_tables()
            return is_told

    def _place(self, table: str) -> Remote:
        return self.lake / FOLDER / f"{table}.json"

    def _heartbeat(self, driver: str) -> Remote:
        return self.lake / FOLDER / "drivers" / f"{driver}.json"

    def _taken(self, place: Remote) -> int:
        while True:
            found = _read(place)
            if found is None:
                wanted = {"token": 1, "driver": self.driver}
                if _create(place, wanted):
                    return 1
                continue
            content, version = found
            if content.get("driver") not in (None, self.driver):
                self._wait_for_its_end(content["driver"])
            token = int(content["token"]) + 1
            if _swap(place, {"token": token, "driver": self.driver}, version):
                return token

    def _wait_for_its_end(self, driver: str) -> None:
        """Until a driver's heartbeat has stopped for long enough. Raises: TakenError when it beats."""
        first = _read(self._heartbeat(driver))
        if first is not None and self._silent.get(driver) == first:
            return
        deadline = time.monotonic() + EXPIRY_SECONDS
        while first is not None and not _has_died_here(first[0]) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            now = _read(self._heartbeat(driver))
            if now is not None and now[0] != first[0]:
                raise TakenError(f"process {now[0].get('pid')} on {now[0].get('host')}")
            if now is None:
                return
        if first is not None:
            self._silent[driver] = first

    def _begin_to_beat(self) -> None:
        if self._beats is None or not self._beats.is_alive():
            self._stop = threading.Event()
            self._beat(0)
            self._beats = threading.Thread(target=self._keep_beating, args=(self._stop,), name="heartbeat", daemon=True)
            self._beats.start()

    def _end_beats_without_tables(self) -> None:
        if not self._tokens:
            self._stop.set()
            self._beats = None

    def _keep_beating(self, stop: threading.Event) -> None:
        count = 0
        while not stop.wait(HEARTBEAT_SECONDS):
            count += 1
            try:
                self._beat(count)
            except TransientError as error:
                get_logger("lease").warning("heartbeat_missed", error=str(error))
        with self._lock, suppress(TransientError):  # if it cannot be removed, it will be missed
            if self._beats is None:  # else it beats again already
                files.remove(self._heartbeat(self.driver))

    def _beat(self, count: int) -> None:
        content = {"pid": os.getpid(), "host": socket.gethostname(), "beat": count}
        files.write(self._heartbeat(self.driver), json.dumps(content).encode())


def lost(table: str) -> UnsafeState:
    """What a driver ends with that no longer owns a table."""
    return UnsafeState(
        f"{table} is another driver's now: this one was not heard of for {EXPIRY_SECONDS:.0f} s; nothing was written",
        hint="stop the other driver, or let it go on; then start this one again",
    )


def _has_died_here(note: dict[str, Any]) -> bool:
    """Whether a driver was a process of this machine that has ended: nobody has to wait for its heartbeat."""
    if note.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(note["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, KeyError):
        return False
    return False


def _read(place: Remote) -> tuple[dict[str, Any], str] | None:
    """Content and version of an object; None where it is not there."""
    try:
        with store_errors(place):
            found = place.s3.bucket(place.bucket).get(place.key)
            content: dict[str, Any] = json.loads(bytes(found.bytes()))
            return content, str(found.meta["e_tag"])
    except FileNotFoundError:
        return None


def _create(place: Remote, content: dict[str, Any]) -> bool:
    return _put(place, content, "create")


def _swap(place: Remote, content: dict[str, Any], version: str) -> bool:
    return _put(place, content, {"e_tag": version})


def _put(place: Remote, content: dict[str, Any], mode: Any) -> bool:
    """Write if nobody else has meanwhile; whether the object now holds just this.

    A refusal may be of a repetition of what has succeeded, with the answer lost: so what stands there is looked at.
    """
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    try:
        with store_errors(place):
            place.s3.bucket(place.bucket).put(place.key, json.dumps(content).encode(), mode=mode, use_multipart=False)
    except (AlreadyExistsError, PreconditionError, FileNotFoundError):
        found = _read(place)
        return found is not None and found[0] == content and content["driver"] is not None
    return True

"""A command that is restarted whenever it has ended, as by a service manager; it is killed and frozen with its
children."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from tests.harness.timeline import Timeline

LOOK_SECONDS = 0.05


class RestartedCommand:
    """One unmodified command, in a process group of its own, with a log file of its own.

    Attributes:
        starts: how often it was started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        variables: Mapping[str, str],
        timeline: Timeline,
        *,
        on_end: Callable[[int], None] = lambda code: None,
    ) -> None:
        """Args: on_end: called with the exit code of each process that ended by itself, before the next is started."""
        self.name, self.starts = name, 0
        self._command, self._folder, self._variables = command, folder, dict(variables)
        self._timeline, self._on_end = timeline, on_end
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._log = folder / f"{name}.log"

    def start(self) -> None:
        """Run it from now on."""
        with self._lock:
            self._wanted = True
            self._spawn()

    def look(self) -> None:
        """Start it again if it has ended."""
        with self._lock:
            if not self._wanted or self._process is None or (code := self._process.poll()) is None:
                return
            kill_group(self._process.pid)
            if code != -signal.SIGKILL:
                self._timeline.note("ended", self.name, code=code)
                self._on_end(code)
            self._spawn()

    def kill(self) -> None:
        """SIGKILL to it, its group and everything below; `look` starts the next one."""
        with self._lock:
            if self._process is not None:
                kill_tree(self._process)

    def hold(self, is_the_moment: Callable[[], bool]) -> bool:
        """SIGSTOP to it and its group. It stays stopped if the condition holds, and is else continued."""
        with self._lock:
            if self._process is None:
                return False
            kill_group(self._process.pid, signal.SIGSTOP)
            if not (held := is_the_moment()):
                kill_group(self._process.pid, signal.SIGCONT)
            return held

    def freeze(self, number: signal.Signals = signal.SIGSTOP) -> None:
        """SIGSTOP (or SIGCONT) to it and everything below."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return
            top = psutil.Process(self._process.pid)
            for each in [top, *top.children(recursive=True)]:
                try:
                    each.send_signal(number)
                except psutil.NoSuchProcess:
                    continue

    def stop(self, seconds: float = 90) -> int | None:
        """SIGTERM, and wait: its exit code, or None when it had to be killed."""
        with self._lock:
            self._wanted = False
            if self._process is None:
                return 0
            self.freeze(signal.SIGCONT)
            self._process.terminate()
            try:
                return self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
            finally:
                kill_tree(self._process)

    def finish(self, seconds: float = 120) -> None:
        """Let the one that runs come to its end, and start no other."""
        with self._lock:
            self._wanted = False
        if self._process is not None:
            try:
                self._process.wait(seconds)
            finally:
                kill_tree(self._process)

    def _spawn(self) -> None:
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                cwd=self._folder,
                env={**os.environ, **self._variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


class Restarter:
    """Restarts commands that have ended, from a thread of its own, inside the block; kills them after it."""

    def __init__(self) -> None:
        self._kept: list[RestartedCommand] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="restarter", daemon=True)

    def add(self, kept: RestartedCommand) -> RestartedCommand:
        """Start a command, and restart it from now on."""
        kept.start()
        self._kept.append(kept)
        return kept

    def __enter__(self) -> "Restarter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        for kept in self._kept:
            kept.stop(0)

    def _run(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            for kept in list(self._kept):
                kept.look()


def kill_tree(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to a process, its group and everything below, and wait until it has ended."""
    if process.poll() is None:
        below = psutil.Process(process.pid).children(recursive=True)
        kill_group(process.pid)
        for each in below:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(below, timeout=10)
    process.wait(30)
    kill_group(process.pid)


def kill_group(group: int, number: signal.Signals = signal.SIGKILL) -> None:
    """SIGKILL (or another signal) to whatever is left of a process group."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return

"""Child processes that end with their parent: recorded, logged to a bounded file, cleared up by the next start."""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

import psutil

from foundation.errors import UnsafeState
from foundation.files import replace_file

LOG_BYTES = 20 * 1024 * 1024
"""A log that has grown beyond this is moved to `<name>.log.1`, whose former content goes."""

STOP_SECONDS = 20.0
"""How long a process may take to end after SIGTERM before it is killed."""

BELOW_SECONDS = 8.0
"""How long children may outlive a parent that has ended in order: the JVM of a Spark driver needs 2 to 7 s."""

FOREIGN_GET = frozenset({"PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"})
"""What programs that are not ours get of the environment."""

_PR_SET_PDEATHSIG = 1
# Loaded here and not in the forked child, where nothing may allocate or take a lock.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    """What to run.

    Attributes:
        name: one word; names the process in logs and messages.
        log: where its standard output and error go, appended.
        variables: beside the environment of this process.
        is_foreign: not a program of ours: of this process's environment it gets what `FOREIGN_GET` names.
    """

    name: str
    command: Sequence[str]
    log: Path
    variables: Mapping[str, str] | None = None
    is_foreign: bool = False


def spawn(program: Program, run: Path) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own (a terminal's Ctrl-C is ours to pass on) and record it in `run`.

    On Linux it gets SIGTERM when the *thread* that calls this ends: call it from the main thread.
    """
    program.log.parent.mkdir(parents=True, exist_ok=True)
    bound_log(program.log)
    with program.log.open("ab") as log:
        child = subprocess.Popen(
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment(program),
            preexec_fn=_end_with_parent if _LIBC else None,  # noqa: PLW1509 - one system call, see _LIBC
        )
    _record(run, program.name, child.pid)
    return child


def environment(program: Program) -> dict[str, str]:
    """The variables that a program starts with. Broker and registry need none of ours, and no key of anybody's."""
    inherited = {
        name: value for name, value in os.environ.items() if not program.is_foreign or name.upper() in FOREIGN_GET
    }
    return {**inherited, **(program.variables or {})}


def _end_with_parent() -> None:
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop_tree(pid: int, *, seconds: float = STOP_SECONDS) -> None:
    """End a process and all below it: SIGTERM to the top one, SIGKILL to whatever is left at the deadline."""
    try:
        top = psutil.Process(pid)
        tree = [top, *top.children(recursive=True)]
        top.terminate()
        top.resume()  # a stopped process would not notice
    except psutil.NoSuchProcess:
        return
    # When the top one has ended, it has ended its own, or never will.
    alive = _wait_ended(tree, 0) if _wait_ended(tree[:1], seconds) else _wait_ended(tree, BELOW_SECONDS)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _wait_ended(alive, BELOW_SECONDS)


def end_group(pid: int) -> None:
    """SIGKILL to what a dead child left in its own process group: the JVM of a killed Spark driver lives on for
    seconds, with its locks, and would make the next driver refuse to start.
    """
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _wait_ended(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after so many seconds. A zombie has ended; its own parent may be late to notice."""
    deadline = time.monotonic() + seconds
    while alive := [process for process in processes if _runs(process)]:
        if time.monotonic() >= deadline:
            break
        time.sleep(0.05)
    return alive


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def clear_leftovers(run: Path) -> list[str]:
    """Stop what an earlier stack in this home started and could not stop; returns their names.

    A process counts only if its start time is the recorded one too: pids are used again.
    """
    stopped = []
    for name, (pid, created) in _records(run).items():
        if is_alive(pid, created):
            stop_tree(pid)
            stopped.append(name)
        elif not psutil.pid_exists(pid):
            end_group(pid)  # a pid is not used again while its group lives, so this is ours or nothing
    _children_file(run).unlink(missing_ok=True)
    return stopped


def is_alive(pid: int, created: float) -> bool:
    """Whether this very process still runs."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1 and _runs(process)
    except psutil.NoSuchProcess:
        return False


def bound_log(log: Path) -> None:
    """Empty a log that has become too long, keeping what it held beside it. Writers append, so they go on."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


def lock_home(run: Path, home: Path) -> TextIOWrapper:
    """Lock this home for one stack, until the returned file is closed or the process ends in any way.

    Raises:
        UnsafeState: another stack has it; its pid is named.
    """
    run.mkdir(parents=True, exist_ok=True)
    file = (run / "stack.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise UnsafeState(f"a stack already runs in {home} (pid {holder})", hint="correnteza down") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def lock_holder(run: Path) -> psutil.Process | None:
    """The process that holds this home, if any does."""
    try:
        with (run / "stack.lock").open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return psutil.Process(int(file.read()))
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        pass
    return None


def _children_file(run: Path) -> Path:
    return run / "children.json"


def _records(run: Path) -> dict[str, tuple[int, float]]:
    try:
        return {name: (pid, created) for name, (pid, created) in json.loads(_children_file(run).read_text()).items()}
    except (FileNotFoundError, ValueError):
        return {}


def _record(run: Path, name: str, pid: int) -> None:
    try:
        created = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return
    write_json(_children_file(run), {**_records(run), name: (pid, created)})


def write_json(path: Path, content: object) -> None:
    """Whole or not at all, whatever happens in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(content, indent=1))

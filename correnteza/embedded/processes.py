"""Child processes that end with their parent: they are recorded, log to a bounded file, and are stopped by the next
start if they were left behind."""

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
"""A larger log is moved to `<name>.log.1`, which is overwritten."""

STOP_SECONDS = 20.0
"""How long a process may take to end after SIGTERM before it is killed."""

BELOW_SECONDS = 8.0
"""How long children may run after their parent has ended normally: the JVM of a Spark driver needs 2 to 7 s."""

FOREIGN_GET = frozenset({"PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"})
"""The variables of the environment that foreign programs get."""

_PR_SET_PDEATHSIG = 1
# Loaded here, because after the fork the child must not allocate memory or take a lock.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STARTTIME = 22 - 3
"""The place of field 22 of `/proc/<pid>/stat` behind the name, which is field 2 and may have blanks."""


@dataclass(frozen=True)
class Program:
    """What to run.

    Attributes:
        name: one word; names the process in logs and messages.
        log: where its standard output and error go, appended.
        variables: in addition to the environment of this process.
        is_foreign: not our program: it gets only the variables in `FOREIGN_GET`.
    """

    name: str
    command: Sequence[str]
    log: Path
    variables: Mapping[str, str] | None = None
    is_foreign: bool = False


def spawn(program: Program, run: Path) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own (we pass on a terminal's Ctrl-C) and record it in `run`.

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
    """The variables that a program starts with. Broker and registry get none of our variables, and no keys."""
    inherited = {
        name: value for name, value in os.environ.items() if not program.is_foreign or name.upper() in FOREIGN_GET
    }
    return {**inherited, **(program.variables or {})}


def _end_with_parent() -> None:
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop_tree(pid: int, *, seconds: float = STOP_SECONDS) -> None:
    """End a process and all below it: SIGTERM to the top one, SIGKILL to all that still run at the deadline."""
    try:
        top = psutil.Process(pid)
        tree = [top, *top.children(recursive=True)]
        top.terminate()
        top.resume()  # a suspended process would not react to SIGTERM
    except psutil.NoSuchProcess:
        return
    # After the top one has ended, its children end soon or never.
    alive = _wait_ended(tree, 0) if _wait_ended(tree[:1], seconds) else _wait_ended(tree, BELOW_SECONDS)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _wait_ended(alive, BELOW_SECONDS)


def end_group(pid: int) -> None:
    """SIGKILL to the process group of a dead child: the JVM of a killed Spark driver runs for some seconds and holds
    its locks, so that the next driver would refuse to start.
    """
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _wait_ended(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """The processes that still run after so many seconds. A zombie counts as ended."""
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
    """Stop processes of an earlier stack in this home that were left behind; returns their names.

    A process counts only if its start time is also the recorded one, because pids are reused.
    """
    stopped = []
    for name, (pid, created) in _records(run).items():
        if is_alive(pid, created):
            stop_tree(pid)
            stopped.append(name)
        elif not psutil.pid_exists(pid):
            end_group(pid)  # a pid is not reused while its process group exists, so this can only be ours
    _children_file(run).unlink(missing_ok=True)
    return stopped


def is_alive(pid: int, created: str) -> bool:
    """Whether the recorded process still runs. Args: created: what `creation_of` said when it was recorded."""
    try:
        return creation_of(pid) == created and _runs(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def creation_of(pid: int) -> str:
    """When a process started, in a form that stays the same when the clock is set.

    On Linux these are the boot and the ticks since it (`starttime`, proc_pid_stat(5)). The time by the clock is
    computed from the boot's, which moves with every step of the clock: a process would no longer be the recorded one.

    Raises:
        psutil.NoSuchProcess: there is none with this number.
    """
    if sys.platform != "linux":
        return str(psutil.Process(pid).create_time())
    try:
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return f"{_BOOT.read_text().strip()} {after_name[_STARTTIME].decode()}"


def bound_log(log: Path) -> None:
    """Truncate a log that has become too long, after copying it. Writers append, so they are not affected."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


def lock_home(run: Path, home: Path) -> TextIOWrapper:
    """Lock this home for one stack, until the returned file is closed or the process ends.

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


def _records(run: Path) -> dict[str, tuple[int, str]]:
    try:
        return {name: (pid, created) for name, (pid, created) in json.loads(_children_file(run).read_text()).items()}
    except (FileNotFoundError, ValueError):
        return {}


def _record(run: Path, name: str, pid: int) -> None:
    try:
        created = creation_of(pid)
    except psutil.NoSuchProcess:
        return
    write_json(_children_file(run), {**_records(run), name: (pid, created)})


def write_json(path: Path, content: object) -> None:
    """Write a JSON file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(content, indent=1))

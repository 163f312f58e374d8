"""One writer per table."""

import json
import os
import subprocess
import sys

import pytest

from foundation.errors import UnsafeState
from sinks import locks
from sinks.locks import TableLocks, exclusive, shared


def test_a_second_driver_is_refused_and_the_message_names_the_owner(spark, tmp_path):
    first = TableLocks(spark, tmp_path)
    first.acquire("bronze.things")
    first.acquire("bronze.things")  # ours already

    with pytest.raises(UnsafeState, match=f"process {os.getpid()}"):
        TableLocks(spark, tmp_path).acquire("bronze.things")
    first.release()
    TableLocks(spark, tmp_path).acquire("bronze.things")


def test_a_command_without_a_jvm_sees_the_jvms_lock(spark, tmp_path):
    """Java's lock and Python's are the same kind, between processes."""
    take = f"from sinks.locks import *\nwith exclusive(Path({str(tmp_path)!r}), 't'): pass"
    held = TableLocks(spark, tmp_path)
    held.acquire("t")
    refused = subprocess.run([sys.executable, "-c", take], capture_output=True, text=True, check=False)
    held.release()
    taken = subprocess.run([sys.executable, "-c", take], capture_output=True, text=True, check=False)

    assert "TableIsTakenError" in refused.stderr
    assert taken.returncode == 0


def test_a_lock_whose_driver_was_killed_is_waited_for(spark, tmp_path, monkeypatch):
    """Its JVM ends some seconds later. One that never does is refused at the deadline."""
    held = TableLocks(spark, tmp_path)
    held.acquire("t")
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / "t.holder.json").write_text(json.dumps({"pid": int(ended.stdout), "host": locks.socket.gethostname()}))
    with monkeypatch.context() as patch:
        patch.setattr(locks, "PATIENCE_SECONDS", 0.5)
        with pytest.raises(UnsafeState):
            TableLocks(spark, tmp_path).acquire("t")

    waits: list[float] = []
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: (waits.append(seconds), held.release()))
    TableLocks(spark, tmp_path).acquire("t")
    assert waits


def test_an_exclusive_lock_is_released_at_its_end(tmp_path):
    for _ in range(2):
        with exclusive(tmp_path, "t"):
            pass


def test_a_shared_lock_excludes_exclusive_ones_only(tmp_path):
    """Locks are those of processes, so each asks in one of its own."""

    def asks_for(kind: str) -> int:
        take = f"from sinks.locks import *\nwith {kind}(Path({str(tmp_path)!r}), 't'): pass"
        return subprocess.run([sys.executable, "-c", take], capture_output=True, check=False).returncode

    with shared(tmp_path, "t"):
        assert (asks_for("shared"), asks_for("exclusive")) == (0, 1)
    with exclusive(tmp_path, "t"):
        assert (asks_for("shared"), asks_for("exclusive")) == (1, 1)

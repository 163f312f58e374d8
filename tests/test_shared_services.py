"""Parallel test processes share one broker and registry; the process that started them ends last."""

import multiprocessing
import os
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.helpers import PATIENCE_SECONDS, wait_for
from tests.shared_services import borrow, end

CONTEXT = multiprocessing.get_context("spawn")


def use(folder: Path, done: Event, told: "Queue[tuple[str, str]]") -> None:
    """A process of a test run: prints what it got, what it starts and stops, and when it has ended."""

    def start() -> tuple[dict[str, str], object]:
        told.put(("started", str(os.getpid())))
        return {"kafka": str(os.getpid())}, lambda: told.put(("stopped", str(os.getpid())))

    addresses = borrow(folder, start)
    told.put(("uses", addresses["kafka"]))
    done.wait(PATIENCE_SECONDS)
    end()


def test_one_process_starts_them_and_stops_them_after_the_last_user(tmp_path: Path) -> None:
    told: Queue[tuple[str, str]] = CONTEXT.Queue()
    events = [CONTEXT.Event() for _ in range(3)]
    users = [CONTEXT.Process(target=use, args=(tmp_path, event, told)) for event in events]
    users[0].start()
    owner = str(users[0].pid)
    assert [told.get(timeout=PATIENCE_SECONDS) for _ in range(2)] == [("started", owner), ("uses", owner)]
    for user in users[1:]:
        user.start()
    assert [told.get(timeout=PATIENCE_SECONDS) for _ in range(2)] == [("uses", owner), ("uses", owner)]

    events[0].set()
    events[1].set()
    users[1].join(PATIENCE_SECONDS)
    assert users[0].is_alive()
    assert told.empty()

    users[2].kill()  # it has left its file behind
    users[2].join(PATIENCE_SECONDS)
    wait_for(lambda: not users[0].is_alive(), "the end of who started them")
    assert told.get(timeout=PATIENCE_SECONDS) == ("stopped", owner)

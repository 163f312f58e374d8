"""Keep queries running: restart one that fails or stalls, alone and with back-off; suspend one that finds nothing.

A query is stopped for good if a guard refuses to start it, if its topic was recreated, or if its batch finds an unsafe
state, such as a broken `fail` expectation. The others go on. The driver ends if a query fails again and again, or if
another driver writes a table.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from foundation import notify
from foundation.errors import CorrentezaError, TransientError, UnsafeState
from foundation.log import get_logger
from stream_jobs.running.background import in_background
from stream_jobs.running.jobs import Job
from stream_jobs.running.stop_notes import WriteNote
from stream_jobs.running.stopping import stopped_after
from stream_jobs.running.supervised import STOP_SECONDS, Supervised

WATCH_SECONDS = 0.5
CHECK_SECONDS = 30.0
SHORTEST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.02, 0.2
"""Between two looks at queries that read to the end. Each look asks the JVM several times per query; Spark keeps the
progress of twenty batches until it is read."""

log = get_logger("supervisor")


def keep_running(
    supervised: Sequence[Supervised],
    stop: threading.Event,
    check: Callable[[], Mapping[str, UnsafeState]],
    *,
    stop_seconds: float = STOP_SECONDS,
) -> None:
    """Watch until told to stop; then stop every query at a batch boundary.

    Args:
        check: called every half minute in a thread of its own; returns the queries that may not go on, and why; raises
            when none may.
        stop_seconds: how long batches may take to end once told to stop.

    Raises:
        CorrentezaError: a query cannot go on, or every one is stopped. All are stopped.
        UnsafeState, CorrentezaError: told to stop, all have ended, and the ones stopped before are named.
    """
    with stopped_after(supervised, stop_seconds):
        checking: Future[Mapping[str, UnsafeState]] | None = None
        next_check = time.monotonic() + CHECK_SECONDS
        while not stop.wait(WATCH_SECONDS):
            for each in supervised:
                each.watch()
            notify.alive()
            if supervised and all(isinstance(each.stopped_by, UnsafeState) for each in supervised):
                break
            if checking is not None and checking.done():
                unsafe = _settle(checking)
                for each in supervised:
                    if each.job.name in unsafe:
                        each.stop_for_good(unsafe[each.job.name])
                checking = None
            if checking is None and time.monotonic() >= next_check:
                checking = in_background(check)
                next_check = time.monotonic() + CHECK_SECONDS
    require_none_stopped({each.job.name: each.stopped_by for each in supervised if each.stopped_by is not None})


def require_none_stopped(stopped: Mapping[str, CorrentezaError]) -> None:
    """Raises: UnsafeState, or the class of the worst error, naming every query that has stopped for good."""
    if not stopped:
        return
    worst = max(stopped.values(), key=lambda error: (isinstance(error, UnsafeState), error.exit_code))
    reasons = "; ".join(f"{name} is stopped: {error}" for name, error in stopped.items())
    raise type(worst)(reasons, hint=worst.hint)


def drain(jobs: Sequence[Job], *, at_once: int, stop: threading.Event) -> dict[str, int]:
    """As `bring_up_to_date`. Raises: UnsafeState too, once the others are done, if a query has stopped for good."""
    done = bring_up_to_date(jobs, at_once=at_once, stop=stop)
    require_none_stopped(done.stopped)
    return done.rows


@dataclass
class Done:
    """The result of jobs that were brought up to date.

    Attributes:
        rows: job → input rows.
        stopped: job → why it has stopped for good.
    """

    rows: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, CorrentezaError] = field(default_factory=dict)


def bring_up_to_date(
    jobs: Sequence[Job],
    *,
    at_once: int,
    stop: threading.Event,
    note: WriteNote = lambda query, state, error: None,
) -> Done:
    """Let every job read all that its inputs hold, then end it. A job that stops for good does not hinder the others.

    Args:
        at_once: how many queries run side by side.
        note: as of `Supervised`.

    Raises:
        CorrentezaError: a query cannot go on, or a stop was asked for. All are stopped.
    """
    waiting = deque(Supervised(job, {"availableNow": True}, note) for job in jobs)
    running: list[Supervised] = []
    done = Done()
    pause = SHORTEST_LOOK_SECONDS
    with stopped_after(running, STOP_SECONDS):
        while waiting or running:
            if stop.is_set():
                raise CorrentezaError("stopped before everything was read", hint="run it again: it continues from here")
            pause = min(1.5 * pause, LONGEST_LOOK_SECONDS)
            while waiting and len(running) < at_once:
                running.append(waiting.popleft())
                running[-1].start()
                pause = SHORTEST_LOOK_SECONDS
            for each in list(running):
                if each.watch():
                    done.rows[each.job.name] = each.rows
                    if each.stopped_by is not None:
                        done.stopped[each.job.name] = each.stopped_by
                    running.remove(each)
            time.sleep(pause)
    return done


def _settle(checking: "Future[Mapping[str, UnsafeState]]") -> Mapping[str, UnsafeState]:
    """The result of a check; empty if the broker or the registry did not answer: the check is repeated later."""
    try:
        return checking.result()
    except TransientError as error:
        log.warning("check_postponed", error=str(error))
        return {}

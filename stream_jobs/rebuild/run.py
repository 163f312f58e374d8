"""The state of a rebuild on disk, and the steps of its queries' tables. The tables of one query follow those of
another.

    checkpoints/rebuild/run.json    which queries, in order

There is one rebuild at a time: the process that works on it holds the lock `rebuild` exclusively. Processes that close
dead letters hold it as a shared lock; if two of them run at once, Kafka's fencing of the producer stops one.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

from foundation.errors import UnsafeState, UsageError
from foundation.failpoints import failpoint
from foundation.files import replace_file
from sinks.locks import TableIsTakenError, exclusive, shared
from stream_jobs.places import QUARANTINE, Places
from stream_jobs.rebuild import plan, shadow
from stream_jobs.running import handover
from stream_jobs.running.checkpoints import Checkpoint
from stream_jobs.running.handover import Phase, Rebuild
from stream_jobs.running.shadows import FOLDER

HAND_OVER_SECONDS = 180.0
"""How long a driver may take to swap a table: a running batch and maintenance have to end first."""
Origin = Literal["kafka", "archive"]
ENDED: tuple[Phase, ...] = ("swapped", "returned")


@dataclass(frozen=True)
class Run:
    """Which tables are rebuilt.

    Attributes:
        run: as of `Rebuild`.
        queries: in this order.
        origin: of bronze rows: `kafka` or `archive`. None means both, and the rows that only the live table has.
    """

    run: str
    queries: tuple[str, ...]
    origin: Origin | None = None


@contextmanager
def exclusive_lock(places: Places) -> Iterator[None]:
    """Held while this process works on a rebuild. Raises: UnsafeState when another process does."""
    with _locked(
        exclusive(places.locks, FOLDER, places.lake), "another rebuild is under way, or dead letters are being closed"
    ):
        yield


@contextmanager
def _locked(lock: AbstractContextManager[None], otherwise: str) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(lock)
        except TableIsTakenError:
            raise UnsafeState(otherwise, hint="correnteza rebuild --status") from None
        yield


@contextmanager
def no_silver_rebuild(places: Places) -> Iterator[None]:
    """Held while dead letters are closed: no rebuild of silver may begin. Raises: UnsafeState if one runs or is
    unfinished.

    A shadow that has read a row before its dead letter is closed would keep the row instead of its copy.
    """
    with _locked(shared(places.locks, FOLDER), "a rebuild is under way"):
        this = latest(places)
        if this is not None and not is_finished(places, this):
            begun = [query for query in this.queries if query.startswith("silver.")]
            if begun:
                raise UnsafeState(
                    f"a rebuild of {', '.join(begun)} is unfinished: close dead letters before it or after it",
                    hint="correnteza rebuild --resume, to finish it; or --abandon",
                )
        yield


def begin(places: Places, queries: Sequence[str], origin: Origin | None = None) -> Run:
    """A new rebuild. Args: as of `Run`. Raises: UnsafeState while one is unfinished."""
    former = latest(places)
    if former is not None and not is_finished(places, former):
        raise UnsafeState(
            f"a rebuild of {', '.join(former.queries)} is unfinished",
            hint="correnteza rebuild --resume, to finish it; or --rollback, or --abandon",
        )
    shadow.remove_left(places)
    run = Run(uuid4().hex, tuple(queries), origin)
    _file(places).parent.mkdir(parents=True, exist_ok=True)
    replace_file(_file(places), json.dumps(asdict(run), indent=1))
    return run


def latest(places: Places) -> Run | None:
    """The rebuild that was begun last; None if there is none."""
    try:
        found = json.loads(_file(places).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Run(found["run"], tuple(found["queries"]), found.get("origin"))


def require(places: Places) -> Run:
    """The rebuild that was begun last. Raises: UsageError if there is none."""
    run = latest(places)
    if run is None:
        raise UsageError("no rebuild is known here", hint="correnteza rebuild --dry-run all")
    return run


def state_of(places: Places, run: Run, query: str) -> Rebuild | None:
    """The state of a query in this rebuild; None before it was begun."""
    state = handover.read(places, query)
    return state if state is not None and state.run == run.run else None


def is_finished(places: Places, run: Run) -> bool:
    """Whether all queries of a rebuild are done."""
    states = [state_of(places, run, query) for query in run.queries]
    return all(state is not None and state.phase in ENDED for state in states)


def state_or_new(places: Places, run: Run, query: str) -> Rebuild:
    """The state of a query in this rebuild. A query that was not begun is begun now, after any older shadow is
    removed."""
    state = state_of(places, run, query)
    if state is not None:
        return state
    shadow.remove(places, query)
    generation = Checkpoint(query, places.checkpoint(query)).newest_generation() + 1
    return handover.write(places, Rebuild(query, run.run, max(generation, 1), "building", inputs=plan.inputs_of(query)))


def hand_over(places: Places, state: Rebuild, wanted: Phase, seconds: float = HAND_OVER_SECONDS) -> None:
    """Request a step from the owner of the tables and wait for it. The owner is the driver that holds their locks, or
    else this process.

    Raises:
        UnsafeState: the owner has not done it in time. It may still do it, and `--resume` waits again.
    """
    if state.phase not in handover.WANTED:
        handover.write(places, replace(state, phase=wanted))
        failpoint("asked_for")
    until = time.monotonic() + seconds
    while handover.is_wanted(places, state.query):
        reason = "its live query has not read yet what the shadow has"
        try:
            with ExitStack() as stack:
                _lock_tables(stack, places, state.query)
                handover.carry_out(places, state.query)
        except TableIsTakenError as taken:
            reason = str(taken)
        if handover.is_wanted(places, state.query):
            if time.monotonic() > until:
                raise UnsafeState(
                    f"{state.query} was not swapped within {seconds:.0f} s: {reason}",
                    hint="correnteza status; the query may be stopped. Then correnteza rebuild --resume",
                )
            time.sleep(0.2)


def roll_back(places: Places, run: Run) -> list[str]:
    """Restore the former content of every table, the last one first; returns the queries whose tables were restored.

    Raises:
        UnsafeState: the former content of one is gone; nothing was changed. Or as `hand_over`.
    """
    states = [state for query in run.queries if (state := state_of(places, run, query)) is not None]
    for state in states:
        if state.phase == "swapping" or (state.phase == "swap_wanted" and not _cancel_swap(places, state)):
            hand_over(places, state, "swap_wanted")
    states = [state for query in run.queries if (state := state_of(places, run, query)) is not None]
    swapped = [state for state in states if state.phase in ("swapped", "return_wanted", "returning")]
    for state in swapped:
        if state.phase == "swapped":
            handover.require_former(places, state)
    for state in reversed(swapped):
        hand_over(places, state, "return_wanted")
    abandon(places, run)
    return [state.query for state in swapped]


def abandon(places: Places, run: Run) -> None:
    """Remove the shadows and the rebuild's state. Tables that were swapped stay swapped.

    Raises:
        UnsafeState: a swap was begun and must be finished first; or a driver may begin it at any moment.
    """
    for query in run.queries:
        with ExitStack() as stack:
            state = state_of(places, run, query)
            if state is not None and state.phase in handover.WANTED:
                _lock_tables(stack, places, query)  # an owner may begin at any moment
                state = state_of(places, run, query)
            if state is None or state.phase in ENDED:
                continue
            if state.phase in handover.BEGUN and not handover.is_overtaken(places, state):
                raise UnsafeState(f"the swap of {query} was begun", hint="correnteza rebuild --resume; or --rollback")
            handover.write(places, replace(state, phase="returned"))
            shadow.remove(places, query)
    _file(places).unlink(missing_ok=True)


def _cancel_swap(places: Places, state: Rebuild) -> bool:
    """Cancel a swap that was requested. Returns False if it cannot be cancelled, because a driver may begin it at any
    moment."""
    with ExitStack() as stack:
        try:
            _lock_tables(stack, places, state.query)
        except TableIsTakenError:
            return False
        now = handover.read(places, state.query)
        if now is None or now.phase != "swap_wanted":
            return False
        handover.write(places, replace(now, phase="built"))
        return True


def _lock_tables(stack: ExitStack, places: Places, query: str) -> None:
    """Hold the locks of a query's tables until the stack ends. Raises: TableIsTakenError when somebody holds one."""
    for lock in (query, QUARANTINE) if query.startswith("silver.") else (query,):
        stack.enter_context(exclusive(places.locks, lock, places.lake))


def _file(places: Places) -> Path:
    return places.checkpoints / FOLDER / "run.json"

"""The last step of a rebuild: the rebuilt tables replace the live ones, or the former content is restored.

    checkpoints/rebuild/<layer>.<table>/state.json   how far the rebuild of one query's tables has come
    checkpoints/rebuild/<layer>.<table>/g<n>         the checkpoint of the shadow, which the live query goes on with
    <lake>/rebuild/<layer>/<table>                   the shadow tables

    building → built → swap_wanted → swapping → swapped → return_wanted → returning → returned
                         └ `rebuild` asks ┘ └ the owner of the tables does ┘

Only the owner of the tables may do this, with the query stopped: a driver between two batches, or `rebuild` itself if
no driver has the lock. The next owner always completes a swap that was begun before it starts the query: with its
former checkpoint the query would skip the rows that the new content lacks. Each step may be repeated.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from deltalake import Transaction

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from foundation.files import replace_file
from sinks import tables
from sinks.swap import files_of, require_files, restore, swap
from stream_jobs.places import Places
from stream_jobs.running import ahead
from stream_jobs.running.checkpoints import Checkpoint, Guard, app_id
from stream_jobs.running.shadows import FOLDER, shadow_of, tables_of

Phase = Literal["building", "built", "swap_wanted", "swapping", "swapped", "return_wanted", "returning", "returned"]
BEGUN: tuple[Phase, ...] = ("swapping", "returning")
"""The owner has begun and not finished."""
WANTED: tuple[Phase, ...] = ("swap_wanted", "return_wanted", *BEGUN)
"""The owner has something to do."""


@dataclass(frozen=True)
class Former:
    """What was there before the swap.

    Attributes:
        guard: of the query; None where it had none.
        versions: table → its version; None where there was no table.
        files: table → the files of that version, of the partition that is replaced.
    """

    guard: dict[str, Any] | None
    versions: Mapping[str, int | None]
    files: Mapping[str, list[str]]


@dataclass(frozen=True)
class Rebuild:
    """How far the rebuild of one query's tables has come.

    Attributes:
        run: tells one rebuild from another; part of the marks that its commits leave.
        generation: of the shadow's checkpoint, and of the live query after the swap.
        inputs: the tables (`<layer>.<table>`) that the query streams.
        former: noted when the swap begins.
    """

    query: str
    run: str
    generation: int
    phase: Phase
    inputs: tuple[str, ...] = ()
    former: Former | None = field(default=None)


def read(places: Places, query: str) -> Rebuild | None:
    """The state of a query's rebuild; None where there is none. Raises: UnsafeState when it cannot be read."""
    file = _file(places, query)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        former, inputs = found.pop("former"), tuple(found.pop("inputs"))
        return Rebuild(**found, inputs=inputs, former=None if former is None else Former(**former))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise UnsafeState(
            f"{file} is damaged: {error}", hint="correnteza verify --full; if silver and gold hold, remove the file"
        ) from error


def write(places: Places, state: Rebuild) -> Rebuild:
    """Note a state; a reader sees this one or the one before."""
    file = _file(places, state.query)
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, json.dumps(asdict(state), indent=1))
    return state


def is_wanted(places: Places, query: str) -> bool:
    """Whether the owner of the query's tables has something to do or to finish."""
    state = read(places, query)
    return state is not None and state.phase in WANTED


def is_due(places: Places, query: str) -> bool:
    """Whether the owner may do it now, before the query goes on."""
    if not _file(places, query).exists():  # as good as always
        return False
    state = read(places, query)
    return (
        state is not None and state.phase in WANTED and not (state.phase == "swap_wanted" and is_ahead(places, state))
    )


def is_ahead(places: Places, state: Rebuild) -> bool:
    """As `ahead.is_ahead`."""
    return ahead.is_ahead(places, state.query, state.generation, state.inputs)


def carry_out(places: Places, query: str) -> None:
    """Do what is wanted, or finish what was begun, if anything. Only the owner may call this, with the query stopped.

    Raises:
        UnsafeState: the former content is gone, or the query was given another checkpoint meanwhile.
    """
    state = read(places, query)
    if state is not None and state.phase in WANTED:
        _require_known(places, state)
    if state is not None and state.phase == "swap_wanted" and not is_ahead(places, state):
        state = write(places, replace(state, phase="swapping", former=_present(places, query)))
        failpoint("before_swap")
    if state is not None and state.phase == "return_wanted":
        require_former(places, state)
        state = write(places, replace(state, phase="returning"))
        failpoint("before_return")
    if state is not None and state.phase == "swapping":
        _swap(places, state)
        write(places, replace(state, phase="swapped"))
    if state is not None and state.phase == "returning":
        _return(places, state)
        write(places, replace(state, phase="returned"))


def is_overtaken(places: Places, state: Rebuild) -> bool:
    """Whether the query has got a checkpoint that its rebuild does not know, for example by `checkpoint adopt`."""
    guard = Checkpoint(state.query, places.checkpoint(state.query)).guard
    if state.former is None:
        return guard is not None and guard.generation > state.generation
    known = (_generation(state.former.guard), state.generation)
    return (None if guard is None else guard.generation) not in known


def _require_known(places: Places, state: Rebuild) -> None:
    if is_overtaken(places, state):
        raise UnsafeState(
            f"{state.query} was given another checkpoint while its rebuild was under way",
            hint="correnteza rebuild --abandon; then run it again",
        )


def _swap(places: Places, state: Rebuild) -> None:
    live = Checkpoint(state.query, places.checkpoint(state.query))
    shadow = shadow_of(places, state.query)
    begun = Checkpoint(state.query, shadow.checkpoint(state.query))
    guard = begun.guard
    if guard is None:
        raise UnsafeState(f"the shadow of {state.query} has no guard.json", hint="correnteza rebuild --rollback")
    for table, partition in tables_of(state.query).items():
        writer = app_id(state.query, guard, table)
        written = tables.last_transaction(shadow.table(table), writer)
        carried = [] if written is None else [Transaction(writer, written)]
        mark = _mark(state, table, "swap")
        swap(places.table(table), shadow.table(table), partition, mark=mark, carried=carried)
    failpoint("swap_committed")
    _copy_checkpoint(begun, live, state.generation)
    failpoint("checkpoint_copied")
    now = {name: tables.identity(places.table(name)) for name in guard.tables}
    live.continue_with(replace(guard, tables=now))
    failpoint("after_swap")


def _return(places: Places, state: Rebuild) -> None:
    assert state.former is not None
    assert state.former.guard is not None
    live = Checkpoint(state.query, places.checkpoint(state.query))
    for table, partition in tables_of(state.query).items():
        restore(places.table(table), state.former.files[table], partition, mark=_mark(state, table, "return"))
    failpoint("return_committed")
    live.continue_with(Guard(**state.former.guard))
    failpoint("after_return")


def _present(places: Places, query: str) -> Former:
    guard = Checkpoint(query, places.checkpoint(query)).guard
    own = tables_of(query)
    paths = {table: places.table(table) for table in own}
    return Former(
        guard=None if guard is None else asdict(guard),
        versions={table: tables.version(path) if tables.exists(path) else None for table, path in paths.items()},
        files={table: files_of(path, own[table]) for table, path in paths.items()},
    )


def require_former(places: Places, state: Rebuild) -> None:
    """Raises: UnsafeState when there is nothing to go back to."""
    former = state.former
    if former is None or former.guard is None or None in former.versions.values():
        raise UnsafeState(f"{state.query} had no content before its rebuild", hint="correnteza rebuild --status")
    live = Checkpoint(state.query, places.checkpoint(state.query))
    if not live.has_begun(former.guard["generation"]):
        raise UnsafeState(f"the former checkpoint of {state.query} is gone", hint="rebuild the table again instead")
    for table in tables_of(state.query):
        require_files(places.table(table), former.files[table])


def _copy_checkpoint(begun: Checkpoint, live: Checkpoint, generation: int) -> None:
    """Copy the shadow's checkpoint, and the newest clocks it had seen, to the folder of the live query."""
    target = live.path(generation)
    live.folder.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        partial = live.folder / f".{target.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(begun.path(generation), partial)
        partial.replace(target)
    seen = begun.folder / "seen.json"
    if seen.exists():
        replace_file(live.folder / seen.name, seen.read_bytes())
    os.sync()  # the guard must not be on disk before what it names


def _mark(state: Rebuild, table: str, what: str) -> Transaction:
    return Transaction(f"rebuild.{state.run}.{table}.{what}", 1)


def _generation(guard: Mapping[str, Any] | None) -> int | None:
    return None if guard is None else int(guard["generation"])


def _file(places: Places, query: str) -> Path:
    return places.checkpoints / FOLDER / query / "state.json"

"""Which tables are maintained, and how, and which of them a process may maintain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from deltalake import DeltaTable

from foundation import clock
from schemas.contracts import CANARY_TABLE
from sinks import tables
from sinks.listing import Listing
from sinks.planning import Plan, Policy, look
from storage import files
from storage.location import location
from stream_jobs.places import QUARANTINE, Places
from stream_jobs.running.maintenance_lock import MaintenanceLock
from stream_jobs.running.readers import Readers

_MIB = 1024**2

LAYERS = ("bronze", "silver", "gold", "ops")

BRONZE = Policy(small_bytes=32 * _MIB, target_bytes=128 * _MIB, at_least=8, closed_days=True)
"""Append-only and read in whole: large files, each day once it is over."""
OTHERS = Policy(small_bytes=8 * _MIB, target_bytes=32 * _MIB, at_least=16)
"""A batch that replaces a row writes its file again, so files stay smaller."""
CANARY_DAYS = 30
"""How many days the canary's tables keep: longer than its topic, so that both can be compared."""
CANARIES = {
    f"bronze.{CANARY_TABLE}": replace(BRONZE, kept_days=CANARY_DAYS),
    f"silver.{CANARY_TABLE}": replace(OTHERS, kept_days=CANARY_DAYS),
}


def policy_of(table: str) -> Policy:
    """How a table (`<layer>.<table>`) is compacted."""
    if table in CANARIES:
        return CANARIES[table]
    return BRONZE if table.startswith("bronze.") else OTHERS


def lock_of(table: str) -> str:
    """The table whose lock protects this one: a silver query writes revisions and current under one lock."""
    return table.removesuffix("_revisions") if table.startswith("silver.") else table


def existing_tables(places: Places) -> list[str]:
    """Every table of the lake, layer by layer."""
    names = (f"{layer}.{name}" for layer in LAYERS for name in files.folders(location(places.lake) / layer))
    return [name for name in names if tables.exists(places.table(name))]


def plan_of(places: Places, table: str, readers: Readers, opened: DeltaTable | None = None) -> Plan:
    """What is worth doing to a table. Raises: as `Listing.of`.

    Args: opened: its newest version, where it is open already.
    """
    listing = Listing.of(places.table(table), opened)
    return look(table, listing, policy_of(table), readers.of(table, listing.identity), now=clock.now())


@dataclass(frozen=True)
class Owned:
    """A table that this process may maintain.

    Attributes:
        maintenance_locks: of the queries that replace files of it.
        is_shared: it has no owner and other processes append to it, so its lock is held during maintenance.
    """

    table: str
    maintenance_locks: tuple[MaintenanceLock, ...] = ()
    is_shared: bool = False


def owned(writers: Mapping[str, MaintenanceLock | None], there: Sequence[str]) -> list[Owned]:
    """The tables of some queries, and those about the pipeline.

    Args:
        writers: query, or static table → its maintenance lock; None where it replaces no file.
    """
    silver = tuple(lock for query, lock in writers.items() if query.startswith("silver.") and lock is not None)
    found = []
    for table in there:
        if lock_of(table) in writers:
            lock = writers[lock_of(table)]
            found.append(Owned(table, () if lock is None else (lock,)))
        elif table == QUARANTINE and silver:
            found.append(Owned(table, silver))
        elif table.startswith("ops."):
            found.append(Owned(table, is_shared=True))
    return found

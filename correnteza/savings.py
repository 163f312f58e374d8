"""What maintenance would save of each table, for `status`: planned with delta-rs, as by `maintain --dry-run`.

Spark is not imported: the tables that a query streams are taken from the contracts (monitoring/lag/inputs.py). This is
enough for an estimate; `maintain` and the driver use the queries themselves before they remove a file.
"""

from deltalake.exceptions import DeltaError

from correnteza.places import places
from correnteza.settings import Settings
from foundation.errors import CorrentezaError
from monitoring.lag import inputs
from monitoring.lag.status import Saving, SavingOf
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.snapshot import Snapshot
from schemas import contracts
from stream_jobs.running.maintained_tables import plan_of
from stream_jobs.running.readers import Readers


def streamed() -> dict[str, tuple[str, ...]]:
    """Query → the tables that it streams, of every query."""
    gold = {each.table: each.datasets for each in DEFINITIONS}
    return {**inputs.of_queries(contracts.load_all().values(), gold), **inputs.CANARIES}


def planner(settings: Settings) -> SavingOf:
    """A function that plans the maintenance of one table."""
    where = places(settings)
    readers = Readers(where, streamed())

    def saving_of(snapshot: Snapshot) -> Saving | None:
        try:
            plan = plan_of(where, snapshot.name, readers, snapshot.table)
        except (CorrentezaError, DeltaError, OSError):
            return None  # the table cannot be read; `verify` reports it
        return Saving(plan.small_files, len(plan.groups), plan.old_bytes, plan.held_by)

    return saving_of

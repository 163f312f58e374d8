"""What maintenance would save of each table, for `status`: planned by delta-rs, as `maintain --dry-run` plans it.

Spark is not imported: which tables a query streams is taken from the contracts (monitoring/lag/inputs.py). It says what
would be done and does nothing; `maintain` and the driver ask the queries themselves before they remove a file.
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
    """What is asked of every table, one after the other."""
    where = places(settings)
    readers = Readers(where, streamed())

    def saving_of(snapshot: Snapshot) -> Saving | None:
        try:
            plan = plan_of(where, snapshot.name, readers, snapshot.table)
        except (CorrentezaError, DeltaError, OSError):
            return None  # a table that cannot be read, which `verify` finds
        return Saving(plan.small_files, len(plan.groups), plan.old_bytes, plan.held_by)

    return saving_of

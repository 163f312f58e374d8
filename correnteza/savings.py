"""What maintenance would save of each table, for `status`: planned by delta-rs, as `maintain --dry-run` plans it.

Spark is not imported: which tables a query streams is taken from the contracts (monitoring/lag/inputs.py). It says what
would be done and does nothing; `maintain` and the driver ask the queries themselves before they remove a file.
"""

from collections.abc import Mapping

from deltalake.exceptions import DeltaError

from correnteza.places import places
from correnteza.settings import Settings
from foundation.errors import CorrentezaError
from monitoring.lag import inputs
from monitoring.lag.status import Saving
from monitoring.proof.checks.gold_sql import DEFINITIONS
from schemas import contracts
from stream_jobs.running.readers import Readers
from stream_jobs.running.upkeep import plan_of, tables_there


def streamed() -> dict[str, tuple[str, ...]]:
    """Query → the tables that it streams, of every query."""
    gold = {each.table: each.datasets for each in DEFINITIONS}
    return {**inputs.of_queries(contracts.load_all().values(), gold), **inputs.CANARIES}


def savings(settings: Settings) -> Mapping[str, Saving]:
    """Table → what would be saved of it; one that cannot be read is left out, which `verify` finds."""
    where = places(settings)
    readers = Readers(where, streamed())
    found = {}
    for table in tables_there(where):
        try:
            plan = plan_of(where, table, readers)
        except (CorrentezaError, DeltaError, OSError):
            continue
        found[table] = Saving(plan.small_files, len(plan.groups), plan.old_bytes, plan.held_by)
    return found

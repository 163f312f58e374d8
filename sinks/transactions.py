"""Delta's transaction identifiers: what makes a repeated micro-batch change nothing.

A table remembers, per app id, the highest version it has seen, and whoever is about to commit asks for it. So every
commit of a batch to a table has an app id of its own (a second one with the same pair would be skipped silently), and
an app id never serves two generations of a checkpoint: batch ids begin at 0 again, and new batches would pass for old.
"""

from dataclasses import dataclass

from deltalake import Transaction


@dataclass(frozen=True)
class Batch:
    """One micro-batch of a query.

    Attributes:
        job: the query, such as `silver.inmet_hourly`.
        generation: of its checkpoint; it rises when the checkpoint is begun anew.
        batch_id: Spark's, from 0 in each generation.
    """

    job: str
    generation: int
    batch_id: int

    def app_id(self, table: str) -> str:
        """The app id of the job's one commit per batch to a table."""
        return f"{self.job}.{table}.g{self.generation}"

    def once(self, table: str) -> Transaction:
        """What marks this batch's commit to a table."""
        return Transaction(self.app_id(table), self.batch_id)

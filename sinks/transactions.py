"""Delta's transaction identifiers. Because of them a repeated micro-batch changes nothing.

A table stores, per app id, the highest version that was committed, and every writer reads it before a commit. So every
commit of a batch to a table has its own app id (a second commit with the same pair would be skipped silently), and no
app id is used in two generations of a checkpoint: batch ids begin at 0 again, and new batches would look like old ones.
"""

from dataclasses import dataclass

from deltalake import Transaction


@dataclass(frozen=True)
class Batch:
    """One micro-batch of a query.

    Attributes:
        job: the query, such as `silver.inmet_hourly`.
        generation: of its checkpoint; it rises when the checkpoint is begun again.
        batch_id: Spark's, from 0 in each generation.
    """

    job: str
    generation: int
    batch_id: int

    def app_id(self, table: str) -> str:
        """The app id of the job's one commit per batch to a table."""
        return f"{self.job}.{table}.g{self.generation}"

    def once(self, table: str) -> Transaction:
        """The transaction id of this batch's commit to a table."""
        return Transaction(self.app_id(table), self.batch_id)

"""How far silver has read its two inputs. Rows that it has not committed are lag, and left out on both sides."""

from monitoring.lag import delta_log
from monitoring.lag.inputs import WITHDRAWALS
from monitoring.proof.checks.model import Evidence


def find_bounds(evidence: Evidence, dataset: str) -> None:
    """Create the table `unsettled`: per input and Kafka partition, the first offset that the silver query has not
    committed."""
    lake = evidence.lake
    lake.connection.execute("CREATE OR REPLACE TEMP TABLE unsettled (is_withdrawn BOOLEAN, p INTEGER, o BIGINT)")
    progress = evidence.progress.get(f"silver.{dataset}")
    if progress is None:
        return  # there is no checkpoint (a copy of a lake): all rows must agree
    # Withdrawals of an external topic are its own tombstones.
    withdrawn_in = f"bronze.{dataset}" if evidence.contracts[dataset].external else WITHDRAWALS
    for table, is_withdrawn in ((f"bronze.{dataset}", False), (withdrawn_in, True)):
        if not lake.has(table):
            continue
        snapshot = lake.snapshots[table]
        files = [
            name
            for name in delta_log.unread(snapshot.path, progress.delta.get(snapshot.table_id)).files
            if name not in snapshot.damaged_files
        ]
        if files:
            lake.connection.execute(
                'INSERT INTO unsettled SELECT ?, partition, min("offset")'
                f" FROM {lake.rows_of(snapshot, files)} GROUP BY ALL",
                [is_withdrawn],
            )


def settled(alias: str, *, is_withdrawn: str | None = None) -> str:
    """SQL: whether a row with `kafka_partition` and `kafka_offset` is before the bounds.

    Args: is_withdrawn: SQL for which of the two inputs the row is from; None takes the row's own column.
    """
    kind = f"{alias}.is_withdrawn" if is_withdrawn is None else is_withdrawn
    return (
        f"NOT EXISTS (SELECT 1 FROM unsettled u WHERE u.is_withdrawn = ({kind} IS TRUE)"
        f" AND u.p = {alias}.kafka_partition AND u.o <= {alias}.kafka_offset)"
    )

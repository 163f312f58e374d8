"""How far silver has come in its two inputs: what it has not committed is lag, and judged on neither side."""

from monitoring.lag import delta_log
from monitoring.lag.inputs import WITHDRAWALS
from monitoring.proof.checks.model import Evidence


def find_bounds(evidence: Evidence, dataset: str) -> None:
    """Table `unsettled`: per input and Kafka partition, the first offset that the silver query has not committed."""
    lake = evidence.lake
    lake.connection.execute("CREATE OR REPLACE TEMP TABLE unsettled (is_withdrawn BOOLEAN, p INTEGER, o BIGINT)")
    progress = evidence.progress.get(f"silver.{dataset}")
    if progress is None:
        return  # no checkpoint at hand (a copy of the lake): everything there is must agree
    for table, is_withdrawn in ((f"bronze.{dataset}", False), (WITHDRAWALS, True)):
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
    """Whether a row with `kafka_partition` and `kafka_offset` stands before the bounds.

    Args: is_withdrawn: SQL for which of the two inputs the row is from; None takes the row's own column.
    """
    kind = f"{alias}.is_withdrawn" if is_withdrawn is None else is_withdrawn
    return (
        f"NOT EXISTS (SELECT 1 FROM unsettled u WHERE u.is_withdrawn = ({kind} IS TRUE)"
        f" AND u.p = {alias}.kafka_partition AND u.o <= {alias}.kafka_offset)"
    )

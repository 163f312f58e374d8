"""How far silver has come in bronze: what it has not committed is lag, and judged on neither side."""

from monitoring import delta_log
from monitoring.checks.model import Evidence


def find_bounds(evidence: Evidence, dataset: str) -> None:
    """Table `unsettled`: per Kafka partition, the first offset that the silver query has not committed."""
    lake = evidence.lake
    snapshot = lake.snapshots[f"bronze.{dataset}"]
    progress = evidence.progress.get(f"silver.{dataset}")
    position = progress.delta.get(snapshot.table_id) if progress else None
    lake.connection.execute("CREATE OR REPLACE TEMP TABLE unsettled (p INTEGER, o BIGINT)")
    if progress is None:
        return  # no checkpoint at hand (a copy of the lake): everything there is must agree
    files = [str(snapshot.path / name) for name in delta_log.unread(snapshot.path, position).files]
    there = [file for file in files if file.removeprefix(f"{snapshot.path}/") not in snapshot.damaged_files]
    if there:
        lake.connection.execute(
            'INSERT INTO unsettled SELECT partition, min("offset") FROM read_parquet(?) GROUP BY 1', [there]
        )


def settled(alias: str) -> str:
    """Whether a row with `kafka_partition` and `kafka_offset` stands before the bounds."""
    return f"NOT EXISTS (SELECT 1 FROM unsettled u WHERE u.p = {alias}.kafka_partition AND u.o <= {alias}.kafka_offset)"

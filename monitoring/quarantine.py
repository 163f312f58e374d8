"""`silver.quarantine` as the checks read it: which record an entry belongs to.

A topic that is recreated repeats its predecessor's offsets, so a place alone does not identify a record. Entries of
older releases have no topic id, and the column may be missing: for them the chunk identifies the record.
"""

from monitoring.lake import Lake

TABLE = "silver.quarantine"


def entries(lake: Lake) -> str:
    """A query for all entries; `topic_id` is null in entries that were written without one."""
    columns = lake.snapshots[TABLE].table.schema().to_arrow()
    missing = "" if "topic_id" in columns.names else ", NULL::VARCHAR AS topic_id"
    return f"(SELECT *{missing} FROM {TABLE})"


def is_of(entry: str, partition: str, offset: str, *, topic_id: str, chunk_id: str) -> str:
    """A predicate: whether an entry belongs to the record at a place.

    Args: entry: alias of `entries`. The others are SQL for the record's columns.
    """
    return (
        f"({entry}.kafka_partition = {partition} AND {entry}.kafka_offset = {offset} AND CASE WHEN {entry}.topic_id"
        f" IS NULL THEN {entry}.chunk_id IS NOT DISTINCT FROM {chunk_id} ELSE {entry}.topic_id = {topic_id} END)"
    )

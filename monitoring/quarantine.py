"""`silver.quarantine` as the checks read it: which record an entry is of.

A topic that is recreated repeats its predecessor's offsets, so a place alone does not name a record. Entries of older
releases, in a table that has the column or not, lack the topic id: of them the chunk tells which record they mean.
"""

from monitoring.lake import Lake

TABLE = "silver.quarantine"


def entries(lake: Lake) -> str:
    """A query for all entries; `topic_id` is null in entries that were written without one."""
    columns = lake.snapshots[TABLE].table.schema().to_arrow()
    missing = "" if "topic_id" in columns.names else ", NULL::VARCHAR AS topic_id"
    return f"(SELECT *{missing} FROM {TABLE})"


def is_of(entry: str, partition: str, offset: str, *, topic_id: str, chunk_id: str) -> str:
    """A predicate: whether an entry stands for the record at a place.

    Args: entry: alias of `entries`; the others are SQL of the record's.
    """
    return (
        f"({entry}.kafka_partition = {partition} AND {entry}.kafka_offset = {offset} AND CASE WHEN {entry}.topic_id"
        f" IS NULL THEN {entry}.chunk_id IS NOT DISTINCT FROM {chunk_id} ELSE {entry}.topic_id = {topic_id} END)"
    )

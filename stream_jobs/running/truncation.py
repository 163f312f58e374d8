"""A topic that ends before what bronze has read of it: named before a query starts, never waited out.

Kafka never takes back a committed record, unless its disks were restored from an older copy, or it elected a leader
that lacked records (`unclean.leader.election.enable`). The topic keeps its id, so nothing else tells. If the query went
on, it would pass over what is published next, because it has read offsets as high before.
"""

from collections.abc import Mapping

from foundation.errors import UnsafeState


def require_not_truncated(query: str, topic: str, position: Mapping[int, int], ends: Mapping[int, int]) -> None:
    """Check one topic.

    Args:
        position: partition → next offset that the query reads.
        ends: partition → last stable offset, exclusive.

    Raises:
        UnsafeState: the query has read beyond an end; every such partition is named.
    """
    beyond = [
        f"partition {partition} ends at {ends[partition]}, read up to {read}"
        for partition, read in sorted(position.items())
        if read > ends.get(partition, read)
    ]
    if beyond:
        raise UnsafeState(
            f"{topic} has lost records that {query} has read: {', '.join(beyond)}",
            hint="restore tables and checkpoints from the same backup as the broker: docs/backup.md",
        )

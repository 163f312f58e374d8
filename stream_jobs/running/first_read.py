"""Where a query that has read nothing of a table begins: with its commits, if they give the rows of the newest version.

Without being told, Delta's source begins with the files of the newest version. To list and sort them it runs Spark
jobs, which cost more than all the rest of a query's first batch over a young table (docs/adr/0039).
"""

from sinks import tables
from storage.location import is_remote
from stream_jobs.running.checkpoints import Checkpoint
from stream_jobs.running.delta_offsets import by_table

FROM_THE_FIRST_COMMIT = {"startingVersion": "0"}

MOST_COMMITS, MOST_COMMITS_IN_STORE = 50, 10
"""Of a table that is read from its first commit: all are looked at before the query starts, each is a file or a
request."""


def options(path: str, checkpoint: Checkpoint, generation: int) -> dict[str, str]:
    """Where the stream of a table begins, as options of Delta's source.

    None for a query that has read some of the table, which goes on from there. A batch that was planned over the
    files of a version, and has not ended, goes on with those: its offset counts them in their order. For one that was
    planned over commits Delta needs no option: without one it takes the version before its offset, which has the same
    rows.
    """
    planned, finished = (
        by_table(lines).get(tables.identity(path)) if lines else None
        for lines in (checkpoint.planned(generation), checkpoint.finished(generation))
    )
    if finished is not None or (planned is not None and planned.get("isStartingVersion")):
        return {}
    return FROM_THE_FIRST_COMMIT if _has_only_grown(path) else {}


def _has_only_grown(path: str) -> bool:
    """Whether the commits, all of which are there, added every file of the newest version and no other, under one
    schema.

    A stream skips commits that take rows away, so it would read those rows, and none that replace them.
    """
    newest = tables.version(path)
    if newest > (MOST_COMMITS_IN_STORE if is_remote(path) else MOST_COMMITS):
        return False
    schemas = set()
    for version in range(newest + 1):
        actions = tables.actions_of(path, version)
        if actions is None:
            return False
        for kind, action in actions:
            if kind == "remove" or (kind == "add" and not action.get("dataChange", True)):
                return False
            if kind == "metaData":
                schemas.add(action["schemaString"])
    return len(schemas) == 1

"""Whether the shadow of a query has read what the live query has not."""

from sinks import tables
from stream_jobs.places import Places
from stream_jobs.running.checkpoints import Checkpoint
from stream_jobs.running.delta_offsets import by_table
from stream_jobs.running.shadows import shadow_of

Place = tuple[int, int, bool]
"""Table version, index of the file in it, and whether the query is still at its first read of the whole table."""


def is_ahead(places: Places, query: str, generation: int, inputs: tuple[str, ...]) -> bool:
    """Whether the shadow has read rows that the live query has not.

    Streams over revisions and over bronze skip the commit of a swap, so they would never read these rows. Therefore the
        live query must read them first. The swap does not wait for a live query that cannot go on because its table,
        its checkpoint or an input is gone. No query streams gold.

    Args:
        generation: of the shadow.
        inputs: the tables that the query streams; none of bronze.
    """
    live = Checkpoint(query, places.checkpoint(query))
    guard = live.guard
    if query.startswith("gold.") or guard is None or not live.has_begun(guard.generation):
        return False
    paths = {table: places.table(table) for table in guard.tables}
    if any(not tables.exists(path) or tables.identity(path) != guard.tables[name] for name, path in paths.items()):
        return False
    shadow = Checkpoint(query, shadow_of(places, query).checkpoint(query))
    if query.startswith("bronze."):
        return _is_ahead_in_topic(live, shadow)
    has, wants = (_positions(each.finished(of)) for each, of in ((live, guard.generation), (shadow, generation)))
    there = {tables.identity(path): path for path in map(places.table, inputs) if tables.exists(path)}
    if has.keys() - there.keys():
        return False  # an input was recreated, which Spark refuses to go on with
    return any(
        _is_behind(path, has.get(identity), wants[identity]) for identity, path in there.items() if identity in wants
    )


def _is_ahead_in_topic(live: Checkpoint, shadow: Checkpoint) -> bool:
    now, then = live.guard, shadow.guard
    if now is None or then is None or now.topic_id != then.topic_id:
        return False  # the topic was recreated: the live query does not go on
    has = live.position(now)
    return any(has.get(partition, 0) < offset for partition, offset in shadow.position(then).items())


def _positions(lines: list[str]) -> dict[str, Place]:
    """Table id → place."""
    return {
        identity: (
            int(offset["reservoirVersion"]),
            max(int(offset["index"]), -1),  # smaller indexes mean the beginning of the version, too
            bool(offset.get("isStartingVersion", False)),
        )
        for identity, offset in by_table(lines).items()
    }


def _is_behind(path: str, here: Place | None, there: Place) -> bool:
    version, place, is_first_read = there
    if here is None:
        return tables.has_gained(path, 0, version + is_first_read)
    if here[2] or is_first_read:
        return here != there
    return tables.has_appended(path, here[0], version) or (here[0] == version and here[1] < place)

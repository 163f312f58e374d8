"""Where the shadow of a query's tables is while it is built, and which tables those are."""

from dataclasses import dataclass

from sinks import tables
from sinks.swap import Partition
from stream_jobs.places import EXPECTATIONS, QUARANTINE, Places
from stream_jobs.running.checkpoints import SHADOWS

FOLDER = SHADOWS
"""Below the checkpoints, the lake and the locks; it is not the name of a query, because those have a dot."""


@dataclass(frozen=True)
class ShadowPlaces(Places):
    """The places of a query that writes shadow tables beside the live ones and reads the live ones."""

    query: str

    def table(self, name: str) -> str:
        """As `Places`; of the query's own tables the path of the shadow."""
        is_own = name in tables_of(self.query) or name == EXPECTATIONS
        return tables.path_of(f"{self.lake}/{FOLDER}", name) if is_own else super().table(name)


def shadow_of(live: Places, query: str) -> ShadowPlaces:
    """The places of a query's shadow: its tables, its checkpoint and its locks."""
    return ShadowPlaces(live.lake, live.checkpoints / FOLDER, live.locks / FOLDER, query)


def tables_of(query: str) -> dict[str, Partition]:
    """The tables that a query writes, in the order of its commits, and the partition of each that belongs to it."""
    layer, _, dataset = query.partition(".")
    if layer == "silver":
        return {f"{query}_revisions": {}, query: {}, QUARANTINE: {"dataset": dataset}}
    return {query: {}}

"""How far the rig's driver came: the ends of its topics, Spark's checkpoints, and the Delta logs of its inputs."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition
from deltalake import DeltaTable

from schemas.contracts import load
from tests import oracles

UPPER = ("silver", "gold")
"""The layers above bronze; each catches up with the one below."""

INPUTS: Mapping[str, tuple[str, ...]] = {
    "silver.inmet_hourly": ("bronze.inmet_hourly",),
    "silver.inmet_stations": ("bronze.inmet_stations",),
    "gold.dim_weather_station": ("silver.inmet_stations_revisions",),
    "gold.fact_weather_daily": ("silver.inmet_hourly_revisions", "silver.inmet_stations_revisions"),
    "gold.external_factors_daily": ("silver.inmet_hourly_revisions", "silver.inmet_stations_revisions"),
}
"""Query above bronze → the tables that it reads and that the rig's load fills."""

Versions = dict[str, int]
"""Table id → version."""
Offsets = dict[tuple[str, int], int]
"""(topic, partition) → offset."""


def ends(bootstrap: str, datasets: Iterable[str], isolation: str = "read_committed", *, prefix: str = "") -> Offsets:
    """Where the topics end for a reader of this isolation level: at the first open transaction, or at the very end."""
    reader = oracles._consumer(bootstrap, isolation)
    places = [(prefix + each.topic, p) for each in map(load, datasets) for p in range(each.partitions)]
    try:
        return {place: reader.get_watermark_offsets(TopicPartition(*place), timeout=30)[1] for place in places}
    finally:
        reader.close()


def undecided(bootstrap: str, datasets: Iterable[str], *, prefix: str = "") -> list[str]:
    """Topics with records of a transaction that is neither committed nor aborted."""
    names = list(datasets)
    decided, written = (ends(bootstrap, names, each, prefix=prefix) for each in ("read_committed", "read_uncommitted"))
    return sorted({topic for topic, each in written if decided[topic, each] < written[topic, each]})


def unread(checkpoints: Path, wanted: Offsets) -> list[str]:
    """Topics of which bronze's newest batches that are done have not read all that is wanted."""
    noted: dict[str, dict[str, int]] = {}
    for folder in checkpoints.glob("bronze.*"):
        for line in _sources(folder):
            noted |= json.loads(line)
    return [topic for (topic, each), end in wanted.items() if noted.get(topic, {}).get(str(each), 0) < end]


def below(lake: Path, layer: str) -> dict[str, Versions]:
    """Query of an upper layer → the newest version of each of its inputs that changed rows."""
    return {
        query: dict(filter(None, (last_change(lake / Path(*name.split("."))) for name in names)))
        for query, names in INPUTS.items()
        if query.startswith(f"{layer}.")
    }


def behind(checkpoints: Path, wanted: Mapping[str, Versions]) -> list[str]:
    """Those queries whose newest batch that is done has not read all that is wanted of them."""
    return [
        query
        for query, versions in wanted.items()
        if any(_next(checkpoints / query).get(table, 0) <= version for table, version in versions.items())
    ]


def under_way(checkpoints: Path) -> list[str]:
    """Queries, of any layer, whose newest batch was planned and is not done."""
    newest = {each.name: [_newest(each, log) for log in ("offsets", "commits")] for each in checkpoints.glob("*.*")}
    return sorted(
        query for query, (planned, done) in newest.items() if planned and (done is None or planned.name != done.name)
    )


def last_change(table: Path) -> tuple[str, int] | None:
    """(table id, newest version that added or removed rows) of a Delta table; None where there is none.

    A version that only writes the same rows again, or a schema, is none: a reader need not have noticed it.
    """
    for file in sorted((table / "_delta_log").glob("[0-9]*.json"), reverse=True):
        actions = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if any(action.get(kind, {}).get("dataChange") for action in actions for kind in ("add", "remove")):
            return str(DeltaTable(str(table)).metadata().id), int(file.stem)
    return None


def _next(folder: Path) -> Versions:
    """Table id → the version that a query reads next, or is in the middle of: all before it is done.

    A query that is still at the table's first state, which stands for all versions up to it, has done none.
    """
    offsets: list[dict[str, Any]] = [json.loads(line) for line in _sources(folder)]
    return {
        each["reservoirId"]: 0 if each.get("isStartingVersion") else int(each["reservoirVersion"]) for each in offsets
    }


def _sources(folder: Path) -> list[str]:
    """The offsets, one line a source, of the newest batch that the newest checkpoint of a query holds as done."""
    done = _newest(folder, "commits")
    if done is None:
        return []
    text = (done.parents[1] / "offsets" / done.name).read_text(encoding="utf-8")
    return [line for line in text.splitlines()[2:] if line != "-"]  # two lines of header; "-": a source without news


def _newest(folder: Path, log: str) -> Path | None:
    """The file of the newest batch in a log (`offsets`: planned, `commits`: done) of a query's newest checkpoint."""
    life = max(folder.glob("g[0-9]*"), key=lambda each: int(each.name[1:]), default=folder)
    return max((file for file in life.glob(f"{log}/*") if file.name.isdigit()), key=lambda f: int(f.name), default=None)

"""Whether a shadow has read rows that the live query has not, by both checkpoints and the input's log."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from sinks.compaction import Policy, compact, groups
from sinks.snapshot import Snapshot
from stream_jobs.places import Places
from stream_jobs.running import handover
from stream_jobs.running.checkpoints import Checkpoint
from tests import rebuilt_lake
from tests.rebuilt_lake import LIVE, QUERY, SHADOW
from tests.sinks.delta_tables import TODAY, add, made

INPUT = f"bronze.{rebuilt_lake.DATASET}"
ALL_SMALL = Policy(small_bytes=2**20, target_bytes=2**25, at_least=2)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An input of four versions: made, two appends, a compaction."""
    lake = rebuilt_lake.made(tmp_path)
    path = made(lake.table(INPUT))
    add(path, 1)
    add(path, 2)
    snapshot = Snapshot.of(path)
    assert compact(snapshot, groups(snapshot, ALL_SMALL, TODAY), until=1e12)
    state = handover.read(lake, QUERY)
    assert state is not None
    handover.write(lake, replace(state, inputs=(INPUT,)))
    return lake


def stand(places: Places, generation: int, version: int, index: int = -1, *, is_first: bool = False) -> None:
    """Let a generation's last batch have ended there."""
    of = places if generation == LIVE else handover.shadow_of(places, QUERY)
    identity = str(DeltaTable(places.table(INPUT)).metadata().id)
    offset: dict[str, Any] = {"reservoirId": identity, "reservoirVersion": version, "index": index}
    folder = Checkpoint(QUERY, of.checkpoint(QUERY)).path(generation)
    text = f"v1\n{{}}\n{json.dumps(offset | {'isStartingVersion': is_first})}"
    (folder / "offsets" / str(rebuilt_lake.BATCHES - 1)).write_text(text)


def ahead(places: Places) -> bool:
    state = handover.read(places, QUERY)
    assert state is not None
    assert handover.is_wanted(places, QUERY)
    is_ahead = handover.is_ahead(places, state)
    assert handover.is_due(places, QUERY) is not is_ahead
    return is_ahead


@pytest.mark.parametrize(
    ("live", "shadow", "is_ahead"),
    [
        ((3, -1), (3, -1), False),
        ((3, -100), (3, -1), False),
        ((2, -1), (3, -1), True),
        ((3, -1), (2, -1), False),
        ((2, 0), (2, 1), True),
        ((2, 1), (2, 0), False),
        ((3, -1), (4, -1), False),  # the live query is given no batch for a compaction
    ],
)
def test_a_shadow_is_ahead_where_a_version_between_both_brought_rows(places, live, shadow, is_ahead):
    stand(places, LIVE, *live)
    stand(places, SHADOW, *shadow)
    assert ahead(places) is is_ahead
    handover.carry_out(places, QUERY)
    assert rebuilt_lake.torn(places, LIVE if is_ahead else SHADOW) == []


def test_a_query_in_the_midst_of_its_first_read_is_waited_for(places):
    stand(places, SHADOW, 3)
    stand(places, LIVE, 3, 0, is_first=True)
    assert ahead(places)


def test_a_query_that_cannot_go_on_is_not_waited_for(places):
    stand(places, LIVE, 1)
    stand(places, SHADOW, 3)
    assert ahead(places)
    lost = Checkpoint(QUERY, places.checkpoint(QUERY)).path(LIVE) / "metadata"
    lost.unlink()
    assert not ahead(places)


def test_gold_has_no_streams_to_wait_for(places):
    state = handover.read(places, QUERY)
    assert state is not None
    assert not handover.is_ahead(places, replace(state, query="gold.fact_fx_daily"))

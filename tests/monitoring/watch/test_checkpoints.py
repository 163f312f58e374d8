"""Checkpoints are read again only when they have changed."""

import json

import pytest

from foundation.errors import UnsafeState
from monitoring.lag import spark_checkpoints
from monitoring.watch.checkpoints import Checkpoints
from tests.monitoring.kit import write_checkpoint

TOPIC = "t.v1"
QUERY = "bronze.t"


@pytest.fixture
def root(tmp_path):
    commit(tmp_path, 3, 10)
    return tmp_path


def commit(root, batch, offset):
    write_checkpoint(root, QUERY, batch=batch, sources=[{TOPIC: {"0": offset}}], guard={"topic_id": "id"})


def test_what_has_not_moved_is_read_once(root, monkeypatch):
    checkpoints = Checkpoints(root)
    reads = []
    read = spark_checkpoints.read
    monkeypatch.setattr(spark_checkpoints, "read", lambda *where: reads.append(where) or read(*where))
    for _ in range(5):
        assert checkpoints.progress(QUERY).kafka == {(TOPIC, 0): 10}
    assert len(reads) <= 2  # once to know its generation, once more by it


def test_a_commit_and_a_new_generation_are_seen(root):
    checkpoints = Checkpoints(root)
    for _ in range(3):
        checkpoints.progress(QUERY)
    commit(root, 4, 12)
    assert checkpoints.progress(QUERY).kafka == {(TOPIC, 0): 12}
    (root / QUERY / "g1").mkdir()
    (root / QUERY / "guard.json").write_text(json.dumps({"generation": 1, "topic_id": "id"}))
    assert checkpoints.progress(QUERY).committed_batch is None


def test_queries_are_reported_with_the_time_of_their_commits(root):
    found = Checkpoints(root).look([QUERY, "silver.t"])
    life = root / QUERY / "g0" / "commits" / "3"
    assert found[QUERY].committed_at == life.stat().st_mtime
    assert (found["silver.t"].progress, found["silver.t"].committed_at) == (None, None)


def test_a_damaged_checkpoint_is_an_error_that_names_it(root):
    (root / QUERY / "g0" / "offsets" / "3").write_text("v1\n{}\nno json")
    with pytest.raises(UnsafeState, match=QUERY):
        Checkpoints(root).look([QUERY])

"""When a query may start, and when it is refused: the guard file beside every checkpoint."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from foundation.errors import UnsafeState
from stream_jobs.running import fingerprint
from stream_jobs.running.checkpoints import Checkpoint, Found

EMPTY = Found(tables={"bronze.things": "table-1"}, has_rows=False, topic="things.v1", topic_id="topic-1")
FULL = replace(EMPTY, has_rows=True)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint("bronze.things", tmp_path / "bronze.things")


@pytest.fixture
def started(checkpoint: Checkpoint) -> Checkpoint:
    """A query that has finished batches 0 and 1."""
    guard = checkpoint.open(EMPTY)
    for log in ("offsets", "commits"):
        folder = checkpoint.path(guard.generation) / log
        folder.mkdir()
        for batch in (0, 1):
            (folder / str(batch)).write_text('v1\n{"batchId": 0}\n{"things.v1": {"0": 5}}')
    return checkpoint


def refused(checkpoint: Checkpoint, found: Found, because: str) -> None:
    with pytest.raises(UnsafeState, match=because) as error:
        checkpoint.open(found)
    assert "correnteza checkpoint adopt bronze.things" in str(error.value.hint)


def test_a_new_query_on_empty_tables_begins_generation_0(checkpoint):
    guard = checkpoint.open(EMPTY)

    assert (guard.generation, guard.topic_id, guard.starting_offsets) == (0, "topic-1", None)
    assert json.loads((checkpoint.path(0) / "metadata").read_text()) == {"id": guard.query_id}


def test_the_same_query_goes_on(started):
    assert started.open(replace(FULL, last_written=1)) == started.guard


def test_a_crash_before_the_guard_was_written_does_not_block_the_next_start(checkpoint):
    checkpoint.path(0).mkdir(parents=True)
    (checkpoint.path(0) / "metadata").write_text('{"id": "x"}')

    assert checkpoint.open(EMPTY).generation == 0


def test_the_offsets_of_a_batch_are_counted_from_the_end_of_the_one_before(started):
    offsets = started.path(0) / "offsets"
    (offsets / "1").write_text('v1\n{"batchId": 1}\n{"things.v1": {"0": 9, "1": 3}}')

    assert [started.offsets_in(started.guard, batch) for batch in (0, 1)] == [5, 7]


def test_the_offsets_of_an_adopted_query_are_counted_from_where_it_begins(started):
    starting = json.dumps({"things.v1": {"0": 2, "1": -2}})
    guard = started.adopt(FULL, starting)
    offsets = started.path(guard.generation) / "offsets"
    offsets.mkdir()
    (offsets / "0").write_text('v1\n{"batchId": 0}\n{"things.v1": {"0": 5, "1": 4}}')

    assert started.offsets_in(guard, 0) == 3 + 4


def test_rows_without_a_checkpoint_are_refused(checkpoint):
    refused(checkpoint, FULL, "checkpoint .* is lost")


def test_rows_with_a_guard_but_without_the_checkpoint_are_refused(started):
    (started.path(0) / "metadata").unlink()
    refused(started, FULL, "is lost")


def test_a_checkpoint_without_its_guard_is_refused(started):
    (started.folder / "guard.json").unlink()
    refused(started, FULL, "has no guard.json")


def test_a_checkpoint_of_another_query_is_refused(started):
    (started.path(0) / "metadata").write_text('{"id": "another"}')
    refused(started, FULL, "copied here")


@pytest.mark.parametrize("content", ["", "{}", "not json"])
def test_damaged_metadata_is_refused_and_named(started, content):
    (started.path(0) / "metadata").write_text(content)
    refused(started, FULL, "metadata is damaged")


@pytest.mark.parametrize("log", ["offsets", "commits"])
@pytest.mark.parametrize("content", ["", "v2\n{}", "v1\n{", "v1"])
def test_a_damaged_log_file_is_refused_and_named(started, log, content):
    (started.path(0) / log / "1").write_text(content)
    refused(started, FULL, f"{log}/1 is damaged")


def test_a_log_file_of_foreign_bytes_is_refused_and_named(started):
    (started.path(0) / "offsets" / "1").write_bytes(b"v1\n\xff\xfe")
    refused(started, FULL, "offsets/1 is damaged")


def test_f31_a_forbidden_change_is_refused_and_both_values_are_named(checkpoint):
    was = fingerprint.of("bronze.things")
    checkpoint.open(replace(EMPTY, fingerprint=was))
    before = (checkpoint.folder / "guard.json").read_bytes()

    for name in was:
        now = replace(FULL, has_rows=False, fingerprint=was | {name: "other"})
        refused(checkpoint, now, f"{name} was {was[name]}, is other")
    assert (checkpoint.folder / "guard.json").read_bytes() == before


def test_f31_adopting_takes_up_what_this_release_is(checkpoint):
    checkpoint.open(replace(EMPTY, fingerprint={"spark": "3.5"}))
    now = replace(FULL, fingerprint=fingerprint.of("bronze.things"))

    assert checkpoint.adopt(now, None).generation == 1
    assert checkpoint.guard.fingerprint == now.fingerprint


def test_f31_control_without_the_fingerprint_another_kind_of_query_starts(checkpoint, control):
    was = fingerprint.of("bronze.things")
    checkpoint.open(replace(EMPTY, fingerprint=was))

    def starts(now) -> list[str]:
        """Whether a release with this fingerprint may continue."""
        with suppress(UnsafeState):
            checkpoint.open(now)
            return [f"a query that says {now.fingerprint} of itself goes on a checkpoint of {was['spark']}"]
        return []

    control.holds(starts, replace(FULL, has_rows=False, fingerprint=was | {"spark": "9.9"}))
    control.objects(starts, EMPTY, damage="a query that says None of itself goes on")


def test_f31_a_guard_of_an_older_release_is_accepted_and_given_a_fingerprint(started):
    assert started.guard.fingerprint is None
    now = replace(FULL, fingerprint=fingerprint.of("bronze.things"))

    guard = started.stamp(started.open(now), now)

    assert started.guard == guard
    assert guard.fingerprint == now.fingerprint
    refused(started, replace(now, fingerprint=now.fingerprint | {"spark": "3.5"}), "spark was")


def test_a_damaged_guard_is_refused(started):
    (started.folder / "guard.json").write_text("{")
    refused(started, FULL, "guard.json is damaged")


def test_an_older_copy_of_the_checkpoint_is_refused(started):
    """Its next batches would carry ids that the table has seen, and be skipped."""
    refused(started, replace(FULL, last_written=7), "older copy")


def test_a_table_made_anew_is_refused(started):
    refused(started, replace(FULL, tables={"bronze.things": "table-2"}), "recreated")


def test_a_topic_made_anew_is_refused_and_both_ids_are_named(started):
    refused(started, replace(FULL, topic_id="topic-2"), "topic-1.*topic-2")


def test_adopting_begins_a_new_generation_with_a_query_of_its_own(started):
    before = started.guard
    guard = started.adopt(replace(FULL, topic_id="topic-2"), '{"things.v1": {"0": 6}}')

    assert guard.generation == before.generation + 1
    assert guard.query_id != before.query_id
    assert started.open(replace(FULL, topic_id="topic-2")) == guard


def test_adopting_after_everything_was_lost_begins_a_new_generation_too(checkpoint):
    assert checkpoint.adopt(FULL, None).generation == 1


def test_adopting_a_damaged_guard_counts_the_folders(started):
    (started.folder / "guard.json").write_text("{")
    assert started.adopt(FULL, None).generation == 1

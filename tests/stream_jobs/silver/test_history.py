"""The newest clock of a dataset before a batch: kept beside the checkpoint, and else read from bronze."""

from pathlib import Path
from typing import Any

import pytest

from schemas.contracts import load
from sinks.history import Seen
from sinks.transactions import Batch
from stream_jobs.silver.history import BronzeHistory

SPARK: Any = None
"""Nothing that is noted needs it."""


class BronzeWasRead(Exception):
    """Stands for the scan of a whole table."""


def history(file: Path) -> BronzeHistory:
    """As a driver makes it when it starts."""

    def records(*_: Any) -> Any:
        raise BronzeWasRead

    return BronzeHistory(
        load("bcb_sgs"),
        prune_by="reference_on",
        bronze="",
        withdrawn="",
        closings=str(file / "none"),
        records=records,
        file=file / "seen.json",
    )


@pytest.fixture(autouse=True)
def no_tables(monkeypatch):
    monkeypatch.setattr("stream_jobs.silver.history._now", lambda *_: None)


def batch(batch_id: int, generation: int = 0) -> Batch:
    return Batch("silver.bcb_sgs", generation, batch_id)


def after_two_batches(file: Path) -> None:
    first = history(file)
    first.begin(SPARK, batch(0), is_first=True)
    assert first.seen() == Seen(None, None)
    first.end(Seen(70, 30))
    first.begin(SPARK, batch(1), is_first=False)
    assert first.seen() == Seen(70, 30)
    first.end(Seen(50, None))


def test_a_driver_that_starts_anew_knows_what_was_seen_without_asking_bronze(tmp_path):
    after_two_batches(tmp_path)

    again = history(tmp_path)
    again.begin(SPARK, batch(2), is_first=False)

    assert again.seen() == Seen(70, 30)
    assert not again.was_repairing


def test_a_batch_that_failed_while_keys_were_repaired_is_marked_and_no_other_is(tmp_path):
    after_two_batches(tmp_path)
    died = history(tmp_path)
    died.begin(SPARK, batch(2), is_first=False)
    died.begin_repair()

    again = history(tmp_path)
    again.begin(SPARK, batch(2), is_first=False)
    assert (again.was_repairing, again.seen()) == (True, Seen(70, 30))

    again.end(Seen(90, None))
    again.begin(SPARK, batch(3), is_first=False)
    assert (again.was_repairing, again.seen()) == (False, Seen(90, 30))


@pytest.mark.parametrize(
    ("generation", "batch_id", "spoilt"),
    [(1, 0, ""), (0, 7, ""), (0, 2, "{"), (0, 2, '{"generation": 0}')],
    ids=["another life", "a batch between is missing", "damaged", "of another release"],
)
def test_a_note_that_may_not_be_of_the_batch_before_is_not_used(tmp_path, generation, batch_id, spoilt):
    after_two_batches(tmp_path)
    if spoilt:
        (tmp_path / "seen.json").write_text(spoilt)

    other = history(tmp_path)
    other.begin(SPARK, batch(batch_id, generation), is_first=False)

    with pytest.raises(BronzeWasRead):
        other.seen()
    before = (tmp_path / "seen.json").read_text()
    other.end(Seen(1, None))  # what came before is not known, so nothing may be noted
    assert (tmp_path / "seen.json").read_text() == before

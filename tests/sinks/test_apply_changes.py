"""`apply_changes` compared with a model in plain Python, and a control for each of its guarantees."""

from collections import Counter
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F  # noqa: N812

from foundation.errors import UnsafeState
from sinks import apply_changes as module
from sinks.expectations import Expectation
from sinks.versions import version_hash
from tests.sinks.silver_model import Change
from tests.sinks.silver_tables import NOT_NEGATIVE, Silver


@pytest.fixture
def silver(tmp_path: Path) -> Silver:
    return Silver(tmp_path)


def test_a_repeated_batch_changes_nothing_not_even_a_table_version(silver):
    """Whatever is in it: repetitions, a conflict, a broken rule, a withdrawal, a late version."""
    silver.apply([Change(("a", 1), 2, 1.0, 0), Change(("a", 1), 4, 1.0, 1), Change(("b", 1), 4, 1.0, 2)], 0)
    mixed = [
        Change(("a", 1), 3, 9.0, 3),
        Change(("b", 1), 4, 2.0, 4),
        Change(("c", 1), 5, -1.0, 5),
        Change(("c", 1), 5, 1.0, 6),
        Change(("b", 1), 6, None, 0, is_withdrawn=True),
    ]
    silver.apply(mixed, 1)
    before = (silver.revisions, silver.current, silver.quarantined, silver.table_versions)
    assert before[:3] == ([-1, 0, 1, 2, 3, 6], [1, 6], {4: "conflicting_version", 5: "value_not_negative"})

    silver.apply(mixed, 1)

    assert (silver.revisions, silver.current, silver.quarantined) == before[:3]
    assert silver.table_versions[0] == before[3][0]
    assert silver.table_versions[2] == before[3][2]


def test_a_full_re_read_under_a_new_generation_changes_nothing(silver):
    """What `checkpoint adopt` leads to: other app ids, the same records, and no note of how far the clocks had come."""
    batches = [
        [Change(("a", 1), 1, 1.0, 0), Change(("b", 1), 1, 1.0, 1), Change(("c", 1), 2, -1.0, 2)],
        [Change(("a", 1), 3, 1.0, 3), Change(("b", 1), 3, None, 0, is_withdrawn=True), Change(("a", 1), 3, 5.0, 4)],
        [Change(("a", 1), 2, 9.0, 5)],
    ]
    for batch_id, batch in enumerate(batches):
        silver.apply(batch, batch_id)
    before = (silver.revisions, silver.current, silver.quarantined)
    rows = DeltaTable(silver.target.quarantine).to_pyarrow_table().num_rows

    silver.history.forgets()
    for batch_id, batch in enumerate(batches):
        silver.apply(batch, batch_id, generation=1)

    assert (silver.revisions, silver.current, silver.quarantined) == before
    assert DeltaTable(silver.target.quarantine).to_pyarrow_table().num_rows == rows


def test_control_without_a_look_at_what_is_stored_a_full_re_read_doubles_revisions(silver, monkeypatch, control):
    """New app ids: no transaction id shows that the records were there before."""
    batch = [Change(("a", 1), 1, 1.0, 0), Change(("b", 1), 2, 1.0, 1)]
    silver.apply(batch, 0)
    silver.history.forgets()
    silver.apply(batch, 0, generation=1)
    control.holds(doubled, silver)
    monkeypatch.setattr(module, "_stored", lambda *_: None)
    silver.apply(batch, 0, generation=2)
    control.objects(doubled, silver, damage="version 1 stands 2 times")


def test_an_app_id_used_again_for_other_rows_loses_them_without_an_error(silver):
    """Why a new checkpoint is a new generation: its batch ids restart at 0, and Delta takes them for known."""
    silver.apply([Change(("a", 1), 1, 1.0, 0)], batch_id=0)

    silver.apply([Change(("b", 1), 1, 1.0, 1)], batch_id=0)
    assert silver.revisions == [0]

    silver.apply([Change(("b", 1), 1, 1.0, 1)], batch_id=0, generation=1)
    assert silver.revisions == [0, 1]


def test_a_late_version_is_a_revision_but_never_current(silver):
    silver.apply([Change(("a", 1), 5, 1.0, 0)], batch_id=0)
    silver.apply([Change(("a", 1), 3, 2.0, 1)], batch_id=1)

    assert silver.revisions == [0, 1]
    assert silver.current == [0]


def doubled(silver: Silver) -> list[str]:
    """The oracle: every version stands once in revisions."""
    return [f"version {each} stands {n} times" for each, n in Counter(silver.revisions).items() if n > 1]


def test_control_without_any_protection_a_repeated_batch_doubles_revisions(silver, monkeypatch, control):
    """With neither transaction ids nor a look at what is stored; the transaction id alone is enough."""
    batch = [Change(("a", 1), 1, 1.0, 0)]
    silver.apply(batch, batch_id=0)
    monkeypatch.setattr(module, "_stored", lambda *_: None)
    silver.apply(batch, batch_id=0)
    control.holds(doubled, silver)

    monkeypatch.setattr("sinks.arrow_commit.is_known", lambda *_: False)
    silver.apply(batch, batch_id=0)
    control.objects(doubled, silver, damage="version 0 stands 2 times")


def test_expectations_warn_or_set_aside_or_stop(tmp_path):
    rules = (NOT_NEGATIVE, Expectation("small", "value < 10", "warn"), Expectation("finite", "value < 1000", "fail"))
    silver = Silver(tmp_path, rules)

    applied = silver.apply([Change(("a", 1), 1, 50.0, 0), Change(("b", 1), 1, -1.0, 1)], batch_id=0)

    assert (applied.outcomes["new"], applied.outcomes["quarantined"]) == (1, 1)
    assert (applied.broken, applied.flawed, applied.records) == ({NOT_NEGATIVE.name: 1, "small": 1, "finite": 0}, 2, 2)
    counts = (*applied.outcomes.values(), *applied.broken.values(), applied.records, applied.flawed, applied.repaired)
    assert {type(count) for count in counts} == {int}, "a counter of metrics adds no decimal"
    assert silver.quarantined == {1: "value_not_negative"}

    with pytest.raises(UnsafeState, match=r"things\.v1/0/3 breaks finite"):
        silver.apply([Change(("c", 1), 1, 1.0, 2), Change(("d", 1), 1, 5000.0, 3)], batch_id=1)
    assert silver.revisions == [0]


def test_a_value_that_moves_to_another_column_is_another_version(spark):
    """A row with shifted columns, corrected: over values alone, hashes skip nulls and would call it unchanged."""
    frame = spark.sql("select cast(5 as double) as one, cast(null as double) as two union all select null, 5")

    assert frame.select(version_hash(list(frame.schema))).distinct().count() == 2
    assert frame.select(F.xxhash64("one", "two")).distinct().count() == 1


def test_a_field_that_a_contract_gains_changes_no_hash_of_rows_without_it(spark):
    frame = spark.sql("select 1 as one, cast(null as int) as gained")

    assert frame.where(version_hash(frame.schema[:1]) == version_hash(list(frame.schema))).count() == 1

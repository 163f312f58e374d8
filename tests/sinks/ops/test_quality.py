"""A batch's counts stand in ops.expectations once."""

from datetime import UTC, datetime

import polars as pl
import pytest

from sinks.expectations import Expectation
from sinks.ops import quality
from sinks.transactions import Batch
from tests.controls import counted

RULES = (Expectation("small", "value < 10", "warn"), Expectation("present", "value IS NOT NULL", "quarantine"))
AT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def table(spark, tmp_path):
    path = str(tmp_path / "expectations")
    quality.ensure(spark, path)

    def write(batch_id, rows=10, job="silver.bcb_sgs", **broken):
        quality.write(
            path, job.removeprefix("silver."), RULES, batch=Batch(job, 1, batch_id), rows=rows, broken=broken, at=AT
        )
        return pl.read_delta(path)

    return write


def test_each_expectation_has_a_row_and_so_have_all_together(table):
    found = table(0, small=3, **{quality.ANY: 4})
    counts = {row["expectation"]: (row["action"], row["rows"], row["broken"]) for row in found.to_dicts()}
    assert counts == {"small": ("warn", 10, 3), "present": ("quarantine", 10, 0), "*": (None, 10, 4)}


def test_a_repeated_batch_adds_nothing_and_another_does(table):
    assert table(0).height == 3
    assert table(0).height == 3
    assert table(1).height == 6
    assert table(0, job="silver.bcb_ptax").height == 9


def test_control_without_the_look_at_the_transaction_a_repeated_batch_doubles(table, monkeypatch, control):
    def counts_of_a_batch() -> list[str]:
        rows = table(0).to_dicts()
        return counted([row["expectation"] for row in rows], ["small", "present", "*"], "the count of")

    table(0)
    control.holds(counts_of_a_batch)
    monkeypatch.setattr("deltalake.DeltaTable.transaction_version", lambda *_: None)
    control.objects(counts_of_a_batch, damage="the count of 'small' stands 2 times instead of 1")


def test_an_empty_batch_writes_nothing(table):
    assert table(0, rows=0).height == 0

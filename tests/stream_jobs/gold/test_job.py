"""What a batch of gold asks of Spark, and how much of it the driver holds."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from foundation.errors import CorrentezaError
from sinks.expectations import Expectation
from stream_jobs.gold import job
from stream_jobs.gold.tables.fact_economic_observation import TABLE
from stream_jobs.running import attempts
from tests.stream_jobs.gold.lake_silver import LakeSilver, not_as_from_scratch
from tests.stream_jobs.gold.memory_silver import Row

DATASET, GOLD = "bcb_sgs", "gold.fact_economic_observation"


def values(*of_days: tuple[int, int]) -> list[Row]:
    return [{"series_code": 1, "reference_on": date(2024, 1, on), "value": Decimal(value)} for on, value in of_days]


@pytest.fixture
def lake(spark, tmp_path, monkeypatch) -> LakeSilver:
    """Five groups, of which two are held at once."""
    monkeypatch.setattr(attempts, "MOST_FAILURES", 0)
    monkeypatch.setattr(job, "MOST_GROUPS_AT_ONCE", 2)
    made = LakeSilver(spark, tmp_path)
    made.add(DATASET, *values((1, 1), (2, 2), (3, 3), (4, 4), (5, 5)))
    return made


def commits(lake: LakeSilver) -> int:
    return len(list((lake.root / "lake" / "gold" / TABLE.name / "_delta_log").glob("*.json"))) - 1


def test_groups_that_are_computed_part_after_part_are_one_commit(lake):
    lake.follow(TABLE)
    assert (not_as_from_scratch(lake, TABLE), commits(lake)) == ([], 1)

    lake.add(DATASET, *values((2, 9), (4, 9), (5, 9)))
    lake.follow(TABLE)
    assert (not_as_from_scratch(lake, TABLE), commits(lake)) == ([], 2)


def test_a_row_of_the_last_part_that_breaks_a_fail_expectation_keeps_all_from_being_written(lake):
    strict = replace(TABLE, expectations=(Expectation("below_five", "value < 5", "fail"),))
    with pytest.raises(CorrentezaError, match="1 rows break below_five"):
        lake.follow(strict)
    assert lake.stored(GOLD) == []

    lake.follow(TABLE)
    assert len(lake.stored(GOLD)) == 5, "the control: without the rule all of it is written"

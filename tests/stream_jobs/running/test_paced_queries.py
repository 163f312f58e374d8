"""A real query whose topic gets few records all the time looks at it more rarely; it misses and doubles nothing."""

from datetime import date
from itertools import count
from typing import Any

import pytest

from stream_jobs.running import pace
from stream_jobs.running.pace import Pace
from tests.helpers import wait_for
from tests.supervised import kept_running

DATASET = "inmet_stations"
BURST = 1000
"""In two windows, one after the other, one of them gets many rows however they fall."""

pytestmark = pytest.mark.integration


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pace of queries is decided after some seconds; fewer than the rows of a burst are few."""
    monkeypatch.setattr(pace, "WINDOW_SECONDS", 6.0)
    monkeypatch.setattr(pace, "SLOW_SECONDS", 3.0)
    monkeypatch.setattr(pace, "FEW_ROWS_PER_SECOND", 60.0)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("interval", [1.0, 0.05], ids=["pauses between batches", "one batch after the other"])
def test_a_trickle_is_read_at_the_slow_pace_a_burst_at_the_full_one_and_every_row_once(pipeline, interval):
    bronze, numbers, paced = pipeline.bronze(DATASET), count(1), Pace(interval)
    full = paced.trigger
    pipeline.publish(DATASET, station(0))
    with kept_running(bronze, trigger=paced) as (kept,):

        def trickle_until_slow() -> bool:
            pipeline.publish(DATASET, station(next(numbers)))
            return kept.triggers[-1] != full

        wait_for(trickle_until_slow, "the slow pace")
        pipeline.publish(DATASET, *(station(next(numbers)) for _ in range(BURST)))
        wait_for(lambda: kept.triggers[-1] == full, "the full pace")
        wait_for(trickle_until_slow, "the slow pace again")
        committed = pipeline.committed(DATASET)
        wait_for(lambda: len(pipeline.offsets(bronze.name)) >= len(committed), "every row")
    assert pipeline.offsets(bronze.name) == sorted(committed)


def station(number: int) -> dict[str, Any]:
    return {"station_code": f"A{number:05}", "valid_from_on": date(2024, 1, 1)}

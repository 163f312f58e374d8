"""Tables computed again aside: equal to what stands, or the difference is told; nothing is changed either way."""

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from correnteza.recomputing import Window, verify_only
from foundation.errors import UnsafeState, UsageError
from stream_jobs.places import Places
from stream_jobs.rebuild import run
from stream_jobs.rebuild.bronze import Kafka
from tests.records import of_a_month

DATASET = "bcb_sgs"
BRONZE, SILVER = f"bronze.{DATASET}", f"silver.{DATASET}"
JANUARY = datetime(2024, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def computed_again(pipeline: Any, *queries: str, window: Window | None = None) -> list[str]:
    """The oracle: what is said to differ."""
    lines: list[str] = []
    with suppress(UnsafeState):
        verify_only(
            pipeline.places,
            queries or (BRONZE, SILVER),
            window or Window(),
            spark=pipeline.spark.newSession,
            say=lines.append,
            stop=threading.Event(),
            kafka=Kafka(pipeline.broker, pipeline.registry),
        )
    found = [line for line in lines if "differ" in line or "only in" in line]
    assert found or any("the same as in the live table" in line for line in lines)
    return found


def test_control_a_row_that_was_edited_by_hand_is_found_by_computing_it_again(pipeline, control):
    records = [of_a_month(month, f"0.{month}", JANUARY + month * DAY) for month in (1, 2, 3)]
    pipeline.run(pipeline.bronze_after(DATASET, records), pipeline.silver(DATASET))
    pipeline.driver.locks.release()
    control.holds(computed_again, pipeline)

    path = pipeline.places.table(SILVER)
    [edited] = [row for row in pipeline.rows(SILVER) if row["reference_on"].month == 2]
    DeltaTable(path).update(predicate="reference_on = '2023-02-01'", updates={"value": "9"})
    version = pipeline.version(SILVER)
    control.objects(computed_again, pipeline, damage="values of value differ")
    with pytest.raises(UnsafeState, match=r"computed again, .* differ; nothing was changed") as refused:
        verify_only(
            pipeline.places,
            [SILVER],
            Window(),
            spark=pipeline.spark.newSession,
            say=print,
            stop=threading.Event(),
        )
    assert refused.value.exit_code == 3
    arrived = edited["retrieved_at"]
    assert computed_again(pipeline, SILVER, window=Window(since=arrived, until=arrived + DAY)) != []
    assert computed_again(pipeline, SILVER, window=Window(until=arrived)) == []
    assert computed_again(pipeline, SILVER, window=Window(since=arrived + timedelta(seconds=1))) == []
    assert pipeline.version(SILVER) == version, "nothing was changed"
    assert not Path(pipeline.places.lake, "rebuild").exists()
    assert run.latest(pipeline.places) is None


def test_rows_of_gold_have_no_window_and_an_unfinished_rebuild_is_not_disturbed(tmp_path):
    places = Places(str(tmp_path / "lake"), tmp_path / "checkpoints", tmp_path / "locks")

    def asked(query: str, window: Window) -> None:
        verify_only(places, [query], window, spark=lambda: None, say=print, stop=threading.Event())

    with pytest.raises(UsageError, match="have no time of arrival"):
        asked("gold.fact_fx_daily", Window(since=JANUARY))
    run.begin(places, [SILVER])
    with pytest.raises(UnsafeState, match="a rebuild is unfinished"):
        asked(SILVER, Window())

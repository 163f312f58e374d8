"""The metrics of a driver: batches by Spark's own report, restarts, and that queries look for input. No Spark."""

import json
from types import SimpleNamespace

import pytest

from foundation.errors import TransientError
from monitoring.metrics.stream import StreamMetrics
from stream_jobs.running import attempts
from stream_jobs.running.measures import UNMEASURED
from stream_jobs.running.progress import Progress
from stream_jobs.running.supervised import Supervised

QUERY = "bronze.t"


class Running:
    """A query whose reports are those given."""

    def __init__(self, *batches):
        self._jsq = self
        self.batches = batches
        self.isActive = True
        self.status = {"isTriggerActive": False}
        self.error = None

    def lastProgress(self):  # noqa: N802 - Spark's name
        return SimpleNamespace(timestamp=lambda: "2026-11-20T12:00:00.000Z") if self.batches else None

    def recentProgress(self):  # noqa: N802
        return [SimpleNamespace(json=lambda each=each: json.dumps(each)) for each in self.batches]

    def exception(self):
        return self.error


def batch(number, rows, **milliseconds):
    spent = {"triggerExecution": 1000, "addBatch": 600} | milliseconds
    return {"name": QUERY, "batchId": number, "numInputRows": rows, "durationMs": spent}


@pytest.fixture
def metrics():
    return StreamMetrics([QUERY], [])


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"correnteza_{name}", labels)


def test_each_batch_with_rows_is_counted_once_with_the_time_of_its_phases(metrics):
    progress = Progress(Running(batch(1, 5, latestOffset=100), batch(2, 0), batch(3, 7)), metrics)
    progress.report()
    progress.report()
    assert value(metrics, "batch_rows_total", layer="bronze", outcome="read") == 12
    assert value(metrics, "batch_duration_seconds_count", layer="bronze", phase="total") == 2
    assert value(metrics, "batch_duration_seconds_sum", layer="bronze", phase="write") == pytest.approx(1.2)
    assert value(metrics, "batch_duration_seconds_sum", layer="bronze", phase="offsets") == pytest.approx(0.1)


def job_of(query, **changed):
    named = {
        "name": QUERY,
        "failure": None,
        "outdated": False,
        "ended_as_asked": False,
        "repair": lambda error: False,
        "start": lambda trigger: query,
    }
    return SimpleNamespace(**named | changed)


def restarts(metrics):
    return value(metrics, "query_restarts_total", layer="bronze", table="t")


def test_a_query_that_failed_is_counted_once_it_runs_again_and_one_that_starts_as_looking(metrics, monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_PAUSE_SECONDS", 0.0)
    query = Running()
    supervised = Supervised(job_of(query), {}, measures=metrics)
    supervised.start()
    assert restarts(metrics) == 0
    assert value(metrics, "query_last_success_timestamp_seconds", layer="bronze", table="t") > 0
    query.isActive, query.error = False, "boom"
    supervised.watch()
    query.isActive, query.error = True, None
    supervised.watch()
    supervised.watch()
    assert restarts(metrics) == 1


def test_attempts_that_do_not_come_to_a_start_are_one_restart(metrics, monkeypatch):
    """The registry is asked again and again for a schema id that it does not know yet."""
    monkeypatch.setattr(attempts, "FIRST_PAUSE_SECONDS", 0.0)
    answers = iter((TransientError("not yet"), TransientError("not yet"), True))

    def asked(error):
        if isinstance(answer := next(answers), TransientError):
            raise answer
        return answer

    query = Running()
    supervised = Supervised(job_of(query, repair=asked), {}, measures=metrics)
    supervised.start()
    query.isActive, query.error = False, "an unknown schema id"
    supervised.watch()
    query.isActive, query.error = True, None
    for _ in range(3):
        supervised.watch()
    assert next(answers, None) is None
    assert restarts(metrics) == 1


def test_rows_that_silver_and_gold_check_are_counted_by_outcome(metrics):
    metrics.rows_judged("silver", {"new": 3, "unchanged": 2})
    metrics.rows_judged("gold", {"recomputed": 9})
    metrics.broken("bcb_sgs", 2)
    assert value(metrics, "batch_rows_total", layer="silver", outcome="new") == 3
    assert value(metrics, "batch_rows_total", layer="gold", outcome="recomputed") == 9
    assert value(metrics, "expectations_broken_total", dataset="bcb_sgs") == 2


def test_without_measures_every_report_is_accepted():
    UNMEASURED.batch_ended(QUERY, 1, {})
    UNMEASURED.maintained()

"""The history keeps the points of one day."""

from monitoring.watch.history import EVERY_SECONDS, POINTS, History


def test_points_of_a_day_are_kept_and_older_ones_go():
    history = History()
    for n in range(POINTS + 100):
        assert history.is_due(n * EVERY_SECONDS)
        history.add(n * EVERY_SECONDS, {"lag_seconds": {"bronze.t": float(n)}})
    assert not history.is_due((POINTS + 99) * EVERY_SECONDS + 1)
    points = history.read()["lag_seconds"]["bronze.t"]
    assert len(points) == POINTS
    assert points[-1] == [(POINTS + 99) * EVERY_SECONDS, POINTS + 99]


def test_a_table_that_is_gone_leaves_with_its_last_point():
    history = History()
    history.add(0.0, {"lag_seconds": {"bronze.old": 1.0}})
    history.add(POINTS * EVERY_SECONDS, {"lag_seconds": {"bronze.t": 1.0}})
    assert list(history.read()["lag_seconds"]) == ["bronze.t"]

"""The watchdog counts only time without progress that it saw pass itself."""

import threading

from producers.schedule import watchdog
from producers.schedule.watchdog import LOOK_SECONDS, StallClock
from tests.helpers import PATIENCE_SECONDS


def test_time_without_progress_adds_up():
    clock = StallClock()
    seen = [clock.look(number * LOOK_SECONDS, is_stalled=True) for number in range(5)]
    assert seen == [number * LOOK_SECONDS for number in range(5)]


def test_progress_starts_the_count_again():
    clock = StallClock()
    clock.look(0, is_stalled=True)
    clock.look(0.5, is_stalled=True)
    assert clock.look(1.0, is_stalled=False) == 0
    assert clock.look(1.5, is_stalled=True) == 0.5


def test_a_process_that_was_stopped_for_an_hour_was_not_idle_for_an_hour():
    clock = StallClock()
    clock.look(0, is_stalled=True)
    assert clock.look(3600, is_stalled=True) == 2 * LOOK_SECONDS


def test_systemd_is_notified_while_a_worker_makes_progress(monkeypatch):
    signs = []
    ended = threading.Event()
    troubles = iter([None, None, "slot 7 waits"])
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(watchdog.notify, "alive", lambda: signs.append("WATCHDOG=1"))
    watchdog.watch(lambda: next(troubles), 0.0, lambda trouble, seconds: ended.set())
    assert ended.wait(PATIENCE_SECONDS)
    assert len(signs) == 2

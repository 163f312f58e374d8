"""Batches and maintenance take turns."""

from threading import Event, Thread

from stream_jobs.running.maintenance_lock import MaintenanceLock, all_of
from tests.helpers import PATIENCE_SECONDS, wait_for


def test_maintenance_waits_for_the_end_of_a_batch_and_gives_up_in_time():
    lock, begun, end = MaintenanceLock(), Event(), Event()

    def batch() -> None:
        with lock.batch():
            begun.set()
            assert end.wait(PATIENCE_SECONDS)

    thread = Thread(target=batch)
    thread.start()
    assert begun.wait(PATIENCE_SECONDS)
    with lock.maintenance(0) as is_free:
        assert not is_free
    end.set()
    with lock.maintenance(60) as is_free:
        assert is_free
    thread.join(60)


def test_a_batch_waits_for_the_end_of_maintenance_and_batches_do_not_wait_for_each_other():
    lock, ran = MaintenanceLock(), Event()

    def batch() -> None:
        with lock.batch():
            ran.set()

    with lock.maintenance(0) as is_free:
        assert is_free
        Thread(target=batch).start()
        assert not ran.is_set()
    assert ran.wait(PATIENCE_SECONDS)
    with lock.batch(), lock.batch():
        pass


def test_a_table_of_several_queries_is_locked_and_released_with_all_of_them():
    one, other = MaintenanceLock(), MaintenanceLock()
    with other.batch(), all_of((one, other), 0) as is_free:
        assert not is_free
    with all_of((one, other), 0) as is_free:
        assert is_free
        ran = [Event(), Event()]

        def batch(lock: MaintenanceLock, done: Event) -> None:
            with lock.batch():
                done.set()

        for lock, done in zip((one, other), ran, strict=True):
            Thread(target=batch, args=(lock, done)).start()
        assert not any(each.is_set() for each in ran)
    wait_for(lambda: all(each.is_set() for each in ran), "both batches have run")

"""F28: the disk is full under the archive, the lake, the checkpoints, the broker. Each is on a small file system that
is filled to the last byte: it fails with an error, damages nothing, and continues by itself when there is space again.
"""

import ctypes
import errno
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from correnteza import topics
from correnteza.embedded.restarts import HOPELESS
from correnteza.embedded.service import wait_ready
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from foundation.errors import FencedError, TransientError
from producers import archive, poll, sources
from producers.model import Span
from schemas.contracts import load_all
from tests import oracles
from tests.helpers import PATIENCE_SECONDS, still, wait_for
from tests.pipeline import Pipeline, astray, pipeline
from tests.producers.served import SALVADOR, ServedZip, member_name
from tests.spark_fixtures import spark
from tests.stations import DATASET, stations
from tests.supervised import EVERY_SECOND, kept_running

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]

INMET = sources.load("inmet_hourly")
SOME = SALVADOR.read_bytes()[:200_000].rpartition(b"\n")[0] + b"\n"
SOME_ROWS = SOME.count(b"\n") - 9
TABLE = f"bronze.{DATASET}"
NO_FLOOR = -(1 << 40)
AT_ONCE = 2
"""MNT_DETACH: the name goes now, the file system with its last open file."""


class Disk:
    """A file system of some MiB in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, leaving: int = 0) -> None:
        """Use all free bytes except so many."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                while self.free - leaving >= size:
                    try:
                        file.write(bytes(size))
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        break

    def clear(self) -> None:
        self._ballast.unlink()

    @property
    def free(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


@contextmanager
def mounted(folder: Path, mebibytes: int) -> Iterator[Disk]:
    """A tmpfs; the test is skipped where mounting is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    where = os.fsencode(folder)
    if libc.mount(b"none", where, b"tmpfs", 0, f"size={mebibytes}m".encode()) != 0:
        number = ctypes.get_errno()
        pytest.skip(f"a small file system cannot be mounted here: errno {number}, {os.strerror(number)}")
    try:
        yield Disk(folder)
    finally:
        assert libc.umount2(where, AT_ONCE) == 0


# The archive and its spool


@pytest.fixture
def disk(home) -> Iterator[Disk]:
    with mounted(home / "archive", 16) as small:
        yield small


@pytest.fixture
def year(httpserver) -> ServedZip:
    served = ServedZip(httpserver, "/2025.zip")
    served.put({member_name(SALVADOR): SOME})
    return served


@pytest.fixture
def run(services, prefix, home, httpserver, year) -> Callable[[], poll.Outcome]:
    """Poll one year of INMET, one member."""
    topics.apply(services.bootstrap, load_all().values(), prefix)
    target = poll.Services(services.bootstrap, services.registry_url, prefix, home / "archive", home / "ledger.jsonl")
    return lambda: poll_year(target, httpserver)


def poll_year(target: poll.Services, httpserver: Any, **options: Any) -> poll.Outcome:
    return poll.poll(
        INMET,
        target,
        now=lambda: datetime(2025, 3, 1, tzinfo=UTC),
        base_url=httpserver.url_for("/"),
        span=Span(date(2025, 1, 1)),
        **options,
    )


def assert_every_row_once(bootstrap: str, prefix: str) -> None:
    """O3, O5."""
    assert oracles.problems(bootstrap, prefix, INMET.datasets) == []
    rows = oracles.read(bootstrap, prefix, "inmet_hourly")
    assert sorted(row.fields["row_number"] for row in rows) == list(range(SOME_ROWS))


def archived(home: Path) -> list[Path]:
    return [each for each in (home / "archive").rglob("*") if each.is_file() and each.name != "ballast"]


def test_f28_the_spool_refuses_a_download_before_the_disk_is_full_and_the_next_poll_publishes(
    run, disk, settings, monkeypatch
):
    monkeypatch.setattr(archive, "FREE_FLOOR_BYTES", 4 << 20)
    disk.fill(leaving=4 << 20)
    outcome = run()
    assert isinstance(outcome.error, TransientError)
    assert "free space" in (outcome.error.hint or "")
    assert disk.free >= (4 << 20) - 4096, "the floor was gone below"
    assert archived(settings.home) == []
    assert oracles.read(settings.bootstrap, settings.topic_prefix, "inmet_hourly") == []
    disk.clear()
    assert run().error is None
    assert_every_row_once(settings.bootstrap, settings.topic_prefix)


def test_f28_a_disk_that_fills_during_a_download_fails_the_poll_and_leaves_nothing_half(
    run, disk, settings, monkeypatch
):
    """Another program used the space that the limit had left."""
    monkeypatch.setattr(archive, "FREE_FLOOR_BYTES", NO_FLOOR)
    disk.fill(leaving=16 << 10)
    outcome = run()
    assert isinstance(outcome.error, TransientError)
    assert "is full" in str(outcome.error)
    assert archived(settings.home) == []
    disk.clear()
    assert run().error is None
    assert_every_row_once(settings.bootstrap, settings.topic_prefix)


def test_f28_control_without_a_reserve_a_download_fills_the_disk_of_the_other_processes(
    run, disk, year, monkeypatch, control
):
    """A member larger than what is free. With the floor, it is not even asked for."""
    year.put({member_name(SALVADOR): SOME + random.Random(1).randbytes(3 << 20).hex().encode()})
    disk.fill(leaving=1 << 20)
    spooled = archive.Archive.spool

    def least_left(floor: int) -> list[str]:
        """What was left to other processes when a poll had taken what it could."""
        left: list[int] = []

        @contextmanager
        def looking_after(self, wanted=0):
            with spooled(self, wanted) as file:
                try:
                    yield file
                finally:
                    left.append(disk.free)

        monkeypatch.setattr(archive.Archive, "spool", looking_after)
        monkeypatch.setattr(archive, "FREE_FLOOR_BYTES", floor)
        assert isinstance(run().error, TransientError)
        return [f"{free} bytes were left to all others" for free in left if free < 512 << 10]

    control.holds(least_left, 512 << 10)
    control.objects(least_left, NO_FLOOR, damage="0 bytes were left to all others")


# The lake and the checkpoints


def is_complete(pipeline: Pipeline) -> bool:
    """O1, O3: what an independent reader sees is in bronze, each record once."""
    return pipeline.offsets(TABLE) == pipeline.committed(DATASET)


@pytest.mark.parametrize("folder", ["lake", "checkpoints"])
def test_f28_a_full_disk_fails_the_query_with_an_error_and_it_continues_when_there_is_space(pipeline, folder):
    with mounted(pipeline.settings.home / folder, 32) as disk:
        pipeline.publish(DATASET, *stations(0, 50))
        with kept_running(pipeline.bronze(DATASET)) as (query,):
            wait_for(lambda: is_complete(pipeline), "the first records")
            before = pipeline.offsets(TABLE)
            disk.fill()
            pipeline.publish(DATASET, *stations(50, 100))
            wait_for(lambda: query.failures, "the query to fail")
            assert "space" in query.failures[0]
            # A full disk under the checkpoint stops the note of a batch, not the batch: then all of it is there.
            assert pipeline.offsets(TABLE) in (before, pipeline.committed(DATASET)), "half a batch"
            disk.clear()
            pipeline.publish(DATASET, *stations(100, 120))
            wait_for(lambda: is_complete(pipeline), "all records, once")
        assert len(pipeline.offsets(TABLE)) == 120
        pipeline.driver.locks.release()


def test_f28_control_without_a_supervisor_a_query_that_failed_at_a_full_disk_stays_ended(pipeline, control):
    """The same query twice over the same full disk: kept running by the supervisor, and left to itself."""

    def behind() -> list[str]:
        """What bronze lacks still, when it has had the time that a restart takes."""
        return still(lambda: astray(pipeline, DATASET), 30)

    with mounted(pipeline.settings.home / "lake", 32) as disk:
        pipeline.publish(DATASET, *stations(0, 50))
        with kept_running(pipeline.bronze(DATASET)) as (kept,):
            wait_for(lambda: is_complete(pipeline), "the first records")
            disk.fill()
            pipeline.publish(DATASET, *stations(50, 100))
            wait_for(lambda: kept.failures, "the query to fail")
            disk.clear()
            control.holds(behind)

        query = pipeline.bronze(DATASET).start(EVERY_SECOND)
        disk.fill()
        pipeline.publish(DATASET, *stations(100, 120))
        wait_for(lambda: not query.isActive, "the query to fail")
        disk.clear()
        assert "space" in str(query.exception())
        control.objects(behind, damage=f"{TABLE} lacks 20 records")
        pipeline.driver.locks.release()


# The broker


def test_f28_a_broker_whose_disk_is_full_ends_and_is_started_again_and_every_row_stands_once(
    services, tmp_path, httpserver, year
):
    """Kafka ends itself when it cannot write. The poller waits in the middle of its transaction meanwhile."""
    home = tmp_path / "full"
    with mounted(home / "kafka", 96) as disk, Stack(Settings(home=home), ("broker",)) as stack:
        bootstrap, prefix = stack.endpoints["kafka_bootstrap"], f"{tmp_path.name}."
        topics.apply(bootstrap, load_all().values(), prefix)
        target = poll.Services(bootstrap, services.registry_url, prefix, home / "archive", home / "ledger")
        done = threading.Event()
        thread = threading.Thread(target=poll_until_done, args=(target, httpserver, disk, done), daemon=True)
        thread.start()
        broker = stack.processes["broker"]
        wait_for(lambda: broker.poll() is not None, "the broker to give up")
        assert not done.is_set()
        disk.clear()
        stack.run(stack.services["broker"])  # as the supervisor of `up` does, with any exit code but 2 and 3
        assert broker.returncode not in (0, *HOPELESS)
        wait_ready(stack.services["broker"], stack.processes["broker"].poll)
        assert done.wait(PATIENCE_SECONDS), "no poll ended well"
        assert_every_row_once(bootstrap, prefix)


def poll_until_done(target: poll.Services, httpserver: Any, disk: Disk, done: threading.Event) -> None:
    """As the schedule does. The disk is full from the second chunk of the first poll on."""

    def fill(tally: Any) -> None:
        if tally.chunks == 2:
            disk.fill()

    fill_once: Callable[[Any], None] = fill
    for _ in range(20):
        try:
            error: object = poll_year(target, httpserver, chunk_rows=100, on_chunk=fill_once).error
        except FencedError as fenced:  # its process ends and is restarted
            error = fenced
        if error is None:
            done.set()
            return
        fill_once = lambda tally: None  # noqa: E731

"""F2 and F16 at size: a poller killed in the middle of a member of 300,000 rows. The successor finishes the job from
the archive without fetching the member again, and every row is published once. Control: without the cursor this fails.
"""

import json
import signal
from datetime import UTC, datetime

import pytest

from benchmarks.read_back import read_back
from correnteza import topics
from producers import cursor, poll, sources
from replay.server import serve
from replay.volume import catalogue
from schemas.contracts import load_all
from stream_jobs.gold.reference import municipalities

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]
FAULT = 1
"""Of the tests whose names tell none."""

SOURCE = "anatel_mobile_accesses"
MEMBER = "/anatel/acessos/acessos_telefonia_movel.zip"
ROWS = 300_000
PUBLISHED = ROWS + 2 * (ROWS // 1000)  # the zip's two small members too
CHUNK = 20_000
CHUNKS = 2 + ROWS // CHUNK
HALF = 2 + ROWS // CHUNK // 2
POLL = ("poll", SOURCE, "--json")


@pytest.fixture(scope="module")
def instead(tmp_path_factory):
    return catalogue.resources({"mobile": ROWS}, tmp_path_factory.mktemp("volume"), municipalities())


@pytest.fixture
def replay(instead):
    with serve(instead=instead) as server:
        yield server


@pytest.fixture
def variables(settings, replay) -> dict[str, str]:
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    return {
        "CORRENTEZA_BASE_URLS": json.dumps({SOURCE: replay.base_urls[SOURCE]}),
        "CORRENTEZA_CHUNK_ROWS": str(CHUNK),
    }


def found(settings):
    return read_back(settings.bootstrap, settings.topic_prefix, SOURCE)


def fetched(requests, resource) -> int:
    """Bytes of the zip's data that were sent, its directory in the last 256 KiB left out."""
    tail = resource.size - (256 << 10)
    return sum(each.bytes_sent for each in requests if int(each.range.removeprefix("bytes=").split("-")[0]) < tail)


def test_a_poller_killed_half_way_is_ended_by_its_successor_from_the_archive(cli, settings, replay, instead, variables):
    killed = cli(*POLL, CORRENTEZA_FAILPOINT=f"after_commit_txn@{HALF}:kill", **variables)
    assert killed.returncode == -signal.SIGKILL
    # The kill came after a commit: what is there is whole, and it is not everything.
    half = found(settings)
    assert (half.chunks, half.records, half.problems) == (HALF, PUBLISHED - ROWS + (HALF - 2) * CHUNK, [])
    before = replay.requests
    assert fetched(before, instead[MEMBER]) > instead[MEMBER].size // 2

    successor = cli(*POLL, **variables)

    assert successor.returncode == 0, successor.stderr
    assert json.loads(successor.stdout.splitlines()[-1])["rows"] == PUBLISHED - half.records
    assert fetched(replay.requests[len(before) :], instead[MEMBER]) <= 1  # the byte that asks for the version
    whole = found(settings)
    assert (whole.chunks, whole.records, whole.problems) == (CHUNKS, PUBLISHED, [])


def test_control_a_successor_that_has_lost_the_cursor_publishes_the_first_half_again(
    cli, settings, replay, variables, monkeypatch, control
):
    killed = cli(*POLL, CORRENTEZA_FAILPOINT=f"after_commit_txn@{HALF}:kill", **variables)
    assert killed.returncode == -signal.SIGKILL

    def problems() -> list[str]:
        return list(found(settings).problems)

    control.holds(problems)
    monkeypatch.setattr(cursor, "read", lambda *_: {})
    services = poll.Services(settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive_root)
    poll.poll(
        sources.load(SOURCE),
        services,
        now=lambda: datetime.now(UTC),
        base_url=replay.base_urls[SOURCE],
        chunk_rows=CHUNK,
    )
    control.objects(problems, damage="2 manifests")
    assert sum("2 manifests" in each for each in problems()) == HALF

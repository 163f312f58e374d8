"""What may happen to a poller, and what must then be in Kafka. Each fault has a control: without the protection the
oracle objects.
"""

import json
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from producers import cursor, editions, poll, poll_zip, publish, sources
from producers.model import Parsed, Part, Reject, RejectReason, Span
from replay.content import DATA
from schemas import topics
from schemas.contracts import load_all
from tests import oracles
from tests.helpers import wait_for
from tests.producers.served import SALVADOR, ServedZip, member_name

pytestmark = [pytest.mark.integration, pytest.mark.fault]

INMET = sources.load("inmet_hourly")
ROWS = 8784
CHUNK = 2000
CHUNKS = 5
HTML = DATA / "anatel" / "head4000_html_saved_as_data.html"


@pytest.fixture
def target(settings) -> poll.Services:
    """This test's own topics, on the shared broker."""
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    ledger = settings.home / "ledger.jsonl"
    return poll.Services(settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive, ledger)


@pytest.fixture
def variables(httpserver, target) -> dict[str, str]:
    """The environment of a poll of one year, one member, five chunks."""
    ServedZip(httpserver, "/2025.zip").put({member_name(SALVADOR): SALVADOR.read_bytes()})
    return {
        "CORRENTEZA_BASE_URLS": json.dumps({"inmet_hourly": httpserver.url_for("/")}),
        "CORRENTEZA_HISTORY_START": json.dumps({"inmet_hourly": "2025-01-01"}),
        "CORRENTEZA_CHUNK_ROWS": str(CHUNK),
        "CORRENTEZA_LEDGER": str(target.ledger),
    }


POLL = ("poll", "inmet_hourly", "--once", "--json")


@pytest.fixture(autouse=True)
def _later_years_are_not_published(httpserver):
    for year in range(2026, date.today().year + 1):
        httpserver.expect_request(f"/{year}.zip").respond_with_data("not here", 404)


def problems(target, isolation: str = "read_committed") -> list[str]:
    return oracles.problems(target.bootstrap, target.prefix, INMET.datasets, isolation)


def manifests(target) -> list[dict]:
    return [record.fields for record in oracles.read(target.bootstrap, target.prefix, "ingest.manifests")]


def acknowledged(target) -> set[str]:
    return {json.loads(line)["chunk_id"] for line in target.ledger.read_text().splitlines()}


def assert_every_row_once(target) -> None:
    """O2, O3, O5: what was acknowledged is visible, every chunk whole and once, every row of the file there."""
    assert problems(target) == []
    assert {manifest["chunk_id"] for manifest in manifests(target)} == acknowledged(target)
    rows = oracles.read(target.bootstrap, target.prefix, "inmet_hourly")
    assert sorted(row.fields["row_number"] for row in rows) == list(range(ROWS))


def poll_here(target, **options) -> poll.Outcome:
    """The same poll inside this process, where a control can take a protection away."""
    options = {"span": Span(date(2025, 1, 1)), "chunk_rows": CHUNK} | options
    return poll.poll(INMET, target, now=lambda: datetime(2025, 3, 1, tzinfo=UTC), **options)


# F1


def test_f1_a_poller_killed_in_mid_transaction_leaves_nothing_and_its_successor_sends_the_chunk_whole(
    cli, target, variables
):
    killed = cli(*POLL, CORRENTEZA_FAILPOINT="after_produce@3:kill", **variables)
    assert killed.returncode == -signal.SIGKILL
    assert len(acknowledged(target)) == 2
    successor = cli(*POLL, **variables)

    assert successor.returncode == 0, successor.stderr
    assert [manifest["first_row"] for manifest in manifests(target)] == list(range(0, ROWS, CHUNK))
    assert_every_row_once(target)


def test_f1_control_without_the_transaction_a_reader_sees_the_half_chunk_too(cli, target, variables):
    assert cli(*POLL, CORRENTEZA_FAILPOINT="after_produce@3:kill", **variables).returncode == -signal.SIGKILL
    assert cli(*POLL, **variables).returncode == 0
    assert any("stands 2 times" in problem for problem in problems(target, "read_uncommitted"))


# F2


def test_f2_a_poller_killed_between_commit_and_memory_does_not_publish_again(cli, target, variables):
    killed = cli(*POLL, CORRENTEZA_FAILPOINT="after_commit_txn@3:kill", **variables)
    assert killed.returncode == -signal.SIGKILL
    assert len(manifests(target)) == 3
    assert cli(*POLL, **variables).returncode == 0

    assert_every_row_once(target)
    newest = oracles.read(target.bootstrap, target.prefix, "ingest.cursors")[-1].fields
    assert newest["last_chunk_id"] == manifests(target)[-1]["chunk_id"]


def test_f2_control_without_the_cursor_the_successor_publishes_again(target, variables, httpserver, monkeypatch):
    chunks = iter([False, False, False, True])
    poll_here(target, base_url=httpserver.url_for("/"), is_stopping=lambda: next(chunks))
    monkeypatch.setattr(cursor, "read", lambda *_: {})
    poll_here(target, base_url=httpserver.url_for("/"))
    assert any("2 manifests" in problem for problem in problems(target))


# F3


def test_f3_a_zombie_is_fenced_ends_with_75_and_nothing_of_it_is_visible(cli, cli_process, target, variables, tmp_path):
    gate = tmp_path / "gate"
    zombie = cli_process(*POLL, CORRENTEZA_FAILPOINT=f"after_produce@3:wait={gate}", **variables)
    wait_for(lambda: gate.with_name("gate.reached").exists(), "the first poller to be in mid-transaction")
    os.kill(zombie.pid, signal.SIGSTOP)
    successor = cli(*POLL, **variables)
    assert successor.returncode == 0, successor.stderr
    gate.touch()
    os.kill(zombie.pid, signal.SIGCONT)

    assert zombie.wait(60) == 75
    (said,) = [line for line in zombie.said.splitlines() if line.startswith("error: ")]
    assert "fenced" in said
    assert_every_row_once(target)


def test_f3_control_under_two_transactional_ids_both_publish(target, variables, httpserver, monkeypatch):
    reached, gate = threading.Event(), threading.Event()
    names = iter(["first", "second"])
    passages = iter(range(1, 100))

    def pause(name: str) -> None:
        if name == "after_produce" and next(passages) == 1:
            reached.set()
            gate.wait(60)

    monkeypatch.setattr(publish, "failpoint", pause)
    real = poll.Publisher
    monkeypatch.setattr(
        poll, "Publisher", lambda bootstrap, prefix, _, ledger: real(bootstrap, prefix, next(names), ledger=ledger)
    )
    # What the second reads waits for the first one's open transaction, as it should; here it may not.
    monkeypatch.setattr(cursor, "read", lambda *_: {})
    first = threading.Thread(target=poll_here, args=(target,), kwargs={"base_url": httpserver.url_for("/")})
    first.start()
    assert reached.wait(60)
    poll_here(target, base_url=httpserver.url_for("/"))
    gate.set()
    first.join(60)
    assert any("2 manifests" in problem for problem in problems(target))


# F11


def payloads(target) -> list[Path]:
    return [path for path in target.archive.glob("sha256/*/*") if path.suffix != ".json"]


def samples(target) -> list[bytes]:
    return [path.read_bytes() for path in target.archive.glob("invalid/*") if path.suffix != ".json"]


def ends(target) -> dict[str, int]:
    names = [target.prefix + contract.topic for contract in load_all().values()]
    return oracles.end_offsets(target.bootstrap, names)


@pytest.mark.parametrize(
    ("source", "path"), [("inmet_hourly", "/2025.zip"), ("bcb_sgs", "/bcdata.sgs.1/dados")], ids=["zip", "json"]
)
def test_f11_a_page_with_status_200_is_kept_as_a_sample_and_nothing_is_published(cli, target, httpserver, source, path):
    httpserver.expect_request(path).respond_with_data(
        HTML.read_bytes(), 200, content_type="text/html; charset=windows-1252"
    )
    httpserver.expect_request(re.compile("/bcdata.*")).respond_with_data("[]")
    before = ends(target)
    done = cli(
        "poll",
        source,
        "--once",
        CORRENTEZA_BASE_URLS=json.dumps({source: httpserver.url_for("/")}),
        CORRENTEZA_HISTORY_START=json.dumps({source: "2025-01-01"}),
    )

    assert done.returncode == 1, done.stderr
    assert "markup" in done.stderr
    assert ends(target) == before
    assert payloads(target) == []
    assert samples(target) == [HTML.read_bytes()]


def believing(blocks: Iterable[bytes], part: Part, **_: int) -> Iterator[Parsed]:
    """A parser as naive as those that stored such pages as data: every line is a row, well or badly formed."""
    lines = b"".join(blocks).split(b"\n")
    rejects = (
        Reject("bcb_sgs", number, RejectReason.MALFORMED_ROW, "no row", line) for number, line in enumerate(lines)
    )
    yield Parsed(0, len(lines), {}, tuple(rejects))


def test_f11_control_without_the_sniff_the_page_is_archived_and_published(target, httpserver, monkeypatch):
    httpserver.expect_request("/bcdata.sgs.1/dados").respond_with_data(HTML.read_bytes(), content_type="text/html")
    httpserver.expect_request(re.compile("/bcdata.*")).respond_with_data("[]")
    monkeypatch.setattr(poll_zip, "sniff", lambda *_: None)
    monkeypatch.setattr(editions, "BAD_SHARE", 1.0)  # the second protection: a part that is mostly rejected is held
    before = ends(target)
    naive = replace(sources.load("bcb_sgs"), parse=believing)
    poll.poll(
        naive,
        target,
        now=lambda: datetime(2025, 3, 1, tzinfo=UTC),
        base_url=httpserver.url_for("/"),
        span=Span(date(2025, 1, 1)),
    )
    assert len(payloads(target)) == 1
    assert ends(target) != before


# F12


def test_f12_a_damaged_member_is_not_published_and_leaves_no_spool(target, httpserver, variables):
    """One flipped byte in the compressed data: the CRC finds it before a transaction opens."""
    served = ServedZip(httpserver, "/damaged/2025.zip")
    served.put({member_name(SALVADOR): SALVADOR.read_bytes()})
    middle = len(served.body) // 2
    served.body = served.body[:middle] + bytes([served.body[middle] ^ 1]) + served.body[middle + 1 :]
    before = ends(target)
    outcome = poll_here(target, base_url=httpserver.url_for("/damaged/"))
    assert "damaged" in str(outcome.error)
    assert ends(target) == before
    assert payloads(target) == []
    assert list(target.archive.glob("spool/*")) == []


def test_f12_control_without_the_check_half_of_the_member_is_published(target, httpserver, variables, monkeypatch):
    served = ServedZip(httpserver, "/damaged/2025.zip")
    served.put({member_name(SALVADOR): SALVADOR.read_bytes()})
    middle = len(served.body) // 2
    served.body = served.body[:middle] + bytes([served.body[middle] ^ 1]) + served.body[middle + 1 :]
    monkeypatch.setattr(editions.zips, "verify", lambda *_: None)
    before = ends(target)
    poll_here(target, base_url=httpserver.url_for("/damaged/"))
    assert ends(target) != before

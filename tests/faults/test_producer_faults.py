"""Faults of a poller, and what must be in Kafka after them. Each fault has a control: without the protection the oracle
reports the damage.
"""

import json
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from correnteza import topics
from foundation.errors import FencedError
from producers import cursor, editions, poll, publish, session, sources
from producers.formats import zips
from producers.model import Parsed, Part, Reject, RejectReason, Span
from replay.content import DATA
from schemas.contracts import load_all
from tests import oracles
from tests.edition_oracles import HEADER_LINES, not_as_served
from tests.harness.too_far import LOST, too_far
from tests.helpers import PATIENCE_SECONDS, run_to_its_end, wait_at_gate, wait_for
from tests.producers.served import FIRST, SALVADOR, ServedZip, corrected, member_name, year_zip

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
    return poll.Services(settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive_root, ledger)


@pytest.fixture
def year(httpserver) -> ServedZip:
    """One year, one member."""
    served = ServedZip(httpserver, "/2025.zip")
    served.put(SERVED)
    return served


@pytest.fixture
def variables(httpserver, target, year) -> dict[str, str]:
    """The environment of a poll of that year, in five chunks."""
    return {
        "CORRENTEZA_BASE_URLS": json.dumps({"inmet_hourly": httpserver.url_for("/")}),
        "CORRENTEZA_HISTORY_START": json.dumps({"inmet_hourly": "2025-01-01"}),
        "CORRENTEZA_CHUNK_ROWS": str(CHUNK),
        "CORRENTEZA_LEDGER": str(target.ledger),
    }


SERVED = {member_name(SALVADOR): SALVADOR.read_bytes()}
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
    assert not_as_served({FIRST: year_zip(SERVED)}, target.bootstrap, target.prefix) == []
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


DYING = """
import os
import signal
import sys
from producers import publish
from tests.plain_producer import PlainProducer
if sys.argv.pop(1) == "without":
    publish.Producer = PlainProducer
send, seen = publish.Publisher._produce, []

def dies(publisher, topic, messages):
    send(publisher, topic, messages)
    seen.append(topic)
    if seen.count(topic) == 3 and topic.endswith("inmet_hourly.v1"):
        publisher._producer.flush(30)
        os.kill(os.getpid(), signal.SIGKILL)

publish.Publisher._produce = dies
from correnteza.cli import main
main()
"""
"""A poll that is killed when the rows of its third chunk are at the broker, and the chunk's manifest is not."""


def test_f1_control_without_the_transaction_a_reader_sees_the_half_chunk_too(
    cli, settings, target, variables, year, tmp_path, control
):
    def fail(transaction: str) -> None:
        dead = run_to_its_end(settings, tmp_path, ("-c", DYING), (transaction, *POLL), variables)
        assert dead.returncode == -signal.SIGKILL, dead.stderr

    fail("with")
    assert cli(*POLL, **variables).returncode == 0  # its successor ends what it had open
    control.holds(problems, target)
    year.put({member_name(SALVADOR): corrected(SALVADOR.read_bytes())}, days=1)
    fail("without")
    control.objects(problems, target, damage="has rows and no manifest")


# F2


def test_f2_a_poller_killed_right_after_its_commit_does_not_publish_again(cli, target, variables):
    killed = cli(*POLL, CORRENTEZA_FAILPOINT="after_commit_txn@3:kill", **variables)
    assert killed.returncode == -signal.SIGKILL
    assert len(manifests(target)) == 3
    assert cli(*POLL, **variables).returncode == 0

    assert_every_row_once(target)
    newest = oracles.read(target.bootstrap, target.prefix, "ingest.cursors")[-1].fields
    assert newest["last_chunk_id"] == manifests(target)[-1]["chunk_id"]


def test_f2_control_without_the_cursor_the_successor_publishes_again(
    target, variables, httpserver, monkeypatch, control
):
    chunks = iter([False, False, False, True])
    poll_here(target, base_url=httpserver.url_for("/"), is_stopping=lambda: next(chunks))
    poll_here(target, base_url=httpserver.url_for("/"))
    control.holds(problems, target)
    monkeypatch.setattr(cursor, "read", lambda *_: {})
    poll_here(target, base_url=httpserver.url_for("/"))
    control.objects(problems, target, damage="has 2 manifests")


def test_f2_control_a_successor_that_continues_too_far_is_found_by_the_served_bytes(
    target, httpserver, monkeypatch, control
):
    """Every chunk is there once and complete, and manifests match their chunks, so only this oracle can find the lost
    rows."""
    zipped, served = ServedZip(httpserver, "/2025.zip"), {}

    def publish_edition(days: int) -> None:
        zipped.put(SERVED if not days else {name: with_other_rain(body) for name, body in SERVED.items()}, days=days)
        served[zipped.modified_at] = zipped.body
        chunks = iter([False, False, True])
        poll_here(target, base_url=httpserver.url_for("/"), is_stopping=lambda: next(chunks))

    publish_edition(0)
    poll_here(target, base_url=httpserver.url_for("/"))
    control.holds(not_as_served, served, target.bootstrap, target.prefix)

    publish_edition(1)
    read = cursor.read
    monkeypatch.setattr(cursor, "read", lambda *given: too_far(read(*given)))
    poll_here(target, base_url=httpserver.url_for("/"))
    assert problems(target) == []
    control.objects(not_as_served, served, target.bootstrap, target.prefix, damage=f"Kafka lacks {LOST} of {ROWS} rows")


def with_other_rain(body: bytes) -> bytes:
    """A station's year with other rain in every hour."""
    lines = body.splitlines(keepends=True)
    cells = [line.split(b";") for line in lines[HEADER_LINES:]]
    return b"".join([*lines[:HEADER_LINES], *(b";".join([*each[:2], b"99,8", *each[3:]]) for each in cells)])


# F3


def test_f3_a_zombie_is_fenced_ends_with_75_and_nothing_of_it_is_visible(cli, cli_process, target, variables, tmp_path):
    gate = tmp_path / "gate"
    zombie = cli_process(*POLL, CORRENTEZA_FAILPOINT=f"after_produce@3:wait={gate}", **variables)
    wait_at_gate(gate, zombie, "the first poller to be in mid-transaction")
    os.kill(zombie.pid, signal.SIGSTOP)
    successor = cli(*POLL, **variables)
    assert successor.returncode == 0, successor.stderr
    gate.touch()
    os.kill(zombie.pid, signal.SIGCONT)

    assert zombie.wait() == 75
    (said,) = [line for line in zombie.said.splitlines() if line.startswith("error: ")]
    assert "fenced" in said
    assert_every_row_once(target)


def test_f3_control_under_two_transactional_ids_both_publish(target, variables, httpserver, year, monkeypatch, control):
    # What the second reads waits for the first one's open transaction, as it should; here it may not.
    monkeypatch.setattr(cursor, "read", lambda *_: {})
    base_url = httpserver.url_for("/")

    def one_within_the_other() -> None:
        """Another poll begins and ends while the first is in the middle of its first transaction."""
        reached, gate = threading.Event(), threading.Event()
        passages = iter(range(1, 100))

        def pause(name: str) -> None:
            if name == "after_produce" and next(passages) == 1:
                reached.set()
                gate.wait(PATIENCE_SECONDS)

        def older() -> None:
            with suppress(FencedError):
                poll_here(target, base_url=base_url)

        monkeypatch.setattr(publish, "failpoint", pause)
        first = threading.Thread(target=older)
        first.start()
        assert reached.wait(PATIENCE_SECONDS)
        poll_here(target, base_url=base_url)
        gate.set()
        first.join(60)

    one_within_the_other()
    control.holds(problems, target)

    names, real = iter(["first", "second"]), poll.Publisher
    monkeypatch.setattr(
        poll, "Publisher", lambda bootstrap, prefix, _, ledger: real(bootstrap, prefix, next(names), ledger=ledger)
    )
    year.put({member_name(SALVADOR): corrected(SALVADOR.read_bytes())}, days=1)
    one_within_the_other()
    control.objects(problems, target, damage="has 2 manifests")


# F33


def unfinished(target, chunks: int) -> list[str]:
    """Whether a poller that was told to stop ended its chunk and began no further one: so many are acknowledged."""
    there = len(acknowledged(target))
    return [] if there == chunks else [f"{there} chunks are acknowledged, not {chunks}"]


def stopped_in_chunk_2(cli_process, variables, gate: Path, signals: int) -> int:
    """The exit code of a poller that got so many SIGTERMs while its second transaction was open."""
    poller = cli_process(*POLL, CORRENTEZA_FAILPOINT=f"after_produce@2:wait={gate}", **variables)
    wait_at_gate(gate, poller, "the poller to be in mid-transaction")
    poller.terminate()
    if signals > 1:
        # Two signals that arrive as one are one: it is sent until the process has heard a second.
        wait_for(lambda: poller.poll() is not None or poller.terminate(), "its end")
    gate.touch()
    return poller.wait()


def test_f33_a_poller_that_gets_sigterm_in_mid_transaction_ends_the_chunk_and_the_next_goes_on(
    cli, cli_process, target, variables, tmp_path
):
    assert stopped_in_chunk_2(cli_process, variables, tmp_path / "gate", 1) == 128 + signal.SIGTERM
    assert unfinished(target, 2) == []
    assert problems(target) == []
    assert cli(*POLL, **variables).returncode == 0
    assert_every_row_once(target)


def test_f33_control_a_poller_that_does_not_wait_for_its_chunk_leaves_it_to_the_next(
    cli_process, target, variables, tmp_path, control
):
    """The second signal ends the wait. Work is lost, but no row: the whole chunk is sent again."""
    assert stopped_in_chunk_2(cli_process, variables, tmp_path / "gate", 1) == 128 + signal.SIGTERM
    control.holds(unfinished, target, 2)
    hasty = stopped_in_chunk_2(cli_process, variables, tmp_path / "other", 2)
    assert hasty in {128 + signal.SIGTERM, -signal.SIGTERM}, "a further signal may meet the interpreter at its end"
    control.objects(unfinished, target, 4, damage="3 chunks are acknowledged, not 4")


# F11


def untouched(target, before: dict[str, int]) -> list[str]:
    """The oracle of what is refused: no topic has moved, and nothing was archived as a payload."""
    found = [f"{path.name} is archived as a payload" for path in payloads(target)]
    return found + oracles.moved(target.bootstrap, before)


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
    """A parser without the check that stored such pages as data: every line is a row, well or badly formed."""
    lines = b"".join(blocks).split(b"\n")
    rejects = (
        Reject("bcb_sgs", number, RejectReason.MALFORMED_ROW, "no row", line) for number, line in enumerate(lines)
    )
    yield Parsed(0, len(lines), {}, tuple(rejects))


def test_f11_control_without_the_sniff_the_page_is_archived_and_published(target, httpserver, monkeypatch, control):
    httpserver.expect_request("/bcdata.sgs.1/dados").respond_with_data(HTML.read_bytes(), content_type="text/html")
    httpserver.expect_request(re.compile("/bcdata.*")).respond_with_data("[]")
    monkeypatch.setattr(editions, "BAD_SHARE", 1.0)  # the second protection: a part that is mostly rejected is held
    before = ends(target)

    def ask() -> None:
        poll.poll(
            replace(sources.load("bcb_sgs"), parse=believing),
            target,
            now=lambda: datetime(2025, 3, 1, tzinfo=UTC),
            base_url=httpserver.url_for("/"),
            span=Span(date(2025, 1, 1)),
        )

    ask()
    control.holds(untouched, target, before)
    monkeypatch.setattr(session, "sniff", lambda *_: None)
    ask()
    damage = ("is archived as a payload", "ingest.rejects.v1 went from 0 to")
    control.objects(untouched, target, before, damage=damage)


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


def test_f12_control_without_the_check_half_of_the_member_is_published(
    target, httpserver, variables, monkeypatch, control
):
    served = ServedZip(httpserver, "/damaged/2025.zip")
    served.put({member_name(SALVADOR): SALVADOR.read_bytes()})
    middle = len(served.body) // 2
    served.body = served.body[:middle] + bytes([served.body[middle] ^ 1]) + served.body[middle + 1 :]
    before = ends(target)
    poll_here(target, base_url=httpserver.url_for("/damaged/"))
    control.holds(oracles.moved, target.bootstrap, before)
    monkeypatch.setattr(zips, "verify", lambda *_: None)
    poll_here(target, base_url=httpserver.url_for("/damaged/"))
    control.objects(oracles.moved, target.bootstrap, before, damage="inmet_hourly.v1 went from 0 to")

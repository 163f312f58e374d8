"""Rows that a wrong parser rejected are published once it is fixed, with the clocks of their first publication."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from producers import poll, sources
from producers.formats.columns import reject
from producers.model import BadValueError, Parsed, RejectReason, Span
from tests import oracles
from tests.producers.served import FIRST, ServedZip
from tests.producers.test_withdrawals_published import H1, MOBILE, member

pytestmark = pytest.mark.integration

NOW = datetime(2025, 12, 1, 6, 30, tzinfo=UTC)
PART = ("acessos_telefonia_movel", "202501-202506")
ROWS = member((1, "TIM", 1), (1, "CLARO", 2), (1, "OI", 3))


def broken(*groups: str):
    """A parser that takes these groups for a mistake."""

    def parse(blocks, part, **options):
        for parsed in MOBILE.parse(blocks, part, **options):
            records = parsed.records[MOBILE.name]
            bad = [group in groups for group in records.column("economic_group").to_pylist()]
            problem = BadValueError(RejectReason.BAD_CODE, "a new spelling")
            rejects = [reject(MOBILE.name, row, problem, b"") for row, is_bad in enumerate(bad) if is_bad]
            kept = {MOBILE.name: records.filter([not is_bad for is_bad in bad])}
            yield Parsed(parsed.first_row, parsed.next_row, kept, tuple(rejects))

    return replace(MOBILE, parse=parse)


@pytest.fixture
def run(target, httpserver):
    """One publication, polled by any parser: the outcome."""
    ServedZip(httpserver, "/acessos/acessos_telefonia_movel.zip").put({H1: ROWS})
    span = Span(MOBILE.history_start)
    return lambda source: poll.poll(source, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=span)


@pytest.fixture
def rows(target):
    """Published rows: (economic group, accesses), published_at, basis."""
    return lambda: [
        (row["economic_group"], row["accesses"], row["published_at"], row["published_at_basis"])
        for row in seen(target, MOBILE.name)
    ]


def seen(target, dataset: str) -> list[dict]:
    return [record.fields for record in oracles.read(target.bootstrap, target.prefix, dataset)]


def test_what_was_rejected_is_published_once_the_parser_is_fixed_with_its_first_clock(run, target, rows):
    assert run(broken("OI")).tally.rejects == 1
    assert run(MOBILE).tally.rows == 0, "control: the source says that nothing is new"
    outcome = poll.reparse(MOBILE, target, [PART], at=NOW)

    assert (outcome.error, outcome.tally.rows, outcome.tally.rejects, outcome.tally.withdrawn) == (None, 3, 0, 0)
    assert sorted(set(rows())) == [
        (group, accesses, FIRST, "http_last_modified") for group, accesses in (("CLARO", 2), ("OI", 3), ("TIM", 1))
    ]
    assert [manifest["edition"] for manifest in seen(target, "ingest.manifests")] == [1, 2]
    assert oracles.problems(target.bootstrap, target.prefix, MOBILE.datasets) == []


def test_a_reparse_that_is_killed_is_finished_by_the_next_poll(run, target, rows, monkeypatch):
    run(broken("OI"))

    def fail(name: str) -> None:
        if name == "after_produce":
            raise SystemExit(9)

    monkeypatch.setattr("producers.publish.failpoint", fail)
    with pytest.raises(SystemExit):
        poll.reparse(MOBILE, target, [PART], at=NOW)
    monkeypatch.undo()
    poll.reparse(MOBILE, target, [PART], at=NOW)
    assert {row[0] for row in rows()} == {"CLARO", "OI", "TIM"}
    assert oracles.problems(target.bootstrap, target.prefix, MOBILE.datasets) == []


def test_a_part_most_of_which_is_rejected_is_held_and_read_when_the_parser_is_fixed(run, target, rows):
    outcome = run(broken("OI", "TIM"))
    assert "is held: 2 of its first 3 rows are rejected" in str(outcome.error)
    assert (rows(), seen(target, "ingest.rejects"), seen(target, "ingest.cursors")) == ([], [], [])
    assert run(MOBILE).tally.rows == 3


def test_parts_that_the_source_no_longer_has_are_left_out(run, target):
    run(MOBILE)
    assert poll.reparse(MOBILE, target, [("gone", "x"), (PART[0], "x")], at=NOW).tally.rows == 0


def test_csv_members_that_no_part_is_made_of_are_named(httpserver, target):
    other = "Acessos_Telefonia_Movel_por_Bairro.csv"
    ServedZip(httpserver, "/acessos/acessos_telefonia_movel.zip").put({H1: ROWS, other: b"x", "Leia_me.pdf": b"y"})
    span = Span(sources.load(MOBILE.name).history_start)
    outcome = poll.poll(MOBILE, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=span)
    assert outcome.tally.unread_members == [other]

"""Editions with fewer keys, polled into the real broker: what is withdrawn, what is held, and what is kept.

ANATEL's members are republished whole, and their months move between members; the last state of the zip is the truth.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial

import pytest

from foundation.errors import UsageError
from producers import decisions, poll, session, sources
from producers.model import Span
from producers.withdrawals import NOTHING
from tests import oracles
from tests.producers.served import FIRST, ServedZip

pytestmark = pytest.mark.integration

MOBILE = sources.load("anatel_mobile_accesses")
NOW = datetime(2025, 12, 1, 6, 30, tzinfo=UTC)
HEADER = (
    "Ano;Mês;Grupo Econômico;Empresa;CNPJ;Porte da Prestadora;UF;Município;Código IBGE Município;Código Nacional;"
    "Modalidade de Cobrança;Tecnologia;Tecnologia Geração;Tipo de Pessoa;Tipo de Produto;Acessos"
)

Row = tuple[int, str, int]
"""(month of 2025, economic group, accesses)"""


def member(*rows: Row, year: int = 2025) -> bytes:
    lines = [
        f"{year};{month};{group};{group};02558157000162;Grande Porte;BA;Salvador;2927408;71;"
        f"Pós-pago;LTE;4G;Pessoa Física;VOZ+DADOS;{accesses}"
        for month, group, accesses in rows
    ]
    return "\ufeff".encode() + "\r\n".join([HEADER, *lines, ""]).encode()


H1, H2 = "Acessos_Telefonia_Movel_2025_1S.csv", "Acessos_Telefonia_Movel_2025_2S.csv"
YEAR = "Acessos_Telefonia_Movel_202501-202512.csv"


@pytest.fixture
def zip_of_accesses(httpserver) -> ServedZip:
    return ServedZip(httpserver, "/acessos/acessos_telefonia_movel.zip")


@pytest.fixture
def publish(target, httpserver, zip_of_accesses) -> Callable[..., poll.Outcome]:
    """Members by name → what a poll of them does; each call is a later publication."""
    days = iter(range(100))

    def run(members: dict[str, bytes], **options) -> poll.Outcome:
        zip_of_accesses.put(members, days=next(days))
        options = {"span": Span(MOBILE.history_start)} | options
        source = options.pop("source", MOBILE)
        outcome = poll.poll(source, target, now=lambda: NOW, base_url=httpserver.url_for("/"), **options)
        assert outcome.error is None, outcome.error
        assert oracles.problems(target.bootstrap, target.prefix, MOBILE.datasets) == []
        return outcome

    return run


@pytest.fixture
def seen(target) -> Callable[[str], list[dict]]:
    """Committed records of a topic."""
    return lambda dataset: [record.fields for record in oracles.read(target.bootstrap, target.prefix, dataset)]


def standing(seen) -> dict[tuple[int, str], int]:
    """(month, group) → accesses, as a reader of the topics sees them: the newest clock of a key counts."""
    last: dict[str, tuple] = {}
    for record in seen(MOBILE.name):
        name = (record["reference_month_on"].month, record["economic_group"])
        key = "|".join([str(record["reference_month_on"]), record["economic_group"]])
        version = (record["published_at"] or record["retrieved_at"], 1, name, record["accesses"])
        last[key] = max(last.get(key, version), version)
    for record in seen("ingest.withdrawals"):
        fields = record["key_fields"]
        key = "|".join([fields["reference_month_on"], fields["economic_group"]])
        version = (record["published_at"] or record["retrieved_at"], 0, None, None)
        last[key] = max(last.get(key, version), version, key=lambda each: each[:2])
    return {version[2]: version[3] for version in last.values() if version[2]}


def test_a_relabelled_operator_and_a_dropped_row_are_withdrawn_in_the_edition_s_own_transaction(publish, seen):
    publish({H1: member((1, "TELEFÔNICA", 100), (1, "CLARO", 200), (2, "CLARO", 205))})
    outcome = publish({H1: member((1, "TELEFONICA", 100), (1, "CLARO", 200))})

    assert standing(seen) == {(1, "TELEFONICA"): 100, (1, "CLARO"): 200}
    assert (outcome.tally.withdrawn, outcome.tally.held) == (2, 0)
    withdrawals, manifest = seen("ingest.withdrawals"), seen("ingest.manifests")[-1]
    assert {each["chunk_id"] for each in withdrawals} == {manifest["chunk_id"]}
    assert {each["published_at"] for each in withdrawals} == {FIRST.replace(day=FIRST.day + 1)}
    assert [each["row_number"] for each in withdrawals] == [0, 1]
    assert (manifest["rows_published"], manifest["rows_withdrawn"], manifest["withdrawals_held"]) == (2, 2, 0)
    assert manifest["datasets"] == {MOBILE.name: 2, "ingest.withdrawals": 2}
    assert (manifest["part_key"], manifest["edition"]) == ("202501-202506", 2)


def test_control_without_withdrawals_the_month_counts_twice(publish, seen, monkeypatch, control):
    def month() -> list[str]:
        accesses = sum(standing(seen).values())
        return [] if accesses == 200 else [f"{accesses} accesses stand, the source counts 200"]

    publish({H1: member((1, "TELEFÔNICA", 200))})
    publish({H1: member((1, "TELEFONICA", 200))})
    control.holds(month)
    monkeypatch.setattr("producers.session.Comparing.withdrawn", lambda self: NOTHING)
    publish({H1: member((1, "TELEFÓNICA", 200))})
    control.objects(month, damage="400 accesses stand, the source counts 200")


def test_what_comes_back_is_published_again_and_stands(publish, seen):
    first = member((1, "TIM", 1), (1, "CLARO", 2))
    publish({H1: first})
    publish({H1: member((1, "CLARO", 2))})
    publish({H1: first})
    assert standing(seen) == {(1, "TIM"): 1, (1, "CLARO"): 2}
    assert [each["edition"] for each in seen("ingest.withdrawals")] == [2]


def test_a_month_that_moves_to_another_member_withdraws_only_what_is_gone(publish, seen):
    """June leaves the first half for a member of its own months, with one row less; May stays where it was."""
    half = "Acessos_Telefonia_Movel_202501-202505.csv"
    rest = "Acessos_Telefonia_Movel_202506-202512.csv"
    publish({H1: member((5, "TIM", 1), (6, "TIM", 2), (6, "CLARO", 3)), H2: member((7, "TIM", 4))})
    publish({half: member((5, "TIM", 1)), rest: member((6, "TIM", 2), (7, "TIM", 4))})
    assert standing(seen) == {(5, "TIM"): 1, (6, "TIM"): 2, (7, "TIM"): 4}
    assert len(seen("ingest.withdrawals")) == 1


def test_members_that_become_one_and_part_again(publish, seen):
    publish({H1: member((1, "TIM", 1)), H2: member((7, "TIM", 2), (8, "OI", 3))})
    publish({YEAR: member((1, "TIM", 1), (7, "TIM", 2))})
    assert standing(seen) == {(1, "TIM"): 1, (7, "TIM"): 2}
    publish({H1: member((1, "TIM", 1), (1, "OI", 9)), H2: member((7, "TIM", 2))})
    assert standing(seen) == {(1, "TIM"): 1, (1, "OI"): 9, (7, "TIM"): 2}
    assert len(seen("ingest.withdrawals")) == 1


def test_a_value_that_changes_in_a_merged_member_is_not_dated_back(publish, seen):
    """The member is new, January is not: the assumed lag is for history first seen, as September here."""
    publish({"Acessos_Telefonia_Movel_2024_1S.csv": member((1, "TIM", 1), year=2024)})
    publish({"Acessos_Telefonia_Movel_202401-202412.csv": member((1, "TIM", 5), (9, "TIM", 2), year=2024)})
    bases = {row["accesses"]: row["published_at_basis"] for row in seen(MOBILE.name)}
    assert bases == {1: "assumed_lag", 5: "http_last_modified", 2: "assumed_lag"}


def test_a_shrunken_publication_is_held_and_a_second_one_does_not_accept_it(publish, seen):
    whole = [(month, f"G{number}", number) for month in (1, 2) for number in range(120)]
    publish({H1: member(*whole)})
    outcome = publish({H1: member(*whole[:100], (6, "NEW", 1))})
    assert (outcome.tally.withdrawn, outcome.tally.held) == (0, 140)
    assert seen("ingest.manifests")[-1]["withdrawals_held"] == 140
    outcome = publish({H1: member(*whole[:100], (6, "NEW", 2))})
    assert (outcome.tally.withdrawn, outcome.tally.held) == (0, 140)
    assert len(standing(seen)) == 241
    outcome = publish({H1: member(*whole)})
    assert (outcome.tally.withdrawn, outcome.tally.held) == (1, 0)
    assert len(standing(seen)) == 240


@pytest.mark.parametrize("failing", ["after_produce", "after_commit_txn"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 4])
def test_a_poller_killed_among_rows_or_withdrawals_continues_where_it_was(publish, seen, monkeypatch, failing, chunk):
    """Editions of two chunks of rows and withdrawals and two of withdrawals; it is killed in each, before and after the
    commit, and its successor dies at its own first chunk, where there is one left.
    """
    groups = [f"G{number}" for number in range(7)]
    publish({H1: member(*[(1, group, 1) for group in groups])}, chunk_rows=2)
    shrunk = {H1: member((1, "G0", 1), (1, "N1", 1), (1, "N2", 1))}

    def publish_and_fail_at(passage: int) -> bool:
        passed = iter(range(1, 100))

        def fail(name: str) -> None:
            if name == failing and next(passed) == passage:
                raise SystemExit(9)

        with monkeypatch.context() as patch:
            patch.setattr("producers.publish.failpoint", fail)
            try:
                publish(shrunk, chunk_rows=2)
            except SystemExit:
                return True
        return False

    assert publish_and_fail_at(chunk)
    is_done = (failing, chunk) == ("after_commit_txn", 4)
    assert publish_and_fail_at(1) != is_done
    publish(shrunk, chunk_rows=2)
    assert standing(seen) == {(1, "G0"): 1, (1, "N1"): 1, (1, "N2"): 1}
    assert sorted(each["row_number"] for each in seen("ingest.withdrawals")) == list(range(6))


def test_the_schedule_withdraws_what_a_backfill_had_published_once_it_owns_the_days(publish, seen):
    """A backfill publishes the half-year; then the start of the live history moves before it."""
    until_june = Span(date(2025, 1, 1), date(2025, 6, 30))
    publish({H1: member((1, "TIM", 1), (1, "OI", 2))}, span=until_june)
    outcome = publish({H1: member((1, "TIM", 1)), H2: member((7, "TIM", 3))})
    assert (outcome.tally.withdrawn, standing(seen)) == (1, {(1, "TIM"): 1, (7, "TIM"): 3})
    outcome = publish({H1: member((1, "TIM", 5)), H2: member((7, "TIM", 3))})
    assert (outcome.tally.withdrawn, standing(seen)) == (0, {(1, "TIM"): 5, (7, "TIM"): 3})


def test_where_the_former_payload_is_gone_the_manifest_says_so(publish, seen, settings):
    publish({H1: member((1, "TIM", 1), (1, "OI", 2))})
    for file in (settings.archive_root / "sha256").rglob("*"):
        if file.is_file():
            file.unlink()
    publish({H1: member((1, "TIM", 1))})
    assert seen("ingest.manifests")[-1]["rows_withdrawn"] is None
    assert seen("ingest.withdrawals") == []


@pytest.fixture
def shrunken(publish) -> None:
    """An edition that lacks 140 of 240 keys."""
    whole = [(month, f"G{number}", number) for month in (1, 2) for number in range(120)]
    publish({H1: member(*whole)})
    publish({H1: member(*whole[:100])})


def test_what_is_held_is_listed_and_withdrawn_once_when_it_is_accepted(shrunken, target, seen):
    (one,) = decisions.held(target)
    assert one.entry == "anatel_mobile_accesses/acessos_telefonia_movel/202501-202506"
    assert (one.rows, one.edition, one.name) == (140, 2, H1)
    assert decisions.accept(target, one, NOW) == 140
    assert len(standing(seen)) == 100
    assert {each["published_at"] for each in seen("ingest.withdrawals")} == {one.known_from}
    assert seen("ingest.manifests")[-1]["withdrawals_held"] == 0
    assert oracles.problems(target.bootstrap, target.prefix, MOBILE.datasets) == []
    assert decisions.held(target) == []
    with pytest.raises(UsageError, match="no longer waits"):
        decisions.accept(target, one, NOW)


def test_an_acceptance_that_is_killed_continues_where_it_was(shrunken, target, seen, monkeypatch):
    monkeypatch.setattr("producers.poll.Session", partial(session.Session, chunk_rows=50))

    def fail(name: str) -> None:
        if name == "after_commit_txn":
            raise SystemExit(9)

    monkeypatch.setattr("producers.publish.failpoint", fail)
    (one,) = decisions.held(target)
    with pytest.raises(SystemExit):
        decisions.accept(target, one, NOW)
    monkeypatch.undo()
    (rest,) = decisions.held(target)
    decisions.accept(target, rest, NOW)
    assert sorted(each["row_number"] for each in seen("ingest.withdrawals")) == list(range(140))
    assert len(standing(seen)) == 100


def test_what_is_discarded_stands_and_is_not_asked_about_again(shrunken, publish, target, seen):
    (one,) = decisions.held(target)
    assert decisions.discard(target, one, NOW) == 140
    assert decisions.held(target) == []
    assert seen("ingest.manifests")[-1]["rows_withdrawn"] is None
    whole = [(1, f"G{number}", number) for number in range(99)]
    assert publish({H1: member(*whole)}).tally.withdrawn == 1
    assert len(standing(seen)) == 239

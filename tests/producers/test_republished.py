"""Chunks that are rebuilt from the archive are byte for byte those in Kafka, or refused: real polls, the real
broker."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from foundation.rowhash import row_hash
from producers import chunk, poll, sources
from producers.archive import Archive
from producers.model import Span
from producers.republished import Republished, RepublishedChunk
from schemas.contracts import Contract, load
from tests import oracles
from tests.producers.served import MACAPA, SALVADOR, ServedZip, corrected, member_name
from tests.producers.test_withdrawals_published import H1, MOBILE, YEAR, member

pytestmark = pytest.mark.integration

NOW = datetime(2025, 12, 1, 6, 30, tzinfo=UTC)
INMET = sources.load("inmet_hourly")
SOME = SALVADOR.read_bytes()[:200_000].rpartition(b"\n")[0] + b"\n"
BOOKKEEPING = {"ingest.rejects": 1, "ingest.withdrawals": 1, "ingest.manifests": 1}


def manifests(target: Any) -> list[dict[str, Any]]:
    return [record.fields for record in oracles.read(target.bootstrap, target.prefix, "ingest.manifests")]


def made_again(target: Any, *, wanted: set[str] | None = None, **changes: Any) -> list[RepublishedChunk]:
    """Every chunk of the manifests, or those that are wanted."""
    every = manifests(target)

    def contract_of(name: str, schema_id: int) -> Contract:
        return load(name)

    maker = Republished(Archive(target.archive), sources.load, contract_of, BOOKKEEPING)
    ids = frozenset(each["chunk_id"] for each in every) if wanted is None else frozenset(wanted)
    return list(replace(maker, **changes).chunks(every, ids))


def differences(target: Any, source: Any, **changes: Any) -> list[str]:
    """The oracle: the messages of all chunks against all records that Kafka holds, each with its bytes."""
    found = []
    again = made_again(target, **changes)
    found += [f"chunk {each.manifest['first_row']}: {each.problem}" for each in again if each.problem]
    for name in (*source.datasets, "ingest.rejects", "ingest.withdrawals"):
        made = Counter((key, value[5:]) for each in again for key, value in each.messages.get(name, ()))
        held = Counter((each.key, each.value[5:]) for each in oracles.read(target.bootstrap, target.prefix, name))
        if made != held:
            found.append(f"{name}: {sum(held.values())} records, {sum((made & held).values())} of them made again")
    return found


@pytest.fixture
def polled(target, httpserver):
    """Stations in chunks of 100 rows, one of them corrected, in two editions."""
    year = ServedZip(httpserver, "/2025.zip")
    for days, salvador in ((0, SOME), (1, corrected(SOME))):
        year.put({member_name(SALVADOR): salvador, member_name(MACAPA): MACAPA.read_bytes()}, days=days)
        outcome = poll.poll(
            INMET,
            target,
            now=lambda: NOW,
            base_url=httpserver.url_for("/"),
            span=Span(date(2025, 1, 1)),
            chunk_rows=100,
        )
        assert outcome.error is None
    return target


def test_editions_in_many_chunks_are_made_again(polled):
    assert differences(polled, INMET) == []
    assert {each.manifest["edition"] for each in made_again(polled)} == {1, 2}


def test_only_what_is_wanted_is_made_again(polled):
    every = [each["chunk_id"] for each in manifests(polled)]
    [again] = made_again(polled, wanted={every[3]})
    assert (again.manifest["chunk_id"], again.problem) == (every[3], None)
    assert len(again.messages["inmet_hourly"]) == 100


def test_withdrawals_and_the_clocks_of_days_that_moved_between_members_are_made_again(target, httpserver):
    served = ServedZip(httpserver, "/acessos/acessos_telefonia_movel.zip")
    publications = (
        {H1: member((1, "TIM", 1), (2, "TIM", 2), (2, "OI", 3))},
        {H1: member((1, "TIM", 1), (2, "TIM", 9))},
        {YEAR: member((1, "TIM", 1), (2, "VIVO", 9), (3, "VIVO", 4))},
    )
    for days, members in enumerate(publications):
        served.put(members, days=days)
        span = Span(MOBILE.history_start)
        assert poll.poll(MOBILE, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=span).error is None
    assert sum(each["rows_withdrawn"] for each in manifests(target)) == 2
    assert differences(target, MOBILE) == []


def test_known_withdrawals_replace_a_former_payload_that_is_gone(target, httpserver):
    served = ServedZip(httpserver, "/acessos/acessos_telefonia_movel.zip")
    for days, members in enumerate(({H1: member((1, "TIM", 1), (2, "OI", 3))}, {H1: member((1, "TIM", 2))})):
        served.put(members, days=days)
        span = Span(MOBILE.history_start)
        assert poll.poll(MOBILE, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=span).error is None
    first, second = manifests(target)
    Archive(target.archive).remove(first["payload_sha256"], datetime.now(UTC).replace(year=2100))
    [refused] = made_again(target, wanted={second["chunk_id"]})
    assert "its hash or its counts are others" in str(refused.problem)

    [gone] = oracles.read(target.bootstrap, target.prefix, "ingest.withdrawals")
    known = {second["chunk_id"]: (1, row_hash(gone.key, gone.value))}
    [again] = made_again(target, wanted={second["chunk_id"]}, withdrawn=known)
    [row] = oracles.read(target.bootstrap, target.prefix, MOBILE.name)[-1:]
    assert [value[5:] for _, value in again.messages[MOBILE.name]] == [row.value[5:]]
    assert "ingest.withdrawals" not in again.messages, "nothing vouches for those"


def test_a_payload_that_is_gone_is_named(polled):
    first = manifests(polled)[0]
    Archive(polled.archive).remove(first["payload_sha256"], datetime.now(UTC).replace(year=2100))
    refused = [each for each in made_again(polled) if each.problem]
    assert {each.manifest["payload_sha256"] for each in refused} == {first["payload_sha256"]}
    assert "the archive does not hold its payload" in str(refused[0].problem)


def test_control_what_is_not_as_it_was_published_is_refused(polled, control):
    """Today's parser reads a value otherwise: the hash of the chunk is another one."""

    def parsed_by(parse: Any) -> list[str]:
        return differences(polled, INMET, source_of=lambda name: replace(INMET, parse=parse))

    def otherwise(blocks: Any, part: Any, **options: Any) -> Any:
        return INMET.parse([b"".join(blocks).replace(b";26,", b";27,")], part, **options)

    control.holds(parsed_by, INMET.parse)
    control.objects(parsed_by, otherwise, damage="parsed again it is not what was published")


def test_a_record_is_written_under_the_schema_of_its_time(polled, monkeypatch):
    """The contract has gained a field since, which the bytes of then have not."""
    contract = load("inmet_hourly")
    gained = {"name": "gained", "type": ["null", "string"], "default": None}
    wider = replace(contract, schema={**contract.schema, "fields": [*contract.schema["fields"], gained]})
    asked: set[tuple[str, int]] = set()

    def as_then(name: str, schema_id: int) -> Contract:
        asked.add((name, schema_id))
        return contract if name == "inmet_hourly" else load(name)

    monkeypatch.setattr(chunk, "load", lambda name: wider if name == "inmet_hourly" else load(name))
    assert differences(polled, INMET, contract_of=as_then) == []
    assert asked == {(name, manifests(polled)[0]["schema_ids"][name]) for name in INMET.datasets}
    with pytest.raises(KeyError, match="gained"):
        made_again(polled, contract_of=lambda name, schema_id: wider if name == "inmet_hourly" else load(name))

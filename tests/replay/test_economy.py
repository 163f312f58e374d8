"""The replayed economic sources, asked by their own plans over HTTP: what each publication day brings, and no more.

Polls stand here without Kafka: what was published under a part's key is remembered in memory.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import httpx2
import pytest

from foundation.errors import InvalidContent
from producers import sources
from producers.fetch.answers import sniff
from producers.fetch.http import Client
from producers.model import Part, PartState, Progress, Span
from producers.publication_clock import API
from replay import focus, ptax, sidra
from replay.server import serve


@pytest.fixture
def replay():
    with serve(day=1) as server:
        yield server


@pytest.fixture(autouse=True)
def _in_november_2025(monkeypatch):
    monkeypatch.setattr("foundation.clock.now", lambda: datetime(2025, 11, 12, 15, tzinfo=UTC))


@dataclass
class Poller:
    """Polls one source again and again."""

    name: str
    replay: object
    bodies: dict = field(default_factory=dict)
    clocks: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def poll(self, today: date) -> Counter:
        """One poll of every resource. Returns: resource → rows of bodies that brought something new."""
        source, news = sources.load(self.name), Counter()
        self.asked = []
        span = Span(date(2024, 1, 1))
        with Client.for_source(source, self.replay.base_urls[self.name]) as client:
            for resource in source.resources(today, span):
                for ask in source.plan(resource, self._progress(client, resource, today, span)):
                    answer = client.get(ask.path or resource.path, ask.params)
                    self.asked.append((resource.name, ask.key))
                    if source.is_no_news(answer.status, answer.body):
                        continue
                    assert answer.status == 200, answer.body[:200]
                    sniff(answer, source.media)
                    key = resource.name, ask.key
                    if key in self.bodies and source.repeats(self.bodies[key], answer.body):
                        continue
                    part = Part(resource.name, ask.key, ask.key, answer.retrieved_at)
                    chunks = list(source.parse([answer.body], part))
                    assert not any(chunk.rejects or chunk.notes for chunk in chunks)
                    news[resource.name] += sum(chunk.next_row - chunk.first_row for chunk in chunks)
                    self.bodies[key], self.clocks[key] = answer.body, ask.published_at
        return +news

    def _progress(self, client, resource, today, span):
        def state(key):
            if (resource.name, key) not in self.clocks:
                return None
            published_at = self.clocks[resource.name, key]
            return PartState(key, "", 1, 1, True, True, published_at or datetime.now(UTC), published_at, API)

        def look(path, params):
            answer = client.get(path, params)
            assert answer.status == 200
            return answer.body

        complete = frozenset(key for name, key in self.bodies if name == resource.name)
        return Progress(today, span, complete, lambda key: self.bodies.get((resource.name, key)), state, look)


def test_ptax_brings_the_bulletins_of_the_second_day_and_then_nothing(replay):
    poller = Poller("bcb_ptax", replay)
    assert poller.poll(date(2025, 11, 10)) == {"USD": len(ptax._load("20251110")["value"])}
    assert poller.poll(date(2025, 11, 10)) == {}
    replay.set_day(2)
    assert poller.poll(date(2025, 11, 11))["USD"] >= 2
    assert poller.poll(date(2025, 11, 11)) == {}
    replay.set_day(3)
    assert poller.poll(date(2025, 11, 12)) == {}
    assert {name for name, _ in poller.asked} == {"USD", "EUR"}


def test_ptax_refuses_a_day_that_is_not_month_first_in_quotes(replay):
    address = replay.base_urls["bcb_ptax"] + "/" + ptax._PATH
    for first in ("'2025-11-10'", "'30-11-2025'", "11-10-2025"):
        answer = httpx2.get(
            address, params={"@moeda": "'USD'", "@dataInicial": first, "@dataFinalCotacao": "'11-10-2025'"}
        )
        assert answer.status_code == 400


def test_focus_brings_the_report_of_the_second_day_and_is_not_asked_again_before_the_next(replay):
    poller = Poller("bcb_focus", replay)
    first = poller.poll(date(2025, 11, 10))
    assert set(first) == set(focus._REFERENCES)
    assert poller.poll(date(2025, 11, 10)) == {}
    assert [key for _, key in poller.asked if key.endswith("..")] == []
    replay.set_day(2)
    second = poller.poll(date(2025, 11, 11))
    assert set(second) == set(first)
    assert poller.poll(date(2025, 11, 11)) == {}


def test_focus_answers_a_page_to_what_it_does_not_know(replay):
    address = replay.base_urls["bcb_focus"] + "/ExpectativasMercadoAnuais"
    answer = httpx2.get(address, params={"$filter": "contains(Indicador,'IPCA')", "$orderby": "Data desc"})
    assert (answer.status_code, answer.content[:6]) == (500, b"<html>")
    assert httpx2.get(replay.base_urls["bcb_focus"] + "/ExpectativasMercadoMensais").status_code == 404


def test_sidra_brings_october_of_the_ipca_on_the_second_day_dated_by_its_change(replay):
    poller = Poller("ibge_sidra", replay)
    first = poller.poll(date(2025, 11, 10))
    assert set(first) == {"1737", "7062", "1736", "6381", "6579"}  # of yearly GDP nothing is recorded after 2023
    assert first["6579"] == 2 * 27, "two years of the capitals, each a part of its own"
    assert poller.clocks["6579", "values 2024"] == datetime(2024, 8, 29, 12, tzinfo=UTC)
    assert poller.poll(date(2025, 11, 10)) == {}
    replay.set_day(2)
    assert poller.poll(date(2025, 11, 11)) == {"1737": 1, "1736": 1}
    assert poller.clocks["1737", "values"] == datetime(2025, 11, 11, 12, tzinfo=UTC)
    assert poller.poll(date(2025, 11, 11)) == {}


def test_every_recorded_cell_of_sidra_can_be_asked_for(replay):
    """Even of years before those that the source asks for by itself."""
    for number, (classification, period, _lag) in sidra._TABLES.items():
        header, cells = sidra.recorded(number, 2)
        variables = ",".join(sorted({sidra._variable(header, cell) for cell in cells}))
        category = "" if classification is None else f"/c{classification}/7169"
        level = sidra._LEVELS.get(number, "1")
        path = f"/values/t/{number}/n{level}/all/v/{variables}/p/all{category}"
        replay.set_day(2)
        found = httpx2.get(replay.base_urls["ibge_sidra"] + path, params={"formato": "json"}).json()
        assert found == [header, *cells], period


def test_a_question_of_sidra_without_its_classification_is_answered_with_cells_that_do_not_apply(replay):
    path = "/values/t/5932/n1/all/v/6561/p/all"
    _header, *cells = httpx2.get(replay.base_urls["ibge_sidra"] + path).json()
    assert {cell["V"] for cell in cells} == {".."}
    assert httpx2.get(replay.base_urls["ibge_sidra"] + path + "/c11255/90707").status_code == 400


def test_an_address_that_is_too_long_for_sidra_gets_the_firewalls_page(replay):
    source = sources.load("ibge_sidra")
    path = "values/t/1737/n1/all/v/63/p/" + ",".join(["202510"] * 400)
    with Client.for_source(source, replay.base_urls["ibge_sidra"]) as client:
        answer = client.get(path, {"formato": "json"})
    with pytest.raises(InvalidContent, match="markup"):
        sniff(answer, source.media)


def test_the_list_of_municipalities_grows_by_one_on_the_second_day(replay):
    poller = Poller("ibge_municipalities", replay)
    assert poller.poll(date(2025, 11, 10)) == {"municipios": 5570}
    assert poller.poll(date(2025, 11, 10)) == {}
    replay.set_day(2)
    assert poller.poll(date(2025, 11, 11)) == {"municipios": 5571}
    assert poller.poll(date(2025, 11, 11)) == {}

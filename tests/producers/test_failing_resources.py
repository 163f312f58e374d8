"""Sources with a failing resource or a failing history: what is polled nevertheless, and what the outcome says."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from werkzeug import Request, Response

from producers import poll, sources, steps
from producers.model import Cursor, Span
from tests import oracles
from tests.producers.served import ServedZip

pytestmark = pytest.mark.integration

NOW = datetime(2025, 3, 1, 6, 30, tzinfo=UTC)
PRESENT, SINCE_2000 = Span(date(2020, 1, 1)), Span(date(2000, 1, 1))
"""Of these series one request may span ten years: all of the first is the newest window, the second has two more."""

SERIES = ("1", "12", "432", "11", "226", "10813")
SGS = sources.load("bcb_sgs")


def resources(today, span):
    """Six daily series, in the order of SERIES."""
    by_name = {each.name: each for each in SGS.resources(today, span)}
    return [by_name[name] for name in SERIES]


SIX = replace(SGS, resources=resources)


class ServedSeries:
    """Six series, each answering with one value on the first day of the window.

    Attributes:
        failing: (series, first day of a window, `*` any) → the status with which it answers for ever.
        asked: (series, year in which the window begins), in order.
    """

    def __init__(self, server) -> None:
        self.failing: dict[tuple[str, str], int] = {}
        self.asked: list[tuple[str, int]] = []
        for name in SERIES:
            server.expect_request(f"/bcdata.sgs.{name}/dados").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        name, day = request.path.split("/")[1].removeprefix("bcdata.sgs."), request.args["dataInicial"]
        self.asked.append((name, int(day[-4:])))
        status = self.failing.get((name, day)) or self.failing.get((name, "*")) or 200
        return Response(json.dumps([{"data": day, "valor": "1"}]) if status == 200 else "no", status)


@pytest.fixture(autouse=True)
def no_retries(monkeypatch) -> None:
    """A request that fails is not repeated."""
    monkeypatch.setattr("producers.fetch.http.ATTEMPTS", 1)


@pytest.fixture
def served(httpserver) -> ServedSeries:
    return ServedSeries(httpserver)


@pytest.fixture
def run(target, httpserver) -> Callable[..., poll.Outcome]:
    """Poll at the scripted server."""
    base_url = httpserver.url_for("/")
    return lambda span, source=SIX: poll.poll(source, target, now=lambda: NOW, base_url=base_url, span=span)


def published(target) -> set[str]:
    """Series of which a value is in Kafka."""
    return {str(record.fields["series_code"]) for record in oracles.read(target.bootstrap, target.prefix, "bcb_sgs")}


def missing(target, wanted: set[str]) -> list[str]:
    return [f"nothing of series {name} is published" for name in sorted(wanted - published(target))]


@pytest.mark.parametrize("status", [400, 403, 500], ids=["refused", "forbidden", "away"])
def test_a_resource_that_fails_for_ever_keeps_no_other_back_and_is_named(run, served, target, status):
    served.failing["12", "*"] = status
    outcome = run(PRESENT)
    assert published(target) == {*SERIES} - {"12"}
    assert outcome.tally.failed == ["12"]
    assert str(status) in str(outcome.error)
    assert outcome.tally.has_answered, "the source is not away: no circuit opens"


def test_control_a_poll_that_ends_at_the_first_failure_leaves_the_later_ones_out(
    run, served, target, monkeypatch, control
):
    served.failing["12", "*"] = 500
    healthy = {*SERIES} - {"12"}
    run(PRESENT)
    control.holds(missing, target, healthy)
    monkeypatch.setattr(steps, "MOST_IN_A_ROW", 1)
    served.asked.clear()
    run(PRESENT)

    def unasked(asked: set[str]) -> list[str]:
        return [f"series {name} was not even asked for" for name in sorted(healthy - asked)]

    control.holds(unasked, {*SERIES})
    control.objects(unasked, {name for name, _ in served.asked}, damage="was not even asked for")


def test_three_failures_in_a_row_count_as_a_failure_of_the_source(run, served):
    served.failing |= {(name, "*"): 500 for name in SERIES[1:4]}
    outcome = run(PRESENT)
    assert [name for name, _ in served.asked] == [*SERIES[:4]]
    assert outcome.tally.failed == [*SERIES[1:4]]
    assert not outcome.tally.has_answered


def test_the_present_of_every_resource_is_asked_before_the_history_of_any(run, served):
    outcome = run(SINCE_2000)
    assert outcome.error is None
    assert served.asked[: len(SERIES)] == [(name, 2019) for name in SERIES]
    assert served.asked[len(SERIES) :] == [(name, year) for name in SERIES for year in (2000, 2009)]


def stale(served: ServedSeries) -> list[str]:
    asked = {name for name, year in served.asked if year == 2019}
    return [f"the present of series {name} was not asked for" for name in SERIES if name not in asked]


def test_control_with_each_resource_s_history_before_the_next_one_s_present_the_last_ones_stay_old(
    run, served, monkeypatch, control
):
    """History fails for every series, the present for none."""
    served.failing |= {(name, day): 500 for name in SERIES for day in ("01/01/2000", "29/12/2009")}
    outcome = run(SINCE_2000)
    assert (outcome.tally.failed, outcome.tally.rows) == ([*SERIES[:3]], len(SERIES))
    control.holds(stale, served)

    served.asked.clear()
    monkeypatch.setattr(poll.Session, "is_live", property(lambda session: False))
    run(SINCE_2000)
    control.objects(stale, served, damage="the present of series 10813 was not asked for")


def test_a_window_of_history_that_fails_for_ever_keeps_no_later_one_back(run, served, target):
    served.failing["1", "01/01/2000"] = 500
    outcome = run(SINCE_2000)
    assert ("1", 2009) in served.asked
    assert outcome.tally.failed == ["1"]
    assert any(problem.startswith("1 2000-01-01..") for problem in outcome.tally.problems)
    served.asked.clear()
    run(SINCE_2000)
    assert [year for name, year in served.asked if name == "1"] == [2019, 2000]
    assert oracles.problems(target.bootstrap, target.prefix, SGS.datasets) == []


# A zip whose history is widened

MOBILE = sources.load("anatel_mobile_accesses")
HEADER = (
    "CNPJ;Empresa;Grupo Econômico;Porte da Prestadora;UF;Município;Código IBGE Município;Código Nacional;"
    "Modalidade de Cobrança;Tecnologia;Tecnologia Geração;Tipo de Pessoa;Tipo de Produto"
)


def half_year(*months: str) -> bytes:
    """A wide member of one row."""
    row = "12345678000195;UMA;UMA;PEQUENO;BA;Salvador;2927408;71;PRÉ-PAGO;LTE;4G;Pessoa Física;VOZ+DADOS"
    text = f"{HEADER};{';'.join(months)}\r\n{row};{';'.join('7' for _ in months)}\r\n"
    return b"\xef\xbb\xbf" + text.encode()


@pytest.fixture
def accesses(httpserver) -> ServedZip:
    served = ServedZip(httpserver, "/acessos/acessos_telefonia_movel.zip")
    served.put(
        {
            f"Acessos_Telefonia_Movel_{year}01-{year}06_Colunas.csv": half_year(f"{year}-01", f"{year}-06")
            for year in (2020, 2021, 2022)
        }
    )
    return served


NARROW, WIDE, WIDEST = (Span(date(year, 1, 1)) for year in (2022, 2021, 2020))


def unasked_history(outcome: poll.Outcome) -> list[str]:
    return [] if outcome.tally.rows else ["earlier months are wanted, and nothing of them was published"]


def test_a_history_that_begins_earlier_is_published_at_the_next_poll_of_the_same_zip(run, accesses, target):
    assert run(NARROW, MOBILE).tally.rows == 2
    assert run(NARROW, MOBILE).tally.rows == 0
    widened = run(WIDE, MOBILE)
    assert (widened.error, widened.tally.rows, widened.tally.unchanged_parts) == (None, 2, 1)
    rows = oracles.read(target.bootstrap, target.prefix, MOBILE.name)
    assert {row.fields["published_at_basis"] for row in rows} == {"assumed_lag"}, "history is dated as history"
    accesses.spans.clear()
    assert [run(span, MOBILE).tally.rows for span in (WIDE, NARROW)] == [0, 0]
    assert accesses.spans == [], "neither again nor for a history that begins later"
    assert oracles.problems(target.bootstrap, target.prefix, MOBILE.datasets) == []


def test_control_by_its_validators_alone_a_zip_that_was_read_for_less_is_never_read_for_more(
    run, accesses, monkeypatch, control
):
    run(NARROW, MOBILE)
    control.holds(unasked_history, run(WIDE, MOBILE))
    monkeypatch.setattr(Cursor, "read_since", property(lambda cursor: date.min, lambda cursor, day: None))
    control.objects(unasked_history, run(WIDEST, MOBILE), damage="nothing of them was published")

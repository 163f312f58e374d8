"""IBGE's and the Banco Central's services, polled into the real broker: publication clocks, backfills, refusals."""

import json
from collections import Counter
from datetime import UTC, date, datetime

import pytest
from werkzeug import Response

from foundation.errors import CorrentezaError, DependencyUnavailable, InvalidContent
from producers import poll, sources
from producers.model import Source, Span
from producers.sources import ibge_sidra
from replay import ptax
from replay.server import serve
from tests import oracles
from tests.controls import differs

pytestmark = pytest.mark.integration

SIDRA, PTAX, SGS = (sources.load(name) for name in ("ibge_sidra", "bcb_ptax", "bcb_sgs"))
NOW = datetime(2025, 11, 12, 15, tzinfo=UTC)


def polled(source: Source, target: poll.Services, span: Span, days=(1, 2, 3)) -> list[int]:
    """Rows published on each day."""
    rows = []
    with serve(day=1) as replay:
        for day in days:
            replay.set_day(day)
            outcome = poll.poll(source, target, now=lambda: NOW, base_url=replay.base_urls[source.name], span=span)
            assert outcome.error is None, outcome.tally.problems
            rows.append(outcome.tally.rows)
    return rows


def fields(target: poll.Services, dataset: str) -> list[dict]:
    return [record.fields for record in oracles.read(target.bootstrap, target.prefix, dataset)]


def test_what_sidra_releases_is_dated_by_the_day_of_its_change_and_history_by_its_lag(target):
    history, october, nothing = polled(SIDRA, target, Span(date(2025, 1, 1)))
    assert (october, nothing) == (2, 0)  # IPCA and INPC
    ipca = {
        row["period_code"]: (row["published_at"], row["published_at_basis"])
        for row in fields(target, "ibge_sidra")
        if row["table_id"] == 1737 and row["variable_code"] == "63"
    }
    assert ipca["202510"] == (datetime(2025, 11, 11, 12, tzinfo=UTC), "api_field")
    # The newest of history came out before its lag had passed: the day of the change is the better clock.
    assert ipca["202509"] == (datetime(2025, 10, 10, 12, tzinfo=UTC), "api_field")
    assert ipca["202508"] == (datetime(2025, 9, 16, tzinfo=UTC), "assumed_lag")
    assert history > 30
    assert oracles.problems(target.bootstrap, target.prefix, SIDRA.datasets) == []


def test_a_backfill_of_sidra_brings_the_periods_that_end_before_the_live_schedules(target):
    live = polled(SIDRA, target, Span(date(2025, 1, 1)), days=[1])
    monthly, capitals = 12 + 12 + 12 + 12, 27
    backfilled = polled(SIDRA, target, Span(date(2024, 1, 1), date(2024, 12, 31)), days=[1, 1])
    assert backfilled == [monthly + capitals, 0]
    rows = fields(target, "ibge_sidra")
    assert len(rows) == live[0] + monthly + capitals
    assert Counter(row["period_code"][:4] for row in rows)["2024"] == monthly + capitals


def test_ptax_publishes_each_bulletin_once_and_again_only_with_its_window(target):
    first, second, third = polled(PTAX, target, Span(date(2020, 1, 1)))
    assert first == len(ptax._load("20251110")["value"])
    assert 0 < second < 30
    assert third == 0
    rows = fields(target, "bcb_ptax")
    distinct = {(row["quoted_at"], row["bulletin_type"]) for row in rows}
    assert len(distinct) == len(ptax._load("20251111")["value"])


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html><head><title>Request Rejected</title></head></html>", InvalidContent),
        (403, b"<!DOCTYPE html><title>Just a moment...</title>", DependencyUnavailable),
        (400, b"Quantidade de valores solicitados: 150000 excedeu o limite: 100000", CorrentezaError),
        (200, b'[{"NC":"1","V":"0.1"}]', InvalidContent),
    ],
    ids=["firewall", "cloudflare", "too many values", "no header"],
)
def test_a_refusal_of_sidra_is_an_error_of_its_class_and_publishes_nothing(target, httpserver, status, body, error):
    periods = json.dumps([{"id": "202510", "literals": ["outubro 2025"], "modificacao": "11/11/2025"}])

    def answer(request):
        if request.path.endswith("/periodos"):
            return Response(periods, 200, content_type="application/json")
        return Response(body, status)

    httpserver.expect_request("").respond_with_handler(answer)
    outcome = poll.poll(SIDRA, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=Span(date(2025, 1, 1)))
    assert isinstance(outcome.error, error)
    assert outcome.tally.rows == 0


def test_a_revised_series_is_published_whole_under_one_clock_and_an_equal_answer_not_at_all(target, httpserver):
    """IBC-Br, seasonally adjusted: a new month changes every month before it."""
    vintages = [
        {date(2015 + n // 12, n % 12 + 1, 1): f"{level + n / 10:.2f}" for n in range(months)}
        for level, months in ((100, 129), (99, 130))
    ]
    served = dict(vintages[0])

    def answer(request):
        if "bcdata.sgs.24364/" not in request.path:
            return Response('{"erro":{"statusCode":404,"detail":"Value(s) not found"}}', 404)
        first, last = (
            datetime.strptime(request.args[name], "%d/%m/%Y").date() for name in ("dataInicial", "dataFinal")
        )
        items = [{"data": f"{on:%d/%m/%Y}", "valor": value} for on, value in served.items() if first <= on <= last]
        return Response(json.dumps(items), 200, content_type="application/json")

    httpserver.expect_request("").respond_with_handler(answer)

    def rows() -> int:
        span = Span(date(2015, 1, 1))
        outcome = poll.poll(SGS, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=span)
        assert outcome.error is None, outcome.tally.problems
        return outcome.tally.rows

    assert [rows(), rows()] == [129, 0]
    served.update(vintages[1])
    assert [rows(), rows()] == [130, 0]
    revised = [row for row in fields(target, "bcb_sgs") if row["published_at_basis"] == "none"]
    assert {row["reference_on"]: f"{row['value']:.2f}" for row in revised} == vintages[1]
    assert len({row["retrieved_at"] for row in revised}) == 1


def unasked_periods(target: poll.Services, span: Span, expected: int) -> list[str]:
    """The oracle: a poll whose history begins earlier publishes what was lacking, and the next one nothing."""
    rows = polled(SIDRA, target, span, days=[1, 1])
    return differs(rows, [expected, 0])


def test_control_a_sidra_history_that_begins_earlier_is_asked_for_at_the_next_poll(target, monkeypatch, control):
    polled(SIDRA, target, Span(date(2025, 7, 1)), days=[1])
    before = Counter(row["table_id"] for row in fields(target, "ibge_sidra"))
    lacking = 3 * 3  # months, tables
    control.holds(unasked_periods, target, Span(date(2025, 4, 1)), lacking)
    grown = Counter(row["table_id"] for row in fields(target, "ibge_sidra")) - before
    assert set(grown) <= {1737, 7060, 7062, 1736}
    ipca = [row for row in fields(target, "ibge_sidra") if row["table_id"] == 1737]
    known_on = {row["period_code"]: row["published_at"].date() for row in ipca if row["period_code"] < "202507"}
    assert max(known_on.values()) < date(2025, 7, 17), "history is dated as history"
    assert oracles.problems(target.bootstrap, target.prefix, SIDRA.datasets) == []
    monkeypatch.setattr(ibge_sidra, "_plan_earlier", lambda *_: iter(()))
    control.objects(unasked_periods, target, Span(date(2025, 1, 1)), lacking, damage="[0, 0] instead of")

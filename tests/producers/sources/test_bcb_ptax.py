"""PTAX: bulletins of a currency, their instants, and what the service answers when there is none."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest

from foundation.errors import InvalidContent
from producers.model import BadValueError, Part, Progress, RejectReason, Span
from producers.sources.bcb_ptax import CURRENCIES, SOURCE, instant, parse
from replay.content import DATA
from tests.records import RETRIEVED_AT

FIRST, SECOND = (DATA / "ptax" / f"subset_ptax_usd_{day}.json" for day in ("20251110", "20251111"))


def parsed(body, currency="USD", **options):
    part = Part(currency, "2020-01-01..", "", RETRIEVED_AT)
    chunks = list(parse([body if isinstance(body, bytes) else body.encode()], part, **options))
    rows = [row for chunk in chunks for row in chunk.records["bcb_ptax"].to_pylist()]
    return rows, [reject for chunk in chunks for reject in chunk.rejects]


def bulletin(**fields):
    item = {
        "paridadeCompra": 1.0,
        "paridadeVenda": 1.0,
        "cotacaoCompra": 5.3175,
        "cotacaoVenda": 5.3181,
        "dataHoraCotacao": "2025-11-10 13:03:31.138",
        "tipoBoletim": "Fechamento",
    }
    return json.dumps({"value": [item | fields]})


@pytest.mark.parametrize("file", [FIRST, SECOND], ids=["10 Nov", "11 Nov"])
def test_every_value_of_a_sample_is_the_files(file):
    """Read by the standard library: decimals from the text, instants by a fixed three hours, no summer time in them."""
    items = json.loads(file.read_text(), parse_float=Decimal)["value"]
    rows, rejects = parsed(file.read_bytes())
    assert rejects == []
    assert rows == [
        {
            "currency_code": "USD",
            "quoted_at": datetime.strptime(item["dataHoraCotacao"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
            + timedelta(hours=3),
            "quoted_at_local": item["dataHoraCotacao"],
            "bulletin_type": item["tipoBoletim"],
            "buying_parity": item["paridadeCompra"],
            "selling_parity": item["paridadeVenda"],
            "buying_rate": item["cotacaoCompra"],
            "selling_rate": item["cotacaoVenda"],
            "row_number": number,
        }
        for number, item in enumerate(items)
    ]


def test_the_key_holds_on_the_samples_even_where_a_day_has_two_closings():
    rows, _ = parsed(SECOND.read_bytes())
    keys = {(row["quoted_at"], row["bulletin_type"]) for row in rows}
    closings = [
        row for row in rows if row["quoted_at_local"].startswith("2025-04-23") and "Fech" in row["bulletin_type"]
    ]
    assert len(keys) == len(rows)
    assert len(closings) == 2


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2025-11-10 13:03:31.138", "2025-11-10T16:03:31.138000"),
        ("2024-12-23 12:04:26.2", "2024-12-23T15:04:26.200000"),
        ("2024-12-23 10:09:29.06", "2024-12-23T13:09:29.060000"),
        ("2011-11-10 13:03:31", "2011-11-10T15:03:31"),  # summer time: two hours
        ("2018-11-05 13:03:31.1", "2018-11-05T15:03:31.100000"),  # the last summer time
        ("2019-11-05 13:03:31.1", "2019-11-05T16:03:31.100000"),  # none any more
        ("2018-02-17 23:30:00", "2018-02-18T01:30:00"),  # came twice; the first
        ("2018-11-04 00:30:00", "2018-11-04T03:30:00"),  # never came: as if the clock had not been put forward
    ],
)
def test_brasilias_wall_clock_becomes_utc_with_the_summer_time_of_its_year(local, utc):
    assert instant(local) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_a_fixed_offset_would_be_an_hour_off_in_a_past_summer():
    """The control: today's three hours, applied to 2011."""
    naive = datetime(2011, 11, 10, 13, 3, 31)
    assert instant("2011-11-10 13:03:31") != naive.replace(tzinfo=UTC) + timedelta(hours=3)
    assert instant("2011-11-10 13:03:31").astimezone(ZoneInfo("America/Sao_Paulo")).replace(tzinfo=None) == naive


@pytest.mark.parametrize(
    "local",
    ["2025-11-10", "10/11/2025 13:03", "2025-02-30 10:00:00", "2025-11-10 25:00:00", "0000-01-01 00:00:00", "x"],
)
def test_what_is_no_moment_is_refused(local):
    with pytest.raises(BadValueError) as refusal:
        instant(local)
    assert refusal.value.reason is RejectReason.BAD_DATE


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dataHoraCotacao": "10/11/2025"}, RejectReason.BAD_DATE),
        ({"dataHoraCotacao": None}, RejectReason.MISSING_VALUE),
        ({"tipoBoletim": " "}, RejectReason.MISSING_VALUE),
        ({"cotacaoCompra": "muito"}, RejectReason.BAD_NUMBER),
        ({"cotacaoCompra": [5.3]}, RejectReason.MALFORMED_ROW),
        ({"cotacaoVenda": "0.123456789"}, RejectReason.OUT_OF_RANGE),
    ],
)
def test_a_bad_bulletin_is_a_reject(fields, reason):
    rows, rejects = parsed(bulletin(**fields))
    assert rows == []
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(0, reason)]


def test_a_rate_that_is_not_there_is_null():
    (row,), rejects = parsed(bulletin(paridadeCompra=None, cotacaoVenda=None))
    assert (row["buying_parity"], row["selling_rate"], row["buying_rate"]) == (None, None, Decimal("5.3175"))
    assert rejects == []


def test_a_renamed_field_is_no_column_of_nulls_and_a_new_one_is_noted():
    body = bulletin(novidade=1).replace("cotacaoVenda", "venda")
    (chunk,) = parse([body.encode()], Part("USD", "k", "n", RETRIEVED_AT))
    assert [reject.reason for reject in chunk.rejects] == [RejectReason.MALFORMED_ROW]
    assert chunk.notes == ("fields nobody declared: novidade, venda",)


@pytest.mark.parametrize("currency", ["subset_ptax_usd", "usd", "", "US1"])
def test_a_body_without_a_currency_is_refused_and_the_option_named(currency):
    with pytest.raises(InvalidContent, match="--currency"):
        parsed(bulletin(), currency)


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"[]", b'{"value":{}}', b'{"codigo":500,"mensagem":"Erro"}'])
def test_what_is_no_answer_of_the_service_is_refused_whole(body):
    with pytest.raises(InvalidContent):
        parsed(body)


def test_an_empty_list_means_no_new_data_and_other_answers_do_not():
    assert SOURCE.is_no_news(200, b'{"@odata.context":"x","value":[]}')
    assert not SOURCE.is_no_news(200, bulletin().encode())
    assert not SOURCE.is_no_news(200, b"<html></html>")
    assert not SOURCE.is_no_news(404, b'{"value":[]}')


def asks(complete=(), body=None, *, today=date(2026, 1, 10)):
    resource = SOURCE.resources(today, Span(SOURCE.history_start))[0]
    progress = Progress(
        today, Span(date(2000, 1, 1)), frozenset(complete), lambda key: body, lambda key: None, lambda path, params: b""
    )
    return list(SOURCE.plan(resource, progress))


def test_the_question_is_spelled_as_the_service_documents_it_month_first():
    newest = asks()[0]
    assert newest.path == (
        "CotacaoMoedaPeriodo(moeda=@moeda,dataInicial=@dataInicial,dataFinalCotacao=@dataFinalCotacao)"
        "?@moeda='USD'&@dataInicial='12-27-2019'&@dataFinalCotacao='01-10-2026'&$format=json"
    )
    assert newest.params == {}


def test_no_day_of_history_is_asked_for_twice_or_left_out():
    bounds = [ask.path.split("'")[3::2] for ask in asks()]
    days = sorted([datetime.strptime(text, "%m-%d-%Y").date() for text in pair] for pair in bounds)
    assert days[0][0] == date(2000, 1, 1)
    assert days[-1][1] == date(2026, 1, 10)
    assert all(later[0] - earlier[1] == timedelta(days=1) for earlier, later in pairwise(days))


def test_later_polls_ask_from_five_days_before_the_newest_bulletin():
    known = [ask.key for ask in asks()]
    (again,) = asks(known, FIRST.read_bytes(), today=date(2025, 11, 14))
    assert again.key == known[0]
    assert "@dataInicial='11-05-2025'&@dataFinalCotacao='11-14-2025'" in unquote(again.path)


def test_a_moved_window_is_published_only_with_a_new_bulletin():
    former, body = FIRST.read_bytes(), SECOND.read_bytes()
    assert not SOURCE.repeats(former, body)
    assert SOURCE.repeats(body, former)


def test_dollar_and_euro_are_polled():
    assert CURRENCIES == ("USD", "EUR")
    assert [each.name for each in SOURCE.resources(date(2026, 1, 1), Span(date(2000, 1, 1)))] == ["USD", "EUR"]


def test_a_bulletin_is_public_minutes_after_its_own_time():
    chunk = next(parse([bulletin().encode()], Part("USD", "k", "n", RETRIEVED_AT)))
    publication = SOURCE.publication["bcb_ptax"]
    ends = publication.period_end(chunk.records["bcb_ptax"]).to_pylist()
    assert ends == [datetime(2025, 11, 10, 16, 3, 31, 138000, tzinfo=UTC)]
    assert timedelta(0) < publication.lag(Part("USD", "k", "n", RETRIEVED_AT)) <= timedelta(minutes=30)

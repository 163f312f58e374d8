"""SGS: bodies, windows, and what the source answers when it has nothing new."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from foundation.errors import InvalidContent
from producers.model import Part, Progress, RejectReason, Span
from producers.sources import bcb_sgs
from producers.sources.bcb_sgs import SOURCE, parse
from replay.content import DATA
from stream_jobs.gold.tables.dim_economic_series import SERIES as DESCRIBED
from tests.records import RETRIEVED_AT

DOLLAR = DATA / "sgs" / "sgs_1_usd_venda_2020-11-03_2025-10-31.json"
OPEN = "2019-12-27.."
SELIC = DATA / "sgs" / "sgs_432_meta_selic_2015-01-01_2025-11-11_wrapped.json"
NOT_FOUND = b'{"erro":{"statusCode":404,"detail":"br.gov.bcb.pec.sgs.SGSNegocioException: Value(s) not found"}}'


def parsed(body: bytes | str, series: str = "1", **options):
    chunks = list(
        parse([body if isinstance(body, bytes) else body.encode()], Part(series, OPEN, OPEN, RETRIEVED_AT), **options)
    )
    rows = [row for chunk in chunks for row in chunk.records["bcb_sgs"].to_pylist()]
    return rows, [reject for chunk in chunks for reject in chunk.rejects]


@pytest.mark.parametrize(("file", "series"), [(DOLLAR, 1), (SELIC, 432)], ids=["1", "432"])
def test_every_value_of_a_sample_is_the_files(file, series):
    loaded = json.loads(file.read_text())
    items = loaded["data"] if isinstance(loaded, dict) else loaded
    rows, rejects = parsed(file.read_bytes(), str(series))
    assert rejects == []
    assert rows == [
        {
            "series_code": series,
            "reference_on": datetime.strptime(item["data"], "%d/%m/%Y").date(),
            "reference_end_on": None,
            "value": Decimal(item["valor"]),
            "row_number": number,
        }
        for number, item in enumerate(items)
    ]


@pytest.mark.parametrize("spelling", ["datafim", "dataFim"])
def test_the_end_of_a_period_is_read_where_a_series_has_one(spelling):
    (row,), _ = parsed(f'[{{"data":"01/03/2024","{spelling}":"01/04/2024","valor":"0.0331"}}]', "226")
    assert (row["reference_on"], row["reference_end_on"]) == (date(2024, 3, 1), date(2024, 4, 1))


def test_no_value_is_null_in_both_spellings():
    rows, rejects = parsed('[{"data":"01/03/2024","valor":null},{"data":"02/03/2024","valor":""}]')
    assert [row["value"] for row in rows] == [None, None]
    assert rejects == []


def test_thirteen_decimals_are_kept_and_fourteen_are_refused_not_rounded():
    rows, rejects = parsed(
        '[{"data":"01/01/1980","valor":"0.0000000076183"},{"data":"02/01/1980","valor":"0.00000000761834"}]'
    )
    assert [row["value"] for row in rows] == [Decimal("0.0000000076183")]
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, RejectReason.OUT_OF_RANGE)]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ('{"data":"2024-02-30","valor":"1"}', RejectReason.BAD_DATE),
        ('{"data":"01/03/2024","valor":"1e3"}', RejectReason.BAD_NUMBER),
        ('{"data":"01/03/2024","valor":"NaN"}', RejectReason.BAD_NUMBER),
        ('{"data":"01/03/2024"}', RejectReason.MALFORMED_ROW),
        ('{"data":"01/03/2024","valor":["1"]}', RejectReason.MALFORMED_ROW),
        ('"01/03/2024"', RejectReason.MALFORMED_ROW),
        ("null", RejectReason.MALFORMED_ROW),
    ],
)
def test_a_bad_item_is_a_reject_in_its_place(item, reason):
    rows, rejects = parsed(f'[{{"data":"01/03/2024","valor":"1"}},{item},{{"data":"03/03/2024","valor":"3"}}]')
    assert [row["row_number"] for row in rows] == [0, 2]
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, reason)]


@pytest.mark.parametrize(
    "body", [b"", b"<html></html>", b'{"error":"10 anos"}', b"1", b"\xff\xfe", b"[" * 100_000, NOT_FOUND]
)
def test_what_is_no_array_of_items_is_refused_whole(body):
    with pytest.raises(InvalidContent):
        parsed(body)


def test_an_empty_window_is_neither_new_data_nor_a_failure():
    assert SOURCE.is_no_news(404, NOT_FOUND)
    assert SOURCE.is_no_news(200, NOT_FOUND)
    assert SOURCE.is_no_news(200, b" [] ")


@pytest.mark.parametrize(("status", "body"), [(404, b"<html>no such page</html>"), (406, NOT_FOUND), (200, b"[1]")])
def test_other_refusals_are_not_taken_for_an_empty_window(status, body):
    assert not SOURCE.is_no_news(status, body)


def windows(complete=(), body=None, *, today=date(2026, 1, 10), series="1"):
    resource = next(each for each in SOURCE.resources(today, Span(SOURCE.history_start)) if each.name == series)
    progress = Progress(
        today, Span(date(2000, 1, 1)), frozenset(complete), lambda key: body, lambda key: None, lambda path, params: b""
    )
    return [(ask.key, ask.params["dataInicial"], ask.params["dataFinal"]) for ask in SOURCE.plan(resource, progress)]


def test_history_is_asked_after_the_present_in_cuts_of_less_than_ten_years_oldest_first():
    assert windows() == [
        (OPEN, "27/12/2019", "10/01/2026"),
        ("2000-01-01..2009-12-28", "01/01/2000", "28/12/2009"),
        ("2009-12-29..2019-12-26", "29/12/2009", "26/12/2019"),
    ]


HISTORY = ("2000-01-01..2009-12-28", "2009-12-29..2019-12-26", OPEN)


def test_later_polls_ask_from_before_the_newest_value_not_from_before_today():
    """A series (or a poller) that was down for a year leaves no gap."""
    body = b'[{"data":"02/01/2025","valor":"1"},{"data":"03/01/2025","valor":"2"}]'
    assert windows(HISTORY, body) == [(OPEN, "05/10/2024", "10/01/2026")]


def test_monthly_series_ask_two_years_back():
    body = b'[{"data":"01/12/2025","valor":"1"}]'
    first = (date(2025, 12, 1) - timedelta(days=730)).strftime("%d/%m/%Y")
    assert windows(HISTORY, body, series="433") == [(OPEN, first, "10/01/2026")]


REVISED = [series for series in bcb_sgs.SERIES if series.is_revised]


def test_series_that_are_revised_whole_are_those_that_the_dimension_says_are():
    assert {series.code for series in REVISED} == {row[0] for row in DESCRIBED if row[-1]}


def test_no_daily_series_is_asked_whole_for_those_have_a_limit_of_ten_years():
    assert {series.frequency for series in REVISED} == {"M", "Q"}
    assert date(2000, 1, 1) + bcb_sgs._WHOLE > date(2090, 1, 1)


VINTAGES = [
    # Twelve years of an adjusted index, 2014 to 2025; then the same with one more month, and with every value revised.
    {date(2014 + n // 12, n % 12 + 1, 1): f"{100 + n / 10:.2f}" for n in range(144)},
    {date(2014 + n // 12, n % 12 + 1, 1): f"{99 + n / 10:.2f}" for n in range(145)},
]


def known_after(vintages, series="24364"):
    """What a reader of the newest rows knows after a poll of each vintage, and the answers that were asked for."""
    resource = next(each for each in SOURCE.resources(date(2026, 1, 10), SPAN) if each.name == series)
    parts: dict[str, bytes] = {}
    known, asked = {}, []
    for month, vintage in enumerate(vintages, 1):
        today = date(2026, month, 10)
        progress = Progress(today, SPAN, frozenset(parts), parts.get, lambda key: None, lambda path, params: b"")
        for ask in SOURCE.plan(resource, progress):
            first, last = (
                datetime.strptime(ask.params[name], "%d/%m/%Y").date() for name in ("dataInicial", "dataFinal")
            )
            items = [{"data": f"{on:%d/%m/%Y}", "valor": v} for on, v in vintage.items() if first <= on <= last]
            body = json.dumps(items).encode()
            asked.append(ask.key)
            if ask.key in parts and SOURCE.repeats(parts[ask.key], body):
                continue
            parts[ask.key] = body
            known |= {item["data"]: item["valor"] for item in items}
    return {datetime.strptime(day, "%d/%m/%Y").date(): value for day, value in known.items()}, asked


SPAN = Span(date(2014, 1, 1))


def test_a_revised_series_is_never_a_mixture_of_two_vintages():
    known, asked = known_after(VINTAGES)
    assert known == VINTAGES[1]
    assert asked == ["2014-01-01..", "2014-01-01.."]


def test_asked_by_recent_windows_it_would_be_one(monkeypatch):
    """The control: without the declaration the first years stay as the first vintage had them."""
    plain = {code: replace(series, is_revised=False) for code, series in bcb_sgs._DECLARED.items()}
    monkeypatch.setattr(bcb_sgs, "_DECLARED", plain)
    known, _ = known_after(VINTAGES)
    assert known[date(2014, 1, 1)] == VINTAGES[0][date(2014, 1, 1)] != VINTAGES[1][date(2014, 1, 1)]
    assert known[date(2025, 1, 1)] == VINTAGES[1][date(2025, 1, 1)]


def test_a_revision_that_spares_the_recent_window_is_found_too():
    old = VINTAGES[0] | {date(2016, 5, 1): "55.55"}
    assert known_after([VINTAGES[0], old])[0] == old


def test_a_whole_series_that_did_not_change_repeats_the_former_answer():
    body = json.dumps([{"data": f"{on:%d/%m/%Y}", "valor": value} for on, value in VINTAGES[0].items()]).encode()
    assert SOURCE.repeats(body, body)


ITEMS = ['{"data":"01/03/2024","valor":"1"}', '{"data":"02/03/2024","valor":"2"}', '{"data":"03/03/2024","valor":"3"}']


@pytest.mark.parametrize(
    ("body", "repeats"),
    [
        (f"[{','.join(ITEMS)}]", True),
        (f"[{','.join(ITEMS[1:])}]", True),
        (f"[ {ITEMS[2]} , {ITEMS[1]} ]", True),
        (f"[{','.join(ITEMS)},{ITEMS[2].replace('03/03', '04/03')}]", False),
        (f"[{ITEMS[1]}]".replace('"2"', '"2.5"'), False),
        ("<html>", False),
    ],
)
def test_a_window_that_slid_without_a_new_or_changed_value_repeats_the_former(body, repeats):
    assert SOURCE.repeats(f"[{','.join(ITEMS)}]".encode(), body.encode()) is repeats


@pytest.mark.parametrize(
    ("series", "day", "end"),
    [("1", "29/02/2024", (2024, 3, 1)), ("433", "01/12/2024", (2025, 1, 1)), ("22099", "01/10/2024", (2025, 1, 1))],
)
def test_a_period_ends_at_the_midnight_after_it(series, day, end):
    chunk = next(parse([f'[{{"data":"{day}","valor":"1"}}]'.encode()], Part(series, OPEN, OPEN, RETRIEVED_AT)))
    ends = SOURCE.publication["bcb_sgs"].period_end(chunk.records["bcb_sgs"])
    assert ends.to_pylist() == [datetime(*end, tzinfo=UTC)]

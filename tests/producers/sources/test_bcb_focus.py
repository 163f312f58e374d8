"""Focus. No real body is known: every body here is built from descriptions of the service."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from foundation.errors import InvalidContent
from producers.model import Part, Progress, RejectReason, Span
from producers.sources import bcb_focus
from producers.sources.bcb_focus import RESOURCES, SOURCE, parse
from replay import focus
from schemas.contracts import load
from tests.records import RETRIEVED_AT

MONTHLY, YEARLY, SELIC = "ExpectativaMercadoMensais", "ExpectativasMercadoAnuais", "ExpectativasMercadoSelic"


def built(resource, first=date(2025, 10, 20), last=date(2025, 10, 31)):
    days = f"Data ge '{first}' and Data le '{last}'"
    return focus.answer(
        resource, {"$filter": days, "$orderby": "Data desc", "$top": "50000", "$format": "json"}, 1
    ).body


def parsed(body, resource=MONTHLY, **options):
    chunks = list(parse([body], Part(resource, "k", "n", RETRIEVED_AT), **options))
    rows = [row for chunk in chunks for row in chunk.records["bcb_focus"].to_pylist()]
    rejects = [reject for chunk in chunks for reject in chunk.rejects]
    return rows, rejects, {note for chunk in chunks for note in chunk.notes}


def body(*items, context=""):
    return json.dumps({"@odata.context": f"https://internal/$metadata#{context}", "value": items}).encode()


ITEM = {
    "Indicador": "IPCA",
    "Data": "2025-11-07",
    "DataReferencia": "2026",
    "Media": 4.21,
    "Mediana": 4.2,
    "Minimo": 3.5,
    "Maximo": 5.0,
    "DesvioPadrao": 0.3,
    "numeroRespondentes": 120,
    "baseCalculo": 0,
}


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_value_of_a_built_body_is_the_bodys(resource):
    content = built(resource)
    items = json.loads(content, parse_float=Decimal)["value"]
    rows, rejects, notes = parsed(content, resource)
    assert rejects == []
    assert notes == set()
    assert len(items) > 20
    assert rows == [
        {
            "resource": resource,
            "indicator": item["Indicador"],
            "indicator_detail": item.get("IndicadorDetalhe"),
            "surveyed_on": date.fromisoformat(item["Data"]),
            "reference_period": item.get("Reuniao" if resource == SELIC else "DataReferencia"),
            "base_calculation": item["baseCalculo"],
            "smoothed": item.get("Suavizada"),
            "calculation_type": item.get("tipoCalculo"),
            "mean": item["Media"],
            "median": item["Mediana"],
            "standard_deviation": item["DesvioPadrao"],
            "minimum": item["Minimo"],
            "maximum": item["Maximo"],
            "respondents": item["numeroRespondentes"],
            "row_number": number,
        }
        for number, item in enumerate(items)
    ]


def test_one_resource_is_spelled_in_the_singular():
    assert [name for name in RESOURCES if name.startswith("ExpectativaMercado")] == [MONTHLY]
    assert "ExpectativasMercadoInstituicoes" not in RESOURCES


def test_both_bases_of_a_statistic_are_records_of_their_own():
    rows, _, _ = parsed(body(ITEM, ITEM | {"baseCalculo": 1, "Mediana": 4.1}), YEARLY)
    assert [(row["base_calculation"], row["median"]) for row in rows] == [(0, Decimal("4.2")), (1, Decimal("4.1"))]
    without_base = [{name: row[name] for name in ("indicator", "surveyed_on", "reference_period")} for row in rows]
    assert without_base[0] == without_base[1]


MEETINGS = [
    {"Indicador": "Selic", "Data": "2025-11-07", "Reuniao": meeting, "Media": 14.9, "Mediana": median, "Minimo": 14,
     "Maximo": 15.5, "numeroRespondentes": respondents, "baseCalculo": base}
    for meeting, median in (("R8/2025", 15.0), ("R1/2026", 14.75)) for base, respondents in ((0, 151), (1, 61))
]  # fmt: skip


def test_the_selic_is_expected_by_meeting_each_with_its_own_respondents_and_base():
    rows, rejects, notes = parsed(body(*MEETINGS), SELIC)
    assert (rejects, notes) == ([], {"absent fields, null here: desviopadrao"})
    assert [(row["reference_period"], row["base_calculation"], row["respondents"], row["median"]) for row in rows] == [
        ("R8/2025", 0, 151, Decimal("15.0")),
        ("R8/2025", 1, 61, Decimal("15.0")),
        ("R1/2026", 0, 151, Decimal("14.75")),
        ("R1/2026", 1, 61, Decimal("14.75")),
    ]


def test_every_expectation_of_a_day_has_a_key_of_its_own():
    key = load("bcb_focus").key
    for resource in RESOURCES:
        rows, _, _ = parsed(built(resource), resource)
        assert len({tuple(row[name] for name in key) for row in rows}) == len(rows), resource


@pytest.mark.parametrize("wrong", ["absent", "null", "blank", "under another resource's name"])
@pytest.mark.parametrize(("resource", "name", "other"), [
    (MONTHLY, "DataReferencia", "Reuniao"), (YEARLY, "DataReferencia", "Reuniao"), (SELIC, "Reuniao", "DataReferencia"),
])  # fmt: skip
def test_an_expectation_without_a_subject_is_a_reject_and_no_version_of_another(resource, name, other, wrong):
    """Without its period or meeting, the rows of a day would have one key."""
    item = {field: value for field, value in MEETINGS[0].items() if field != "Reuniao"}
    item |= {"absent": {}, "null": {name: None}, "blank": {name: " "}}.get(wrong, {other: "R8/2025"})
    rows, (reject,), _ = parsed(body(item), resource)
    assert rows == []
    assert name.lower() in reject.detail


def test_the_moving_twelve_months_are_about_no_period():
    (row,), rejects, _ = parsed(body({**MEETINGS[0], "Suavizada": "N"}), "ExpectativasMercadoInflacao12Meses")
    assert (row["reference_period"], row["smoothed"], rejects) == (None, "N", [])


def test_fields_are_found_whatever_their_case():
    (row,), _, notes = parsed(body({name.upper(): value for name, value in ITEM.items()}), YEARLY)
    assert (row["indicator"], row["median"], row["base_calculation"]) == ("IPCA", Decimal("4.2"), 0)
    assert notes == set()


def test_an_undeclared_field_is_noted_and_the_coefficient_of_variation_is_not():
    _, _, notes = parsed(body(ITEM | {"CoeficienteVariacao": 1.2, "novidade": 1}), YEARLY)
    assert notes == {"fields nobody declared: novidade"}


def test_a_statistic_that_was_renamed_is_no_column_of_nulls():
    item = {"mediano" if name == "Mediana" else name: value for name, value in ITEM.items()}
    rows, rejects, _ = parsed(body(item), YEARLY)
    assert rows == []
    assert [reject.reason for reject in rejects] == [RejectReason.MALFORMED_ROW]


@pytest.mark.parametrize("context", [YEARLY, f"{YEARLY}(Indicador,Data,Media)", f"{YEARLY}(*)"])
def test_a_context_with_the_fields_asked_for_names_the_resource(context):
    (row,), _, _ = parsed(body(ITEM, context=context), "focus_2025")
    assert row["resource"] == YEARLY


def test_a_field_twice_in_other_letters_is_refused():
    rows, rejects, _ = parsed(body(ITEM | {"mediana": 9}), YEARLY)
    assert rows == []
    assert [reject.reason for reject in rejects] == [RejectReason.MALFORMED_ROW]


def test_the_bodys_own_context_names_the_resource_of_a_local_file():
    (row,), _, _ = parsed(body(ITEM, context=YEARLY), "focus_2025")
    assert row["resource"] == YEARLY


@pytest.mark.parametrize("content", [body(ITEM), b"", b"<html></html>", b"[]", b'{"value":1}'])
def test_what_belongs_to_no_resource_or_is_no_answer_is_refused_whole(content):
    with pytest.raises(InvalidContent):
        parsed(content, "focus_2025")


def test_an_answer_as_long_as_may_be_is_refused_for_there_may_be_more(monkeypatch):
    monkeypatch.setattr(bcb_focus, "MOST_ROWS", 3)
    assert len(parsed(body(ITEM, ITEM), YEARLY)[0]) == 2
    with pytest.raises(InvalidContent, match="there may be more"):
        parsed(body(ITEM, ITEM, ITEM), YEARLY)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Indicador": None}, RejectReason.MISSING_VALUE),
        ({"Data": "07/13/2025"}, RejectReason.BAD_DATE),
        ({"Mediana": "alta"}, RejectReason.BAD_NUMBER),
        ({"baseCalculo": -1}, RejectReason.OUT_OF_RANGE),
        ({"Suavizada": ["S"]}, RejectReason.MALFORMED_ROW),
    ],
)
def test_a_bad_row_is_a_reject_in_its_place(fields, reason):
    rows, rejects, _ = parsed(body(ITEM, ITEM | fields), YEARLY)
    assert len(rows) == 1
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, reason)]


def asks(complete=(), former=None, newest=b"", *, today=date(2025, 11, 10), name=MONTHLY):
    resource = next(each for each in SOURCE.resources(today, Span(date(2025, 6, 1))) if each.name == name)
    looks = []

    def look(path, params):
        looks.append(path)
        return newest

    progress = Progress(today, Span(date(2025, 6, 1)), frozenset(complete), lambda key: former, lambda key: None, look)
    return list(SOURCE.plan(resource, progress)), looks


def test_history_is_asked_in_windows_after_the_newest_which_has_one_bound_only():
    """Filters of two bounds are fragile: if they fail, the newest values are there nevertheless."""
    found, looks = asks()
    assert [ask.path for ask in found] == [
        f"{MONTHLY}?$filter=Data%20ge%20'2025-08-30'&$orderby=Data%20desc&$top=100000&$format=json",
        f"{MONTHLY}?$filter=Data%20ge%20'2025-06-01'%20and%20Data%20le%20'2025-08-29'"
        "&$orderby=Data%20desc&$top=100000&$format=json",
    ]
    assert [ask.params for ask in found] == [{}, {}]
    assert looks == []


def test_after_a_standstill_the_newest_days_are_asked_for_in_a_window_of_their_own_and_then_those_between():
    known = [ask.key for ask in asks()[0]]
    newest = body(ITEM | {"Data": "2026-05-29"})
    found, _ = asks(known, body(ITEM), newest=newest, today=date(2026, 6, 1))
    assert [ask.key for ask in found] == ["2026-04-06..", "2025-10-08..2026-01-05", "2026-01-06..2026-04-05"]


def test_without_a_newer_day_nothing_is_asked_but_that_day():
    known = [ask.key for ask in asks()[0]]
    former = body(ITEM)
    assert asks(known, former, newest=body(ITEM)) == ([], [f"{MONTHLY}?$orderby=Data%20desc&$top=1&$format=json"])


def test_a_newer_day_is_asked_for_with_thirty_days_before_the_last_one():
    known = [ask.key for ask in asks()[0]]
    (ask,), _ = asks(known, body(ITEM), newest=body(ITEM | {"Data": "2025-11-14"}), today=date(2025, 11, 17))
    assert ask.key == known[0]
    assert "Data%20ge%20'2025-10-08'&" in ask.path


def test_a_day_to_come_is_not_taken_for_the_newest_that_was_published():
    """A slip of the source, `2062` for `2026`, would keep every later day from being asked for."""
    known = [ask.key for ask in asks()[0]]
    former = body(ITEM, ITEM | {"Data": "2062-01-02"}, ITEM | {"Data": "9999-12-31"})
    found, _ = asks(known, former, newest=body(ITEM | {"Data": "2025-11-14"}), today=date(2025, 11, 17))
    assert [ask.key for ask in found] == known[:1]


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_days_since_a_report_and_the_overlap_fit_into_one_question(resource):
    known = [ask.key for ask in asks(name=resource)[0]]
    newest = body(ITEM | {"Data": "2025-12-26"})
    found, _ = asks(known, body(ITEM), newest=newest, today=date(2025, 12, 29), name=resource)
    assert [ask.key for ask in found] == known[:1]


def test_an_empty_list_means_no_new_data_and_a_page_of_markup_does_not():
    assert SOURCE.is_no_news(200, b'{"value":[]}')
    assert not SOURCE.is_no_news(500, b"<html></html>")
    assert not SOURCE.is_no_news(200, body(ITEM))


@pytest.mark.parametrize("day", range(3, 10))
def test_a_day_is_public_after_the_monday_that_follows_its_week(day):
    """3 to 7 November 2025 are a week; the report of that week came out on the 10th, 08:30 in Brasília."""
    item = ITEM | {"Data": f"2025-11-{day:02}"}
    chunk = next(parse([body(item)], Part(YEARLY, "k", "n", RETRIEVED_AT)))
    publication = SOURCE.publication["bcb_focus"]
    known = publication.period_end(chunk.records["bcb_focus"])[0].as_py() + publication.lag(None)
    monday = datetime(2025, 11, 10 if day <= 7 else 17, 11, 30, tzinfo=UTC)
    assert monday < known <= monday + timedelta(days=2)

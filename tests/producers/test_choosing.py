"""What is polled by the settings: identities of resources, plans, and meanings of what is polled no longer."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from producers import sources
from producers.families import openmeteo
from producers.model import Part, Progress, Span

TODAY, SPAN = date(2025, 3, 1), Span(date(2024, 1, 1))
CREDIT = {"name": "Credit", "unit": "BRL million", "frequency": "M", "lag_days": 30}
TABLE = {"name": "PIM-PF", "variables": "12606", "periodicity": "month", "lag_days": 40}
FEIRA = "2910800"

Choose = Callable[..., None]


def names(source: str) -> list[str]:
    return [each.name for each in sources.load(source).resources(TODAY, SPAN)]


def changed_identities(before: list[str], after: list[str], stopped: set[str]) -> list[str]:
    """The oracle: what was polled and is not stopped must be polled under the same name, in the same order."""
    return [f"{name} is polled no longer by that name" for name in before if name not in {*after, *stopped}]


@pytest.mark.parametrize(
    ("source", "given", "added", "stopped"),
    [
        ("bcb_sgs", {"20542": CREDIT, "256": False}, ["20542"], {"256"}),
        ("bcb_ptax", {"GBP": True, "EUR": False}, ["GBP"], {"EUR"}),
        ("bcb_focus", {"ExpectativasMercadoSelic": False}, [], {"ExpectativasMercadoSelic"}),
        ("ibge_sidra", {"8888": TABLE, "1736": False}, ["8888 n1 v12606"], {"1736"}),
        ("openmeteo_archive", {"1200401": False}, [], {"1200401"}),
    ],
)
def test_a_changed_list_changes_no_identity_of_what_stays(choose, control, source, given, added, stopped):
    before = names(source)
    choose(polled={source: given})
    after = names(source)
    control.holds(changed_identities, before, after, stopped)
    assert after == [name for name in before if name not in stopped] + added
    renamed = [f"{name}'" for name in after]
    control.objects(changed_identities, before, renamed, stopped, damage="is polled no longer by that name")


def test_places_are_points_of_both_weather_sources_after_the_capitals(choose):
    before = names("openmeteo_archive")
    choose(places={FEIRA: {"latitude": -12.25, "longitude": -38.95}, "2913606": {}, "2927408": {"station": "A432"}})
    assert names("openmeteo_archive") == names("openmeteo_forecast") == [*before, "2910800@-12.25,-38.95", "2913606"]
    (site,) = (each for each in sources.load("openmeteo_archive").resources(TODAY, SPAN) if "@" in each.name)
    asked = openmeteo.params(site)
    assert (asked["latitude"], asked["longitude"]) == ("-12.25", "-38.95")
    choose(places={FEIRA: {"latitude": -12.25, "longitude": -38.95, "poll": False}, "2913606": {}})
    assert names("openmeteo_archive") == [*before, "2913606"]


def test_an_own_series_is_planned_and_dated_by_its_fields(choose):
    sgs = sources.load("bcb_sgs")
    choose(polled={"bcb_sgs": {"20542": CREDIT, "20543": {**CREDIT, "is_revised": True}}})
    recent, whole = sgs.resources(TODAY, SPAN)[-2:]
    progress = Progress(TODAY, Span(date(2000, 1, 1)), frozenset(), lambda key: None, lambda key: None, lambda *_: b"")
    assert sgs.plan is not None
    assert next(request.key for request in sgs.plan(recent, progress)) == "2019-12-27.."
    assert [request.key for request in sgs.plan(whole, progress)] == ["2000-01-01.."]
    part = Part("20542", "2000-01-01..", "20542", datetime(2025, 3, 1, tzinfo=UTC))
    (parsed,) = sgs.parse([b'[{"data": "01/01/2024", "valor": "1"}]'], part)
    publication = sgs.publication["bcb_sgs"]
    assert publication.period_end(parsed.records["bcb_sgs"]).to_pylist() == [datetime(2024, 2, 1, tzinfo=UTC)]
    assert publication.lag(part) == timedelta(days=30)


@pytest.mark.parametrize("value", [False, {"poll": False}])
def test_what_is_polled_no_longer_keeps_its_meaning(choose, value):
    """Rows of it are made again from the archive with the clocks that they had: by the same lag."""
    sgs = sources.load("bcb_sgs")
    part = Part("433", "2000-01-01..", "433", datetime(2025, 3, 1, tzinfo=UTC))
    choose(polled={"bcb_sgs": {"433": value, "20542": {**CREDIT, "poll": False}}})
    assert {"433", "20542"} & set(names("bcb_sgs")) == set()
    lag = sgs.publication["bcb_sgs"].lag
    assert lag(part) == timedelta(days=15)
    assert lag(Part("20542", "x", "x", part.retrieved_at)) == timedelta(days=30)


def test_another_question_to_an_own_table_is_another_resource_and_the_parser_reads_both(choose):
    choose(polled={"ibge_sidra": {"8888": TABLE}})
    former = names("ibge_sidra")[-1]
    choose(polled={"ibge_sidra": {"8888": {**TABLE, "variables": "12606,12607", "classification": "/c544/129314"}}})
    resource = sources.load("ibge_sidra").resources(TODAY, SPAN)[-1]
    assert (former, resource.name) == ("8888 n1 v12606", "8888 n1 v12606,12607 /c544/129314")
    assert resource.path == "values/t/8888/n1/all/v/12606,12607/p/{}/c544/129314"
    body = (
        '[{"NC":"Nível Territorial (Código)","NN":"Nível Territorial","MC":"","MN":"Unidade de Medida","V":"Valor",'
        '"D1C":"Brasil (Código)","D1N":"Brasil","D2C":"Variável (Código)","D2N":"Variável","D3C":"Mês (Código)",'
        '"D3N":"Mês"},{"NC":"1","NN":"Brasil","MC":"2","MN":"%","V":"0.5","D1C":"1","D1N":"Brasil","D2C":"12606",'
        '"D2N":"x","D3C":"202401","D3N":"janeiro 2024"}]'
    )
    for name in (former, resource.name):
        part = Part(name, "values", name, datetime(2025, 3, 1, tzinfo=UTC))
        (parsed,) = sources.load("ibge_sidra").parse([body.encode()], part)
        assert parsed.records["ibge_sidra"].column("table_id").to_pylist() == [8888]

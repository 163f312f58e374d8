"""The settings `polled` and `places`: what is accepted, and what is refused with which message."""

import json

import pytest
from typer.testing import CliRunner

from correnteza import chosen
from correnteza.cli import app
from correnteza.commands.config import shown
from correnteza.settings import Settings
from foundation.errors import UsageError
from producers.choosing import MOST_OWN
from schemas import choices
from stream_jobs.gold import thresholds

SERIES = {"name": "Credit, total", "unit": "BRL million", "frequency": "M", "lag_days": 30}
TABLE = {"name": "PIM-PF", "variables": "12606,12607", "periodicity": "month", "lag_days": 40}
FEIRA, SALVADOR = "2910800", "2927408"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    choices.use({}, ())


def refused(name: str, given: object) -> str:
    """The message of settings that are wrong, without the setting's own name."""
    with pytest.raises(UsageError) as error:
        Settings(**{name: given})
    assert error.value.exit_code == 2
    assert "docs/sources.md" in (error.value.hint or "")
    return str(error.value).removeprefix("default: ")


@pytest.mark.parametrize(
    ("source", "key", "value", "says"),
    [
        ("bcb_foo", "1", True, "nothing of 'bcb_foo' can be chosen"),
        ("inmet_hourly", "Salvador", True, "a station is named by INMET's code, such as A401"),
        ("inmet_hourly", "A401", {"name": "Salvador"}, "there is no field 'name'"),
        ("bcb_sgs", "99999", True, "is missing"),
        ("bcb_sgs", "IPCA", SERIES, "a series is named by its number in SGS"),
        ("bcb_sgs", "99", SERIES | {"frequency": "W"}, "frequency must be one of D, M, Q"),
        ("bcb_sgs", "99", SERIES | {"lag_days": -1}, "lag_days must be a whole number from 0 to 1500"),
        ("bcb_sgs", "99", SERIES | {"lag_days": True}, "lag_days must be a whole number"),
        ("bcb_sgs", "99", SERIES | {"lagdays": 3}, "there is no field 'lagdays'"),
        ("bcb_sgs", "99", SERIES | {"name": "a\x1b[2Jb"}, "name must be a text"),
        ("bcb_sgs", "99", SERIES | {"frequency": "D", "is_revised": True}, "cannot be true of a daily series"),
        ("bcb_sgs", "433", SERIES, "is declared, and cannot be another series"),
        ("bcb_ptax", "BRL", True, "PTAX has no such currency; one of: AUD,"),
        ("bcb_ptax", "usd", True, "PTAX has no such currency"),
        ("bcb_focus", "ExpectativasMercadoInstituicoes", True, "there is no such resource; one of: Expect"),
        ("ibge_sidra", "8888", TABLE | {"variables": "12606; drop"}, "variables must be codes of variables"),
        ("ibge_sidra", "8888", TABLE | {"classification": "c544/129314"}, "classification must be as in SIDRA's"),
        ("ibge_sidra", "8888", TABLE | {"level": 3}, "level must be one of 1, 6"),
        ("openmeteo_archive", FEIRA, True, "there is no such point"),
    ],
)
def test_an_item_that_the_source_cannot_have_is_refused_by_name(source, key, value, says):
    message = refused("polled", {source: {key: value}})
    assert source in message
    assert says in message


@pytest.mark.parametrize(
    ("code", "fields", "says"),
    [
        ("2910801", {}, "with the check digit Feira de Santana is 2910800"),
        ("291080", {}, "with the check digit Feira de Santana is 2910800"),
        ("Feira de Santana", {}, "is no municipality in IBGE's list"),
        (FEIRA, {"latitude": -12.2664}, "latitude and longitude belong together"),
        (FEIRA, {"latitude": -38.9663, "longitude": -12.2664}, "latitude must be a number from -34 to 5.5"),
        (FEIRA, {"latitude": -12.2664, "longitude": 38.9663}, "longitude must be a number from -74 to -28.5"),
        (FEIRA, {"latitude": float("nan"), "longitude": -38.0}, "latitude must be a number"),
        (FEIRA, {"latitude": "-12.2", "longitude": "-38.9"}, "latitude must be a number"),
        (FEIRA, {"station": "Feira"}, "station must be a code of INMET's"),
        (FEIRA, {"station": "A401"}, "station A401 stands for 2927408 already"),
        (FEIRA, {"station": "A109"}, "station A109 stands in another municipality"),
        (FEIRA, {"time_zone": "Europe/Lisbon"}, "time_zone must be one of Brazil's"),
        (FEIRA, {"time_zone": "Bahia"}, "time_zone must be one of Brazil's"),
        (FEIRA, {"poll": "no"}, "poll must be true or false"),
        (FEIRA, {"lat": -12.2}, "there is no field 'lat'"),
    ],
)
def test_a_place_that_cannot_be_is_refused_by_name(code, fields, says):
    assert says in refused("places", {code: fields})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("extreme_heat", 38, "there is no field 'extreme_heat'; known: cold_celsius, devaluation_percent,"),
        ("extreme_heat_celsius", 100, "extreme_heat_celsius must be a number from 0 to 60"),
        ("high_humidity_percent", float("nan"), "high_humidity_percent must be a number from 0 to 100"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused_by_name(name, value, says):
    assert says in refused("thresholds", {name: value})


def test_a_threshold_is_in_force_and_shown_beside_the_declared_ones():
    assert thresholds.of("heavy_rain_mm") == 50
    settings = Settings(thresholds={"heavy_rain_mm": 30})
    assert [thresholds.of(name) for name in ("heavy_rain_mm", "intense_rain_mm")] == [30, 100]
    told = shown(settings)["thresholds"]
    assert (told["heavy_rain_mm"], told["intense_rain_mm"]) == (30, 100)
    assert set(told) == set(thresholds.DECLARED)


def test_there_is_a_limit_of_items_and_of_places():
    assert "at most 100" in refused("polled", {"bcb_sgs": {str(100_000 + n): SERIES for n in range(MOST_OWN + 1)}})
    assert "at most 100" in refused("places", {f"{n}": {} for n in range(chosen.MOST_PLACES + 1)})


def test_the_file_and_the_environment_are_named(folder, monkeypatch):
    (folder / "correnteza.toml").write_text("[polled.bcb_ptax]\nXXX = true", encoding="utf-8")
    with pytest.raises(UsageError, match=r"^polled in correnteza.toml: bcb_ptax: currency 'XXX'"):
        Settings()
    (folder / "correnteza.toml").write_text("polled = 3", encoding="utf-8")
    with pytest.raises(UsageError, match="must be an object of source names, each with a table of items"):
        Settings()
    (folder / "correnteza.toml").unlink()
    monkeypatch.setenv("CORRENTEZA_PLACES", '{"1": {}}')
    with pytest.raises(UsageError, match=r"^CORRENTEZA_PLACES: '1': is no municipality") as error:
        Settings()
    assert "export CORRENTEZA_PLACES=" in (error.value.hint or "")


def test_equal_coordinates_are_one_identity_and_others_another():
    def point(latitude: float, longitude: float) -> str:
        Settings(places={FEIRA: {"latitude": latitude, "longitude": longitude}})
        return choices.places()[0].point_id

    assert point(-12.2664, -38.9663) == point(-12.26640000001, -38.9663) == "2910800@-12.2664,-38.9663"
    assert point(-10, -40) == point(-10.0, -40.0) == "2910800@-10,-40"
    assert point(-0.0, -50) == "2910800@0,-50"
    assert point(-12.2665, -38.9663) != point(-12.2664, -38.9663)


def test_without_coordinates_the_point_is_ibges_and_the_code_alone_its_name():
    Settings(places={FEIRA: {}})
    (place,) = choices.places()
    assert (place.point_id, place.latitude, place.longitude) == (FEIRA, "-12.2664", "-38.9663")


def test_settings_without_choices_replace_former_ones():
    Settings(places={FEIRA: {}}, polled={"bcb_ptax": {"GBP": True}})
    Settings()
    assert (choices.places(), choices.of("bcb_ptax").own) == ((), {})


def test_config_show_prints_what_is_polled_in_the_form_of_the_setting(folder):
    (folder / "correnteza.toml").write_text(
        f'[polled.bcb_ptax]\nGBP = true\nEUR = false\n[places.{FEIRA}]\nstation = "A413"', encoding="utf-8"
    )
    shown = json.loads(CliRunner().invoke(app, ["config", "show", "--json", "--origin"]).stdout)
    found = {each["setting"]: each for each in shown}
    assert found["polled"]["value"]["bcb_ptax"] == {"USD": True, "EUR": False, "GBP": True}
    assert len(found["polled"]["value"]["bcb_sgs"]) == 23
    assert found["places"]["value"][FEIRA] == {"point_id": FEIRA, "station": "A413"}
    assert found["places"]["value"][SALVADOR] == {"point_id": SALVADOR, "station": "A401"}
    assert found["places"]["origin"] == "correnteza.toml"
    Settings(polled=found["polled"]["value"])  # what is shown is accepted

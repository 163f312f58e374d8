"""`correnteza parse`: rows of local files as JSON, with nothing running."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from correnteza.settings import Settings
from producers import sources
from producers.parse_files import Counts, context, parse_file
from replay.content import DATA
from schemas.contracts import load
from tests.golden.kit import FOLDER
from tests.helpers import run_here

SALVADOR = next((DATA / "inmet").glob("*A401*"))
FAROL = next((DATA / "inmet").glob("*FAROL*"))
SGS = DATA / "sgs"
ANATEL = DATA / "anatel"


def parse(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_here(Settings(), ("parse", *map(str, arguments)))


def rows(*arguments: str | Path) -> list[dict]:
    done = parse(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    summary = json.loads(done.stderr.splitlines()[-1])
    rejected = sum("rejected" in row for row in found)
    assert (summary["rows"], summary["rejects"]) == (len(found) - rejected, rejected)
    return found


def test_a_row_has_exactly_the_contracts_fields_and_the_dataset():
    found = rows("inmet_hourly", SALVADOR)
    assert len(found) == 8784
    assert list(found[0]) == ["dataset", *load("inmet_hourly").fields]
    assert {
        "dataset": "inmet_hourly",
        "station_code": "A401",
        "observed_at": "2024-01-01T00:00:00Z",
        "air_temperature_celsius": 26.8,
        "global_radiation_kj_m2": None,
        "published_at": None,
        "published_at_basis": "none",
        "row_number": 0,
    }.items() <= found[0].items()


def test_the_metadata_lines_are_a_dataset_of_their_own():
    (station,) = rows("inmet_stations", FAROL)
    assert (station["station_code"], station["name"]) == ("A217", "FAROL de SANTANA")
    assert (station["valid_from_on"], station["founded_on"]) == ("2024-01-01", "2008-11-28")


def test_a_dataset_in_the_first_chunk_only_has_no_rows_of_another():
    """The year has more rows than are read at once."""
    assert [row["dataset"] for row in rows("inmet_stations", SALVADOR)] == ["inmet_stations"]


def test_the_series_number_comes_from_the_option_and_decimals_are_plain_text():
    found = rows("bcb_sgs", "--series", "432", SGS / "sgs_432_meta_selic_2015-01-01_2025-11-11_wrapped.json")
    assert len(found) == 3968
    assert (found[0]["series_code"], found[0]["reference_on"], found[0]["value"]) == (432, "2015-01-01", "11.75")


def test_a_series_without_its_number_is_refused_with_the_option_to_use():
    done = parse("bcb_sgs", SGS / "sgs_1_usd_venda_2020-11-03_2025-10-31.json")
    assert done.returncode == 1
    assert "--series" in done.stderr


PTAX = DATA / "ptax" / "subset_ptax_usd_20251111.json"
WEATHER = DATA / "openmeteo" / "last14days_salvador_ba_archive_20251110.json"
IPCA = DATA / "sidra" / "ipca_20251111.json"


@pytest.mark.parametrize(
    ("dataset", "options", "file", "said"),
    [
        ("bcb_ptax", ["--currency", "USD"], PTAX, {"currency_code": "USD"}),
        ("ibge_sidra", ["--table", "1737"], IPCA, {"table_id": 1737}),
        (
            "openmeteo_archive",
            ["--point", "2927408", "--model", "best_match"],
            WEATHER,
            {"point_id": "2927408", "model": "best_match"},
        ),
        ("openmeteo_archive", ["--point", "2927408", "--model", "era5"], WEATHER, {"model": "era5"}),
    ],
)
def test_options_say_what_the_address_would_have_said(dataset, options, file, said):
    found = rows(dataset, *options, file)
    assert found
    assert all(said.items() <= row.items() for row in found)


def test_without_an_option_the_files_name_says_it(tmp_path):
    file = tmp_path / "432.json"
    file.write_bytes((SGS / "sgs_432_meta_selic_2015-01-01_2025-11-11_wrapped.json").read_bytes())
    assert {row["series_code"] for row in rows("bcb_sgs", file)} == {432}


@pytest.mark.parametrize(
    ("dataset", "option", "hint"),
    [
        ("bcb_sgs", "--table", "bcb_sgs takes --series"),
        ("ibge_sidra", "--series", "ibge_sidra takes --table"),
        ("openmeteo_forecast", "--currency", "openmeteo_forecast takes --point and --model"),
        ("inmet_hourly", "--point", "inmet_hourly takes no such option"),
    ],
)
def test_an_option_of_another_source_is_a_usage_error_that_names_the_right_one(dataset, option, hint):
    done = parse(dataset, option, "1", SALVADOR)
    assert done.returncode == 2
    assert hint in done.stderr


def test_a_map_is_an_object():
    (first, *_) = rows("anatel_base_stations", ANATEL / "csv_natal_licenciamento_nr.csv")
    assert (first["attributes"]["NumServico"], first["attributes"]["CodEquipamentoAntena"]) == ("010", "064101600762")


def test_the_wide_sample_and_the_total_member():
    (first, *_) = found = rows("anatel_broadband_accesses", ANATEL / "derived_broadband_2026_Colunas_BA_10rows.csv")
    assert len(found) == 72
    assert (first["reference_month_on"], first["speed_mbps"], first["accesses"]) == ("2026-01-01", "600", 33818)
    totals = rows("anatel_broadband_accesses", ANATEL / "Acessos_Banda_Larga_Fixa_Total.csv")
    assert {row["dataset"] for row in totals} == {"anatel_broadband_totals"}


def test_a_zip_gives_the_rows_of_its_members(tmp_path):
    file = tmp_path / "2024.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for sample in (SALVADOR, FAROL):
            archive.writestr(sample.name, sample.read_bytes())
        archive.writestr("leia-me.txt", b"no data")
    found = rows("inmet_hourly", file)
    assert len(found) == 8784 + 96
    assert {row["station_code"] for row in found} == {"A401", "A217"}


@pytest.mark.parametrize(
    ("dataset", "content", "name"),
    [
        ("anatel_base_stations", FOLDER / "anatel_base_stations" / "built-Estacoes_SMP.csv", "Estacoes_SMP.csv"),
        (
            "anatel_mobile_accesses",
            ANATEL / "transcribed_mobile_201901-201906_Colunas_head5.csv",
            "Acessos_Telefonia_Movel_201901-201906_Colunas.csv",
        ),
        ("inmet_hourly", FAROL, FAROL.name),
    ],
)
def test_every_zip_is_read_whoever_made_it(dataset, content, name, tmp_path):
    """On a Mac, which adds notes about each member, or by a program that writes backslashes."""
    file = tmp_path / "2024.zip"
    found = []
    for folder, others in (("", {}), ("x\\", {}), ("x/", {f"__MACOSX/x/._{name}": b"\0\5\x16\7\0\2\0\0Mac OS X"})):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in {f"{folder}{name}": content.read_bytes(), **others}.items():
                archive.writestr(member, data)
        about, counts = context(dataset, {}), Counts()
        parsed = parse_file(sources.load(dataset), dataset, file, about, counts)
        found.append([{key: row[key] for key in row if key not in {"chunk_id", "retrieved_at"}} for row in parsed])
    assert found[0]
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_rejects_are_objects_that_say_so(tmp_path):
    file = tmp_path / SALVADOR.name
    file.write_bytes(b"\n".join(SALVADOR.read_bytes().split(b"\n")[:10]) + b"\nno row\n")
    *_, reject = rows("inmet_hourly", file)
    assert (reject["rejected"], reject["reason"], reject["row_number"], reject["raw"]) == (
        True,
        "malformed_row",
        1,
        "no row",
    )


@pytest.mark.parametrize(("name", "code"), [("head4000_html_saved_as_data.html", 1), ("no-such-file.csv", 2)])
def test_what_cannot_be_parsed_is_named(name, code):
    done = parse("inmet_hourly", ANATEL / name)
    assert done.returncode == code
    assert name in done.stderr


def test_an_unknown_dataset_is_a_usage_error_that_lists_the_known():
    done = parse("weather", SALVADOR)
    assert done.returncode == 2
    assert "inmet_stations" in done.stderr

"""Generated publications: the same for a seed, readable by any zip reader, and without a reject to their parsers."""

import io
import json
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pyarrow.compute as pc
import pytest

from foundation.errors import UsageError
from producers import sources
from producers.model import Part, Resource, Span
from replay.content import DATA
from replay.server import serve
from replay.volume import catalogue, mobile, stations
from stream_jobs.gold.reference import municipalities
from tests.replay.test_server import ask

ROWS = 20_000
STATIONS = 5
PARTS = {"mobile": ("anatel_mobile_accesses", ROWS), "stations": ("inmet_hourly", STATIONS)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("volume")


def written(name, size, folder, seed=catalogue.SEED):
    (resource,) = catalogue.resources({name: size}, folder, municipalities(), seed).values()
    return resource.body


def rows(file):
    """Each row of the newest mobile member, as fields."""
    with zipfile.ZipFile(file) as archive:
        text = archive.read(mobile.NEWEST).decode("utf-8")
    header, *lines = text.removesuffix("\r\n").split("\r\n")
    assert header == "\ufeff" + mobile.HEADER
    return [line.split(";") for line in lines]


def parsed(source, file):
    """Every part the source selects from a zip: (member's name, what the parser makes of it)."""
    declared = sources.load(source)
    with zipfile.ZipFile(file) as archive:
        chosen = declared.select(Resource("zip", "zip"), archive.namelist(), Span(declared.history_start))
        for key, name in chosen.items():
            part = Part("zip", key, PurePosixPath(name).name, datetime(2026, 8, 3, tzinfo=UTC))
            yield name, list(declared.parse([archive.read(name)], part))


@pytest.mark.parametrize("name", PARTS)
def test_a_seed_gives_the_same_bytes_and_another_seed_gives_others(name, tmp_path):
    size = PARTS[name][1] // 4
    first = written(name, size, tmp_path / "a").read_bytes()
    assert written(name, size, tmp_path / "b").read_bytes() == first
    assert written(name, size, tmp_path / "a", seed=8).read_bytes() != first


def test_a_file_of_the_same_parameters_is_written_once(tmp_path):
    file = written("mobile", 100, tmp_path)
    before = file.stat().st_mtime_ns
    assert written("mobile", 100, tmp_path) == file
    assert file.stat().st_mtime_ns == before
    assert written("mobile", 101, tmp_path) != file
    assert len(list(tmp_path.iterdir())) == 2


def test_an_interrupted_write_leaves_no_file_that_the_next_run_would_take(tmp_path, monkeypatch):
    def fails(*_):
        yield b"half"
        raise KeyboardInterrupt

    monkeypatch.setattr(mobile, "blocks", fails)
    with pytest.raises(KeyboardInterrupt):
        written("mobile", 100, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_row_of_the_mobile_member_has_a_key_of_its_own(folder):
    found = rows(written("mobile", ROWS, folder))
    assert len(found) == ROWS
    keys = Counter(tuple(fields[:-1]) for fields in found)
    assert max(keys.values()) == 1
    assert {fields[0] for fields in found} == {"2026"}
    assert {fields[1] for fields in found} == {"1", "2", "3", "4", "5", "6"}
    assert all(int(fields[-1]) >= 1 for fields in found)


def test_at_its_largest_too_no_two_rows_of_a_block_are_one():
    size, count = 1_000, 997
    chosen = mobile._chosen(size, count, pc.random(count, initializer=1)).to_pylist()
    assert (len(set(chosen)), chosen) == (count, sorted(chosen))
    assert set(chosen) <= set(range(size))


def test_mobile_municipalities_are_the_real_ones_with_their_state_and_area(folder):
    real = {
        (place.uf, place.name, place.municipality_code, place.area_code, place.area_code) for place in municipalities()
    }
    assert {tuple(fields[6:11]) for fields in rows(written("mobile", ROWS, folder))} <= real


def test_the_mobile_zip_holds_small_members_of_other_periods_and_is_whole(folder):
    with zipfile.ZipFile(written("mobile", ROWS, folder)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "Acessos_Telefonia_Movel_2025_1S.csv",
            "Acessos_Telefonia_Movel_2025_2S.csv",
            mobile.NEWEST,
        ]
        # Plain entries, as ANATEL writes them: sizes stand before the data, not after.
        assert {info.flag_bits & 0x08 for info in archive.infolist()} == {0}


@pytest.mark.parametrize("name", PARTS)
def test_the_sources_own_parser_rejects_nothing(name, folder):
    source, size = PARTS[name]
    total = 0
    for member, chunks in parsed(source, written(name, size, folder)):
        assert [chunk.rejects for chunk in chunks if chunk.rejects] == [], member
        assert [chunk.notes for chunk in chunks if chunk.notes] == [], member
        total += sum(chunk.records[source].num_rows for chunk in chunks)
    assert total == {"mobile": ROWS + 2 * (ROWS // 1000), "stations": STATIONS * stations.HOURS}[name]


def test_control_the_parser_does_reject_a_row_that_is_none(tmp_path, folder, control):
    def rejected(extra: bytes) -> list[str]:
        copied = tmp_path / "copied.zip"
        with zipfile.ZipFile(written("mobile", ROWS, folder)) as archive, zipfile.ZipFile(copied, "w") as copy:
            copy.writestr(mobile.NEWEST, archive.read(mobile.NEWEST) + extra)
        ((_, chunks),) = parsed("anatel_mobile_accesses", copied)
        return [f"rejected: {each.reason} {each.raw!r}" for chunk in chunks for each in chunk.rejects]

    control.holds(rejected, b"")
    control.objects(rejected, b"2026;7;half a row\r\n", damage="2026;7;half a row")


def test_a_station_has_every_hour_of_the_year_once_in_the_real_layout(folder):
    with zipfile.ZipFile(written("stations", STATIONS, folder)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        lines = archive.read(names[0]).decode("latin-1").split("\n")
    salvador = (DATA / "inmet/INMET_NE_BA_A401_SALVADOR_01-01-2024_A_31-12-2024.CSV").read_text("latin-1").split("\n")
    assert [line.split(";")[0] for line in lines[:8]] == [line.split(";")[0] for line in salvador[:8]]
    assert lines[8] == salvador[8]
    assert lines[-1] == ""
    hours = [line[:20] for line in lines[9:-1]]
    assert (hours[0], hours[-1]) == ("2025/01/01;0000 UTC;", "2025/12/31;2300 UTC;")
    assert len(set(hours)) == len(hours) == stations.HOURS
    assert all(re.fullmatch(r"INMET_[A-Z]+_[A-Z]{2}_G\d{3}_.+_01-01-2025_A_31-12-2025\.CSV", name) for name in names)


def test_stations_differ_and_stay_within_what_real_stations_measure(folder):
    first_hours = set()
    for _, chunks in parsed("inmet_hourly", written("stations", STATIONS, folder)):
        (readings,) = (chunk.records["inmet_hourly"] for chunk in chunks)
        column = readings.column
        first_hours.add(str(readings.slice(0, 1).to_pydict()))
        assert pc.min(column("air_temperature_min_celsius")).as_py() >= -5.5
        assert pc.max(column("air_temperature_max_celsius")).as_py() <= 44.5
        assert 800 <= pc.min(column("pressure_min_hpa")).as_py() <= pc.max(column("pressure_max_hpa")).as_py() <= 1050
        assert pc.max(column("rain_mm")).as_py() <= 96.2
        assert pc.min(column("wind_direction_degrees")).as_py() >= 1
        assert pc.max(column("wind_direction_degrees")).as_py() <= 360
        assert pc.all(pc.less_equal(column("dew_point_celsius"), column("air_temperature_celsius"))).as_py()
    assert len(first_hours) == STATIONS


@pytest.mark.parametrize(
    ("tenths", "text"),
    [(0, "0"), (228, "22,8"), (230, "23"), (8, ",8"), (-4, "-,4"), (-10, "-1"), (100_002, "10000,2")],
)
def test_readings_are_spelled_as_inmet_does(tenths, text):
    assert stations._spelling(tenths) == text


@pytest.mark.parametrize(
    "text", ["mobile", "mobile=", "mobile=0", "mobile=-1", "stations=1000", "fixed=10", "mobile=1e6"]
)
def test_a_volume_that_is_not_there_or_too_large_is_refused(text):
    with pytest.raises(UsageError, match="no volume"):
        catalogue.sizes([text])


def test_the_replay_serves_volumes_in_place_of_the_recording(folder):
    wanted = catalogue.sizes(["mobile=20000", "stations=5"])
    with serve(instead=catalogue.resources(wanted, folder, municipalities())) as replay:
        for name, path in (("mobile", "/anatel/acessos/acessos_telefonia_movel.zip"), ("stations", "/inmet/2025.zip")):
            assert ask(replay, path)[2] == written(name, PARTS[name][1], folder).read_bytes()
        assert ask(replay, "/inmet/2024.zip")[0] == 200


def test_the_command_writes_the_volume_says_where_it_serves_and_ends_when_asked(tmp_path):
    home = {"CORRENTEZA_HOME": str(tmp_path)}
    arguments = ("replay-source", "--volume", "mobile=1000", "--volume", "stations=1")
    process = subprocess.Popen(
        [sys.executable, "-m", "correnteza", *arguments],
        env={**os.environ, **home},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        urls = json.loads(process.stdout.readline())["base_urls"]
        mobile_zip = f"{urls['anatel_mobile_accesses']}/acessos/acessos_telefonia_movel.zip"
        with (
            urllib.request.urlopen(mobile_zip, timeout=30) as answer,
            zipfile.ZipFile(io.BytesIO(answer.read())) as file,
        ):
            assert file.read(mobile.NEWEST).count(b"\r\n") == 1 + 1000
        kept = sorted(file.name for file in (tmp_path / "replay-volume").iterdir())
        assert kept == ["mobile-1000-7-v2.zip", "stations-1-7-v1.zip"]
    finally:
        process.terminate()
        assert process.wait() == 0


def test_the_command_refuses_a_volume_that_is_not_there(tmp_path):
    refused = subprocess.run(
        [sys.executable, "-m", "correnteza", "replay-source", "--volume", "fixed=1"],
        env={**os.environ, "CORRENTEZA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "no volume 'fixed=1'; there are mobile=1…15000000" in refused.stderr

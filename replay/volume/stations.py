"""INMET's hourly stations at full size: one year of as many stations as are wanted, in the layout since 2020.

Every station is Salvador's real year, changed: it begins at another day, pressure depends on its altitude, and
temperature and rain are varied at random. Values that are missing there are missing here. The codes begin with G, which
no real station's does; names, states and coordinates are those of municipalities.
"""

import random
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from replay.content import DATA
from replay.volume.places import Place, joined

YEAR = 2025
MAX_STATIONS = 999
HOURS = 365 * 24

_SALVADOR = DATA / "inmet" / "INMET_NE_BA_A401_SALVADOR_01-01-2024_A_31-12-2024.CSV"
_SALVADOR_ALTITUDE = 47.56
_METADATA_LINES = 8
_READINGS = range(2, 19)
_RAIN, _RADIATION, _DIRECTION = 2, 6, 16
_PRESSURE, _TEMPERATURE = range(3, 6), range(7, 13)
_REGIONS = {"Norte": "N", "Nordeste": "NE", "Centro-Oeste": "CO", "Sudeste": "SE", "Sul": "S"}
_LEVEL = 1  # deflate

# Every reading has one decimal, so a table of tenths has all their texts, in INMET's form (`23`, `22,8`, `,8`, `-,4`).
_LOWEST, _HIGHEST = -1_000, 120_000


@dataclass(frozen=True)
class _Station:
    code: str
    place: Place
    altitude: float
    shift_days: int
    warmer: int
    """Tenths of a degree."""
    wetter: float
    brighter: float
    turned: int
    """Degrees."""


def write(path: Path, stations: int, seed: int, places: Sequence[Place]) -> None:
    """The year's zip, one member per station; the same arguments give the same bytes."""
    choose = random.Random(seed)
    chosen = choose.sample(sorted(places, key=lambda place: place.municipality_code), stations)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for number, place in enumerate(chosen, 1):
            station = _Station(
                code=f"G{number:03d}",
                place=place,
                altitude=round(choose.uniform(2, 1400), 2),
                shift_days=choose.randrange(365),
                warmer=choose.randrange(-120, 50),
                wetter=choose.uniform(0.2, 1.6),
                brighter=choose.uniform(0.8, 1.1),
                turned=choose.randrange(360),
            )
            with archive.open(_member_name(station), "w") as member:
                member.write(content(station))


def content(station: _Station) -> bytes:
    """A station's file."""
    readings = [_spelled(_moved(number, _shifted(number, station), station)) for number in _READINGS]
    pieces = [piece for column in readings for piece in (column, b";")]
    return b"".join([*_metadata(station), _header(), joined(_hours(), *pieces, b"\n")])


def _member_name(station: _Station) -> str:
    place = station.place
    return (
        f"INMET_{_REGIONS[place.region]}_{place.uf}_{station.code}_{_plain(place.name)}_01-01-{YEAR}_A_31-12-{YEAR}.CSV"
    )


def _metadata(station: _Station) -> list[bytes]:
    place = station.place
    values = {
        "REGIAO": _REGIONS[place.region],
        "UF": place.uf,
        "ESTACAO": _plain(place.name),
        "CODIGO (WMO)": station.code,
        "LATITUDE": _decimal(place.latitude_degrees),
        "LONGITUDE": _decimal(place.longitude_degrees),
        "ALTITUDE": _decimal(station.altitude),
        "DATA DE FUNDACAO": "01/01/08",
    }
    return [f"{key}:;{value}\n".encode("latin-1") for key, value in values.items()]


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.upper())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _decimal(number: float) -> str:
    return f"{number}".replace(".", ",")


@cache
def _header() -> bytes:
    return _SALVADOR.read_bytes().split(b"\n")[_METADATA_LINES] + b"\n"


@cache
def _hours() -> Any:
    """Date and hour of each row, as bytes, with the `;` after them."""
    days = [date(YEAR, 1, 1) + timedelta(days=number) for number in range(365)]
    return pa.array([f"{day:%Y/%m/%d};{hour:02d}00 UTC;".encode() for day in days for hour in range(24)])


@cache
def _tenths() -> dict[int, Any]:
    """Column → Salvador's readings in tenths, int32, without 29 February; null for missing values."""
    names = [str(number) for number in range(20)]
    table = csv.read_csv(
        _SALVADOR,
        read_options=csv.ReadOptions(column_names=names, skip_rows=_METADATA_LINES + 1, encoding="latin-1"),
        parse_options=csv.ParseOptions(delimiter=";"),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True),
    ).combine_chunks()
    table = table.filter(pc.not_equal(table.column("0"), "2024/02/29"))
    found = {}
    for number in _READINGS:
        text = table.column(str(number)).chunk(0)
        text = pc.if_else(pc.equal(text, ""), None, text)
        value = pc.replace_substring(text, ",", ".").cast(pa.float64())
        found[number] = pc.round(pc.multiply(value, 10.0)).cast(pa.int32())
    return found


def _shifted(number: int, station: _Station) -> Any:
    """The column beginning at another day, so that no two stations have the same weather."""
    column, start = _tenths()[number], station.shift_days * 24
    return pa.concat_arrays([column[start:], column[:start]])


def _moved(number: int, column: Any, station: _Station) -> Any:
    """Tenths → this station's tenths; null stays null."""
    if number in _TEMPERATURE:
        return pc.add(column, station.warmer)
    if number in _PRESSURE:
        return pc.add(column, round(10 * (_pressure(station.altitude) - _pressure(_SALVADOR_ALTITUDE))))
    if number == _DIRECTION:
        degrees = pc.add(pc.divide(column, 10), station.turned - 1)
        within = pc.subtract(degrees, pc.multiply(pc.divide(degrees, 360), 360))
        return pc.multiply(pc.add(within, 1), 10)
    factor = {_RAIN: station.wetter, _RADIATION: station.brighter}.get(number)
    return column if factor is None else pc.floor(pc.multiply(column, factor))


def _pressure(altitude_m: float) -> float:
    """hPa at an altitude in the international standard atmosphere (ISO 2533): 1013.25 × (1 − 2.25577e-5 h)^5.25588."""
    return float(1013.25 * (1 - 2.25577e-5 * altitude_m) ** 5.25588)


@cache
def _spellings() -> Any:
    return pa.array([_spelling(tenths).encode() for tenths in range(_LOWEST, _HIGHEST)])


def _spelling(tenths: int) -> str:
    whole, tenth = divmod(abs(tenths), 10)
    digits = f"{whole or ''},{tenth}" if tenth else str(whole)
    return f"-{digits}" if tenths < 0 else digits


def _spelled(column: Any) -> Any:
    """Tenths in INMET's form; null is the empty text."""
    index = pc.subtract(column.cast(pa.int32()), _LOWEST)
    return pc.fill_null(_spellings().take(index), b"")

"""The reference files beside the jobs, read once: municipalities, states, time zones, capitals' stations, meetings."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from schemas import choices

FOLDER = Path(__file__).parent.parent / "reference"


@dataclass(frozen=True)
class Municipality:
    """One municipality, with its state's short name and region.

    Attributes:
        municipality_code: IBGE code, 7 digits.
        area_code: telephone area (DDD), 2 digits.
        time_zone: IANA name: its own where the tz database divides its state, else the state's (README of the folder).
    """

    municipality_code: str
    name: str
    uf: str
    region: str
    latitude_degrees: float
    longitude_degrees: float
    is_capital: bool
    area_code: str
    time_zone: str


@dataclass(frozen=True)
class Capital:
    """A state's capital and the automatic station for its weather."""

    uf: str
    municipality_code: str
    station_code: str
    time_zone: str


@dataclass(frozen=True)
class FactorPlace:
    """A municipality of `external_factors_daily`, and where its weather comes from.

    Attributes:
        station_code: empty if no station stands for it.
        point_id: of the reanalysis.
    """

    uf: str
    municipality_code: str
    station_code: str
    point_id: str


ZONES_OF_BRAZIL = (
    "America/Araguaina",
    "America/Bahia",
    "America/Belem",
    "America/Boa_Vista",
    "America/Campo_Grande",
    "America/Cuiaba",
    "America/Eirunepe",
    "America/Fortaleza",
    "America/Maceio",
    "America/Manaus",
    "America/Noronha",
    "America/Porto_Velho",
    "America/Recife",
    "America/Rio_Branco",
    "America/Santarem",
    "America/Sao_Paulo",
)
"""The names under BR in `zone1970.tab`: all are behind UTC, by one hour to five."""


@dataclass(frozen=True)
class CopomMeeting:
    """One meeting of the COPOM.

    Attributes:
        meeting_id: `R1/2026`, as the survey names it.
        number: place in the year, from 1.
        decided_on: its last day.
        previous_on: last day of the meeting before it; None where that one is not in the file.
        year_end_id: the last meeting of its year.
    """

    meeting_id: str
    year: int
    number: int
    decided_on: date
    previous_on: date | None
    year_end_id: str


def _rows(name: str) -> Iterator[dict[str, str]]:
    # estados.csv begins with a byte order mark, the others do not: utf-8-sig reads both.
    with (FOLDER / name).open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


@cache
def state_zones() -> dict[str, str]:
    """State (two letters) → the zone that its capital and nearly all of it have."""
    return {row["uf"]: row["time_zone"] for row in _rows("state_time_zones.csv")}


@cache
def listed_zones() -> dict[str, str]:
    """Municipality code → its zone, where the file has it because it is another than the state's."""
    return {row["municipality_code"]: row["time_zone"] for row in _rows("municipality_time_zones.csv")}


@cache
def listed_stations() -> dict[str, str]:
    """Weather station → its municipality, of the stations in that file."""
    rows = _rows("municipality_time_zones.csv")
    return {row["station_code"]: row["municipality_code"] for row in rows if row["station_code"]}


def own_zones() -> dict[str, str]:
    """Municipality code → its zone, where it is another than its state's: by the file, and by the settings."""
    chosen = {each.municipality_code: each.time_zone for each in choices.places() if each.time_zone}
    return {**listed_zones(), **chosen}


def own_station_zones() -> dict[str, str]:
    """Weather station in such a municipality → its zone."""
    own = own_zones()
    chosen = {each.station_code: each.municipality_code for each in choices.places() if each.station_code}
    return {station: own[code] for station, code in {**listed_stations(), **chosen}.items() if code in own}


@cache
def municipalities() -> tuple[Municipality, ...]:
    """All 5,571 municipalities, in the file's order."""
    states = {row["codigo_uf"]: row for row in _rows("estados.csv")}
    own = listed_zones()
    return tuple(
        Municipality(
            municipality_code=row["codigo_ibge"],
            name=row["nome"],
            uf=states[row["codigo_uf"]]["uf"],
            region=states[row["codigo_uf"]]["regiao"],
            latitude_degrees=float(row["latitude"]),
            longitude_degrees=float(row["longitude"]),
            is_capital=row["capital"] == "1",
            area_code=row["ddd"],
            time_zone=own.get(row["codigo_ibge"]) or state_zones()[states[row["codigo_uf"]]["uf"]],
        )
        for row in _rows("municipios.csv")
    )


@cache
def capitals() -> tuple[Capital, ...]:
    """The 27 capitals by state."""
    zones = {place.municipality_code: place.time_zone for place in municipalities() if place.is_capital}
    return tuple(
        Capital(row["uf"], row["municipality_code"], row["station_code"], zones[row["municipality_code"]])
        for row in _rows("capital_stations.csv")
    )


def factor_places() -> tuple[FactorPlace, ...]:
    """The municipalities of `external_factors_daily`: the capitals, and those that the settings add or change."""
    found = {
        each.municipality_code: FactorPlace(each.uf, each.municipality_code, each.station_code, each.municipality_code)
        for each in capitals()
    }
    states = {each.municipality_code[:2]: each.uf for each in capitals()}
    for each in choices.places():
        code = each.municipality_code
        station = each.station_code or (found[code].station_code if code in found else "")
        found[code] = FactorPlace(states[code[:2]], code, station, each.point_id)
    return tuple(found.values())


MEETINGS_A_YEAR = 8


@cache
def copom_meetings() -> tuple[CopomMeeting, ...]:
    """The meetings whose day is known, in the file's order, which is that of time."""
    days = {row["meeting_id"]: date.fromisoformat(row["decided_on"]) for row in _rows("copom_meetings.csv")}
    found = []
    for meeting_id, decided_on in days.items():
        number, year = (int(part) for part in meeting_id.removeprefix("R").split("/"))
        # With a gap in the file it is unknown on which days a meeting was the next one.
        previous = f"R{number - 1}/{year}" if number > 1 else f"R{MEETINGS_A_YEAR}/{year - 1}"
        last = f"R{MEETINGS_A_YEAR}/{year}"
        found.append(CopomMeeting(meeting_id, year, number, decided_on, days.get(previous), last))
    return tuple(found)


@cache
def time_zones() -> tuple[str, ...]:
    """Every time zone a municipality has."""
    return tuple(sorted({*state_zones().values(), *listed_zones().values()}))

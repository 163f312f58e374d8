"""The reference files beside the jobs, read once: municipalities, states, and the weather station of each capital."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "reference"


@dataclass(frozen=True)
class Municipality:
    """One municipality, with its state's short name and region.

    Attributes:
        municipality_code: IBGE code, 7 digits.
        area_code: telephone area (DDD), 2 digits.
        time_zone: IANA name as the list has it: coarser than IANA itself (README of the folder).
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
    """A state's capital and the automatic station that stands for its weather."""

    uf: str
    municipality_code: str
    station_code: str
    time_zone: str


def _rows(name: str) -> Iterator[dict[str, str]]:
    # estados.csv begins with a byte order mark, the others do not: utf-8-sig reads both.
    with (FOLDER / name).open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


@cache
def municipalities() -> tuple[Municipality, ...]:
    """All 5,571 municipalities, in the file's order."""
    states = {row["codigo_uf"]: row for row in _rows("estados.csv")}
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
            time_zone=row["fuso_horario"],
        )
        for row in _rows("municipios.csv")
    )


@cache
def capitals() -> tuple[Capital, ...]:
    """The 27 capitals by state; the time zone is the capital's row in the municipality list."""
    zones = {place.municipality_code: place.time_zone for place in municipalities() if place.is_capital}
    return tuple(
        Capital(row["uf"], row["municipality_code"], row["station_code"], zones[row["municipality_code"]])
        for row in _rows("capital_stations.csv")
    )


@cache
def time_zones() -> tuple[str, ...]:
    """Every time zone a capital has: few, so that a change can name its civil day in each of them."""
    return tuple(sorted({capital.time_zone for capital in capitals()}))

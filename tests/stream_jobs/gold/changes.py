"""Random changes of the datasets that gold is made from: revisions, late versions, replays."""

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

from pyspark.sql import DataFrame

from schemas.contracts import load
from tests.stream_jobs.gold.memory_silver import MemorySilver, Row, instant

FIRST_ON, DAYS = date(2024, 2, 1), 50
# Salvador, Rio Branco, one that only its metadata places, and Eirunepé, which is not on Manaus' clock
STATIONS = ("A401", "A104", "A999", "A109")
SALVADOR, RIO_BRANCO, NATAL, FEIRA, TABATINGA = "2927408", "1200401", "2408102", "2910800", "1304062"
MONTHS = tuple(date(2023 + n // 12, n % 12 + 1, 1) for n in range(15))
OPERATORS = ("1" * 14, "2" * 14)


def _moment(rng: random.Random) -> datetime:
    at = datetime.combine(FIRST_ON, datetime.min.time()) + timedelta(hours=rng.randrange(24 * DAYS))
    return instant(at.isoformat())


def hours(rng: random.Random) -> Iterator[Row]:
    for _ in range(60):
        yield {
            "station_code": rng.choice(STATIONS),
            "observed_at": _moment(rng),
            "air_temperature_celsius": rng.choice([None, round(rng.uniform(18, 36), 1)]),
            "air_temperature_max_celsius": round(rng.uniform(18, 40), 1),
            "relative_humidity_percent": float(rng.randrange(101)),
            "rain_mm": rng.choice([None, 0.0, round(rng.uniform(0, 90), 1)]),
        }


def a_whole_day(rng: random.Random) -> Iterator[Row]:
    """A day that the reanalysis knows whole, which is what it must be to be preferred; or whose end it forecasts."""
    midnight = _moment(rng).replace(hour=3)
    noted, fetched_at = rng.choice([None, False, True]), midnight + timedelta(hours=rng.choice([9, 48, 48]))
    for hour in range(rng.choice([21, 24])):
        yield {
            "point_id": rng.choice([SALVADOR] * 8 + [FEIRA, TABATINGA]),
            "model": rng.choice(["best_match"] * 9 + ["era5"]),
            "valid_at": midnight + timedelta(hours=hour),
            "air_temperature_celsius": round(rng.uniform(18, 36), 1),
            "relative_humidity_percent": float(rng.randrange(101)),
            "precipitation_mm": rng.choice([None, 0.0, round(rng.uniform(0, 9), 1)]),
            "wind_speed_km_h": float(rng.randrange(40)),
            "is_forecast": noted if hour > 18 else None,
            "retrieved_at": fetched_at,
        }


def stations(rng: random.Random) -> Iterator[Row]:
    for code in rng.sample(STATIONS, rng.randrange(1, 3)):
        valid_from_on = date(rng.choice([2023, 2024]), 1, 1)
        yield {"station_code": code, "valid_from_on": valid_from_on, "uf": rng.choice(["BA", "AC", "AM", None])}


def first_metadata(_: random.Random) -> Iterator[Row]:
    yield {"station_code": "A999", "valid_from_on": date(2022, 1, 1), "uf": "BA"}


def quotations(rng: random.Random) -> Iterator[Row]:
    for series, least, most in ((1, 4, 6), (432, 9, 12)):
        for _ in range(6):
            on = FIRST_ON + timedelta(days=rng.randrange(-45, DAYS))
            yield {"series_code": series, "reference_on": on, "value": Decimal(str(round(rng.uniform(least, most), 4)))}


def periods(rng: random.Random) -> Iterator[Row]:
    for series in (433, 189, 24364):
        for month in rng.sample(MONTHS, rng.randrange(4, 14)):
            value = rng.choice([None, "0.1", "0.83", "-0.08", "0.5"])
            yield {"series_code": series, "reference_on": month, "value": value and Decimal(value)}


def expectations(rng: random.Random) -> Iterator[Row]:
    """Meetings of 31 January, 20 March and 8 May, the year's last, and one that no calendar has."""
    for _ in range(20):
        yield {
            "resource": rng.choice(["ExpectativasMercadoSelic"] * 5 + ["ExpectativasMercadoAnuais"]),
            "indicator": rng.choice(["Selic"] * 5 + ["IPCA"]),
            "surveyed_on": FIRST_ON + timedelta(days=rng.randrange(-35, DAYS)),
            "reference_period": rng.choice(["R1/2024", "R2/2024", "R3/2024", "R8/2024", "R9/2024"]),
            "base_calculation": rng.choice([0, 0, 0, 1]),
            "median": rng.choice([None, Decimal("10.75"), Decimal("9.5"), Decimal("11")]),
        }


def accesses(rng: random.Random) -> Iterator[Row]:
    for _ in range(30):
        yield {
            "reference_month_on": rng.choice(MONTHS),
            "cnpj": rng.choice(OPERATORS),
            "company": rng.choice(["TELEFÔNICA", "TELEFONICA", None]),
            "economic_group": rng.choice(["VIVO", "OUTROS"]),
            "provider_size": "Grande Porte",
            "municipality_code": rng.choice([SALVADOR, SALVADOR, RIO_BRANCO, FEIRA, None]),
            "technology": rng.choice(["NR", "LTE", None]),
            "generation": rng.choice(["4G", "5G", "5G Non Stand Alone", None]),
            "product_type": rng.choice(["VOZ+DADOS", "VOZ", "M2M", "PONTO_DE_SERVICO", "OCIOSO", None]),
            "accesses": rng.randrange(100),
        }


def broadband(rng: random.Random) -> Iterator[Row]:
    return ({name: value for name, value in row.items() if name != "generation"} for row in accesses(rng))


def licences(rng: random.Random) -> Iterator[Row]:
    for _ in range(12):
        first = rng.choice([None, FIRST_ON + timedelta(days=rng.randrange(-60, DAYS))])
        yield {
            "license_row_id": str(rng.randrange(9)),
            "station_number": str(rng.randrange(5)),
            "municipality_code": rng.choice([SALVADOR, RIO_BRANCO, FEIRA, None]),
            "technology": rng.choice(["NR", "NR", "LTE"]),
            "first_licensed_on": first,
            "licensed_on": rng.choice([None, first]),
        }


def population(rng: random.Random) -> Iterator[Row]:
    for _ in range(8):
        yield {
            "table_id": rng.choice([6579, 6579, 6579, 5938]),
            "territory_level": "6",
            "territory_code": rng.choice([SALVADOR, SALVADOR, RIO_BRANCO, FEIRA]),
            "variable_code": "9324",
            "period_code": rng.choice(["2021", "2023", "2024"]),
            "classifications": "",
            "value": rng.choice([None, Decimal(rng.randrange(1, 2_000_000))]),
        }


def bulletins(rng: random.Random) -> Iterator[Row]:
    for _ in range(20):
        rate = Decimal(str(round(rng.uniform(4, 6), 4)))
        yield {
            "currency_code": rng.choice(["USD", "EUR"]),
            "quoted_at": instant(f"2024-02-{rng.randrange(1, 5):02}T{rng.randrange(24):02}"),
            "bulletin_type": rng.choice(["Abertura", "Fechamento", "Fechamento PTAX"]),
            "buying_rate": rate,
            "selling_rate": rate + Decimal("0.001"),
        }


DRAW: dict[str, tuple[str, Callable[[random.Random], Iterator[Row]]]] = {
    "hours": ("inmet_hourly", hours),
    "reanalysis": ("openmeteo_archive", a_whole_day),
    "first metadata": ("inmet_stations", first_metadata),
    "stations": ("inmet_stations", stations),
    "quotations": ("bcb_sgs", quotations),
    "periods": ("bcb_sgs", periods),
    "mobile": ("anatel_mobile_accesses", accesses),
    "broadband": ("anatel_broadband_accesses", broadband),
    "licences": ("anatel_base_stations", licences),
    "population": ("ibge_sidra", population),
    "bulletins": ("bcb_ptax", bulletins),
    "expectations": ("bcb_focus", expectations),
}


def change(silver: MemorySilver, rng: random.Random, kind: str) -> dict[str, DataFrame]:
    """Some new revisions, known at any time: newer and older than those there are. Sometimes some come again, and
    sometimes a few keys are withdrawn."""
    dataset, draw = DRAW[kind]
    rows = list(draw(rng))
    for row in rows:
        row["known_from"] = instant("2024-01-05") + timedelta(days=rng.randrange(60), minutes=rng.randrange(999))
        row["published_at_basis"] = rng.choice(["http_last_modified", "assumed_lag"])
    if rng.random() < 0.3:
        rows += [dict(row) for row in silver.rows[dataset][:20]]
    if rng.random() < 0.4:
        rows += withdrawals(rng, dataset, silver.rows[dataset])
    return {dataset: silver.add(dataset, *rows)}


def withdrawals(rng: random.Random, dataset: str, held: list[Row]) -> Iterator[Row]:
    """Of a few keys that there are: their key, a clock of any time, and no values."""
    for row in rng.sample(held, min(len(held), 4)):
        yield {name: row.get(name) for name in load(dataset).key} | {
            "known_from": instant("2024-01-05") + timedelta(days=rng.randrange(90), minutes=rng.randrange(999)),
            "is_withdrawn": True,
        }

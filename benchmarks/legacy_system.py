"""A legacy system to leave: `unified_dataset_with_factors` of any size with the dirt that such tables have, as SQLite
and as CSV, and the three small tables that its readers ask for. Seeded: the same rows every time.
"""

import csv
import math
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

NAME = "unified_dataset_with_factors"
ROWS = 118_082
FIRST, LAST = date(2013, 11, 1), date(2025, 1, 31)

COLUMNS = (
    ("date", "TEXT"),
    ("item_id", "INTEGER"),
    ("item_name", "TEXT"),
    ("quantity", "TEXT"),
    ("site_id", "TEXT"),
    ("category", "TEXT"),
    ("cost", "REAL"),
    ("lead_time", "REAL"),
    ("dataset_source", "TEXT"),
    ("temperature", "REAL"),
    ("precipitation", "REAL"),
    ("humidity", "REAL"),
    ("extreme_heat", "INTEGER"),
    ("heavy_rain", "INTEGER"),
    ("high_humidity", "INTEGER"),
    ("exchange_rate_brl_usd", "REAL"),
    ("inflation_rate", "REAL"),
    ("high_inflation", "INTEGER"),
    ("currency_devaluation", "INTEGER"),
    ("5g_coverage", "INTEGER"),
    ("5g_expansion_rate", "REAL"),
    ("regulatory_compliance_date", "TEXT"),
    ("is_holiday", "INTEGER"),
    ("is_carnival", "INTEGER"),
    ("is_vacation_period", "INTEGER"),
    ("sla_renewal_period", "INTEGER"),
    ("weekend", "INTEGER"),
    ("climate_impact", "REAL"),
    ("economic_impact", "REAL"),
    ("operational_impact", "REAL"),
    ("demand_adjustment_factor", "REAL"),
)
"""Name and SQLite type of the 31 columns."""

BAD_DATE_EVERY, BAD_QUANTITY_EVERY = 496, 992
"""So many rows apart, a date or a quantity is none: 239 and 120 of 118,082."""
BEYOND_DOUBLE = 2**53 + 1
SEVENTEEN = 5.123456789012345


def rows(count: int = ROWS, seed: int = 42) -> Iterator[tuple[Any, ...]]:
    """The rows in the types of SQLite."""
    random_ = random.Random(seed)
    days = (LAST - FIRST).days
    for number in range(count):
        day = FIRST + timedelta(days=number * days // max(count, 1))
        heat, rain, damp = random_.uniform(18, 36), max(0.0, random_.gauss(2, 12)), random_.uniform(50, 100)
        rate, inflation = random_.uniform(2.2, 6.2), random_.uniform(0, 8)
        climate = 0.3 * (heat > 32) + 0.4 * (rain > 50) + 0.2 * (damp > 80)
        economic = 0.5 * (inflation > 5) + 0.5 * (rate > 5.3)
        operational = 0.5 * (day.month in {1, 7}) - 0.25 * (day.month == 7) - 0.25 * (day.day == 25)
        yield (
            _date(number, day),
            BEYOND_DOUBLE if number == 7 else 1_000 + number % 871,
            _name(number),
            _quantity(number, random_.randrange(1, 60)),
            f"{12 + number % 40:014d}",
            ("CABO", "ANTENA", "FERRAGEM")[number % 3],
            SEVENTEEN if number == 3 else round(random_.uniform(1, 900), 2),
            float(random_.randrange(1, 90)),
            "estoque",
            heat,
            rain,
            damp,
            int(heat > 32),
            int(rain > 50),
            int(damp > 80),
            rate,
            inflation,
            int(inflation > 5),
            int(rate > 5.3),
            int(day >= date(2024, 1, 1)),
            max(0, (day - date(2024, 1, 1)).days) / 365 * 0.2,
            None,
            int(day.day == 25 and day.month == 12),
            0,
            int(day.month == 7),
            int(day.month in {1, 7}),
            int(day.weekday() >= 5),
            climate,
            economic,
            operational,
            1 + 0.3 * climate + 0.1 * economic + 0.2 * min(1.0, max(0.0, operational)),
        )


def _date(number: int, day: date) -> str:
    if number % BAD_DATE_EVERY == 1:
        return "2023-02-30"
    if number % 50 == 2:
        return f"{day:%d/%m/%Y}"
    if number % 500 == 4:
        return str((day - date(1970, 1, 1)).days * 86_400)
    return day.isoformat()


def _quantity(number: int, value: int) -> str | None:
    if number % BAD_QUANTITY_EVERY == 3:
        return "doze"
    return {5: f" {value} ", 6: f"{value}.0", 8: None}.get(number % 100, str(value))


def _name(number: int) -> Any:
    return {
        9: b"cabo \xff\xfe",  # a blob in a column of text
        10: 'parafuso "sextavado"\nM8',
        11: "",
        12: "fusível\t10A; rápido",
        13: "d'água \\N",
    }.get(number, f"Peça número {number % 871}")


def bad_rows(count: int = ROWS) -> int:
    """Rows of these that no mapping can accept."""
    return sum(n % BAD_DATE_EVERY == 1 or n % BAD_QUANTITY_EVERY == 3 for n in range(count))


def write_sqlite(file: Path, count: int = ROWS) -> Path:
    """The big table, the three tables of the readers, and a view over one of them."""
    declared = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"CREATE TABLE {NAME} ({declared})")
        connection.executemany(f"INSERT INTO {NAME} VALUES ({', '.join('?' * len(COLUMNS))})", rows(count))
        for name, columns, made in SMALL:
            connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
            places = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {name} VALUES ({places})", [made(day) for day in range(60)])
        connection.execute("CREATE VIEW chuva AS SELECT data_referencia, precipitacao_mm FROM ClimaSalvador")
        connection.commit()
    return file


def write_csv(file: Path, count: int = ROWS, *, encoding: str = "utf-8", delimiter: str = ",") -> Path:
    """The big table as a CSV file; the blob is a line that is no UTF-8."""
    with file.open("w", encoding=encoding, newline="", errors="surrogateescape") as opened:
        writer = csv.writer(opened, delimiter=delimiter, lineterminator="\n")
        writer.writerow([name for name, _ in COLUMNS])
        for row in rows(count):
            writer.writerow([_written(value) for value in row])
    return file


def _written(value: Any) -> str:
    if value is None:
        return ""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else str(value)


def _day(number: int) -> str:
    return (date(2024, 1, 1) + timedelta(days=number)).isoformat()


SMALL = (
    (
        "ClimaSalvador",
        (
            "data_referencia TEXT",
            "temperatura_media REAL",
            "temperatura_maxima REAL",
            "temperatura_minima REAL",
            "precipitacao_mm REAL",
            "umidade_percentual REAL",
            "velocidade_vento_kmh REAL",
        ),
        lambda n: (_day(n), 26 + math.sin(n), 30.5, 22.1, float(n % 7 * 10), 75.0, 12.5),
    ),
    (
        "IndicadoresEconomicos",
        (
            "data_referencia TEXT",
            "taxa_inflacao REAL",
            "taxa_inflacao_anual REAL",
            "taxa_cambio_brl_usd REAL",
            "pib_crescimento REAL",
            "taxa_selic REAL",
            "indice_consumo REAL",
        ),
        lambda n: (_day(n), 0.42, 4.5, 5 + n / 100, 2.9, 11.75, 98.5),
    ),
    (
        "Expansao5G",
        (
            "data_referencia TEXT",
            "cobertura_5g_percentual REAL",
            "investimento_5g_brl_billions REAL",
            "torres_5g_ativas INTEGER",
            "municipios_5g INTEGER",
            "velocidade_media_mbps REAL",
        ),
        lambda n: (_day(n), min(100.0, n * 1.5), 1.2, 100 + n, 27, 250.0),
    ),
)
"""Name, columns and a row of day `n`, of the tables whose readers must find them again."""

"""Municipalities, their inhabitants, and the calendar."""

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from tests.gold_rules.known import DAY, Row, Silver, by, reference, until_the_next, utc_day, zone_of_place

FIRST_ON, LAST_ON = date(2000, 1, 1), date(2035, 12, 31)
FIXED = {
    (1, 1): "Confraternização Universal",
    (4, 21): "Tiradentes",
    (5, 1): "Dia do Trabalhador",
    (9, 7): "Independência do Brasil",
    (10, 12): "Nossa Senhora Aparecida",
    (11, 2): "Finados",
    (11, 15): "Proclamação da República",
    (12, 25): "Natal",
}
ZUMBI, ZUMBI_SINCE = "Dia Nacional de Zumbi e da Consciência Negra", 2024


def municipalities() -> list[Row]:
    """`dim_municipality`."""
    states = {row["codigo_uf"]: row for row in reference("estados.csv")}
    return [
        {
            "municipality_code": row["codigo_ibge"],
            "name": row["nome"],
            "uf": states[row["codigo_uf"]]["uf"],
            "region": states[row["codigo_uf"]]["regiao"],
            "latitude_degrees": float(row["latitude"]),
            "longitude_degrees": float(row["longitude"]),
            "is_capital": row["capital"] == "1",
            "area_code": row["ddd"],
            "time_zone": zone_of_place(row["codigo_ibge"]),
        }
        for row in reference("municipios.csv")
    ]


def estimates(silver: Silver) -> list[Row]:
    """IBGE's yearly estimates of municipalities (SIDRA 6579, variable 9324): each is of its year's 1 July."""
    return [
        {
            "municipality_code": row["territory_code"],
            "reference_on": date(int(row["period_code"]), 7, 1),
            "population": int(row["value"].quantize(Decimal(1), ROUND_HALF_UP)),
            "known_on": utc_day(row["first_known_from"]),
            "known_from": row["known_from"],
            "is_assumed": row["is_assumed"],
        }
        for row in silver.newest("ibge_sidra", "value")
        if (row["table_id"], row["variable_code"], row["territory_level"]) == (6579, "9324", "6")
        and re.fullmatch("[0-9]{4}", row["period_code"])
        and row["value"] is not None
    ]


def populations(silver: Silver) -> list[Row]:
    """`dim_municipality_population`: an estimate holds until the day before the next one's."""
    kept = ("municipality_code", "population", "known_from")
    return [
        row
        for rows in by(estimates(silver), "municipality_code").values()
        for row in until_the_next(
            {name: row[name] for name in kept} | {"valid_from_on": row["reference_on"]} for row in rows
        )
    ]


def calendar() -> list[Row]:
    """`dim_date`."""
    holidays = {year: _holidays(year) for year in range(FIRST_ON.year, LAST_ON.year + 1)}
    return [_day(FIRST_ON + DAY * n, holidays) for n in range((LAST_ON - FIRST_ON).days + 1)]


def _day(on: date, holidays: dict[int, dict[date, tuple[bool, list[str]]]]) -> Row:
    is_national, names = holidays[on.year].get(on, (None, []))
    return {
        "date_on": on,
        "year": on.year,
        "quarter": (on.month + 2) // 3,
        "month": on.month,
        "day": on.day,
        "iso_week": on.isocalendar().week,
        "day_of_week": on.isoweekday(),
        "is_weekend": on.isoweekday() > 5,
        "month_start_on": on.replace(day=1),
        "is_month_end": (on + DAY).day == 1,
        "is_holiday": is_national is True,
        "is_optional_holiday": is_national is False,
        "holiday_name": "; ".join(sorted(names)) or None,
    }


def _holidays(year: int) -> dict[date, tuple[bool, list[str]]]:
    """Day → whether it is a holiday by law, and its names."""
    sunday = _easter(year)
    named = [(date(year, *place), name) for place, name in FIXED.items()] + [(sunday - 2 * DAY, "Sexta-feira Santa")]
    if year >= ZUMBI_SINCE:
        named.append((date(year, 11, 20), ZUMBI))
    found: dict[date, tuple[bool, list[str]]] = {}
    for on, name in named:
        found.setdefault(on, (True, []))[1].append(name)
    for days, name in ((-48, "Carnaval"), (-47, "Carnaval"), (60, "Corpus Christi")):
        found.setdefault(sunday + days * DAY, (False, [name]))
    return found


def _easter(year: int) -> date:
    """Of the Gregorian calendar, by Gauss as Lichtenberg completed him."""
    century, lunar = year // 100, year % 19
    secular = 15 + (3 * century + 3) // 4 - (8 * century + 13) // 25
    moon = (19 * lunar + secular) % 30
    limit = 21 + moon - (moon // 29 + (moon // 28 - moon // 29) * (lunar // 11))
    first_sunday = 7 - (year + year // 4 + 2 - (3 * century + 3) // 4) % 7
    after = 7 - (limit - first_sunday) % 7
    return date(year, 3, 1) + DAY * (limit + after - 1)

"""Accesses, licences and operators."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from tests.gold_rules.known import Row, Silver, by, group, latest, percent, until_the_next, utc_day

MOBILE, BROADBAND, LICENCES = "anatel_mobile_accesses", "anatel_broadband_accesses", "anatel_base_stations"
LEAP_POINTS = 5
LICENCE = (
    "station_number",
    "cnpj",
    "company",
    "uf",
    "municipality_code",
    "technology",
    "generation",
    "latitude_degrees",
    "longitude_degrees",
    "transmit_frequency_mhz",
    "licensed_on",
    "first_licensed_on",
    "valid_until_on",
)
DESCRIBED = ("company", "economic_group", "provider_size")
CARRIER = ("municipality_code", "station_number", "technology", "first_licensed_on", "licensed_on")


def is_of_people(row: Row) -> bool:
    """What ANATEL's headline counts: neither machines (M2M*), nor points of service, nor idle lines (OCIOSO*)."""
    product = row["product_type"] or ""
    return not product.startswith(("M2M", "OCIOSO")) and product != "PONTO_DE_SERVICO"


def is_5g(row: Row) -> bool:
    """Also what was called `5G Non Stand Alone`."""
    return (row["generation"] or "").startswith("5G")


def count(rows: Iterable[Row]) -> int:
    """Accesses of rows; a withdrawn one has none."""
    return sum(row["accesses"] or 0 for row in rows)


def there(rows: Iterable[Row]) -> list[Row]:
    """Those that are not withdrawn."""
    return [row for row in rows if not row.get("is_withdrawn")]


def mobile_facts(silver: Silver) -> list[Row]:
    """`fact_mobile_accesses_monthly`. A sum is without a row since the row's withdrawal."""
    found = []
    for place, rows in _named(silver, MOBILE, "generation").items():
        if held := there(rows):
            people = count(filter(is_of_people, held))
            found.append(
                dict(zip(("reference_month_on", "municipality_code", "generation"), place, strict=True))
                | {
                    "accesses": count(held),
                    "people_accesses": people,
                    "machine_accesses": count(held) - people,
                    "operators": len({row["cnpj"] for row in held}),
                    "known_from": latest(row["known_from"] for row in rows),
                }
            )
    return found


def broadband_facts(silver: Silver) -> list[Row]:
    """`fact_broadband_accesses_monthly`."""
    return [
        dict(zip(("reference_month_on", "municipality_code", "technology"), place, strict=True))
        | {
            "accesses": count(held),
            "providers": len({row["cnpj"] for row in held}),
            "known_from": latest(row["known_from"] for row in rows),
        }
        for place, rows in _named(silver, BROADBAND, "technology").items()
        if (held := there(rows))
    ]


def _named(silver: Silver, dataset: str, kind: str) -> dict[Any, list[Row]]:
    """Month, municipality and kind → rows; what the source leaves empty is the empty text."""
    rows = silver.newest(dataset, "accesses", withdrawn=True)
    return group(rows, lambda row: (row["reference_month_on"], row["municipality_code"] or "", row[kind] or ""))


def licences(silver: Silver) -> list[Row]:
    """`fact_base_stations`: the licences that the source's file still holds."""
    return [{name: row[name] for name in ("license_row_id", *LICENCE, "known_from")} for row in silver.newest(LICENCES)]


def operators(silver: Silver) -> list[Row]:
    """`dim_operator`: a description (name, group, size) of an operator, from its first month to the next one's.

    Of a month's descriptions it is the one of most accesses; of equal ones the last in order, an unknown part first.
    """
    rows = [*silver.newest(MOBILE, "accesses"), *silver.newest(BROADBAND, "accesses")]
    found = []
    for (cnpj,), own in by(rows, "cnpj").items():
        changes: list[Row] = []
        before = None
        for (month,), of_month in sorted(by(own, "reference_month_on").items()):
            said = by(of_month, *DESCRIBED)
            most = max(said, key=lambda each: (count(said[each]), *((part is not None, part or "") for part in each)))
            if most != before:
                change = {
                    "cnpj": cnpj,
                    "valid_from_on": month,
                    "known_from": latest(row["known_from"] for row in of_month),
                }
                changes.append(change | dict(zip(DESCRIBED, most, strict=True)))
                before = most
        found += until_the_next(changes)
    return found


def mobile_months(silver: Silver) -> dict[tuple[str, date], Row]:
    """Municipality and month → people's accesses and all, their share of 5G, and its change against the month before.

    Also `known_on`, the first day any of it was known, and the clocks.
    """
    found = {}
    for place, rows in _months(silver, MOBILE).items():
        if held := there(rows):
            people, fast = list(filter(is_of_people, held)), list(filter(is_5g, held))
            found[place] = _clocks(rows) | {
                "mobile_accesses": count(people),
                "mobile_accesses_5g": count(filter(is_of_people, fast)),
                "mobile_accesses_all": count(held),
                "mobile_accesses_5g_all": count(fast),
                "share_5g_percent": percent(count(filter(is_of_people, fast)), count(people)),
            }
    return {
        (place, month): _with_coverage(row, found.get((place, back(month, 1)))) for (place, month), row in found.items()
    }


def _with_coverage(row: Row, before: Row | None) -> Row:
    share, earlier = row["share_5g_percent"], before and before["share_5g_percent"]
    change = None if share is None or earlier is None else share - earlier
    compared = {
        "share_5g_change_points": change,
        "expansion_rate_5g_percent": None if change is None or not earlier else change / earlier * 100,
        "is_5g_milestone": None if change is None else round(change, 9) > LEAP_POINTS,
    }
    return row | compared | _both_clocks(row, before)


def broadband_months(silver: Silver) -> dict[tuple[str, date], Row]:
    """Municipality and month → accesses, their growth over a year, and the clocks as above."""
    found = {
        place: _clocks(rows) | {"broadband_accesses": count(held)}
        for place, rows in _months(silver, BROADBAND).items()
        if (held := there(rows))
    }
    years = {}
    for (place, month), row in found.items():
        before = found.get((place, back(month, 12)))
        growth = before and percent(
            row["broadband_accesses"] - before["broadband_accesses"], before["broadband_accesses"]
        )
        years[place, month] = row | {"broadband_growth_12m_percent": growth} | _both_clocks(row, before)
    return years


def _months(silver: Silver, dataset: str) -> dict[tuple[str, date], list[Row]]:
    rows = silver.newest(dataset, "accesses", withdrawn=True)
    return group(rows, lambda row: row["municipality_code"] and (row["municipality_code"], row["reference_month_on"]))


def _clocks(rows: list[Row]) -> Row:
    known = min(row["first_known_from"] for row in rows if row["first_known_from"] is not None)
    clock = latest(row["known_from"] for row in rows)
    return {"known_on": utc_day(known), "known_from": clock, "is_assumed": any(row["is_assumed"] for row in rows)}


def _both_clocks(row: Row, before: Row | None) -> Row:
    pair = [row, before] if before else [row]
    return {"known_from": latest(each["known_from"] for each in pair), "is_assumed": any(e["is_assumed"] for e in pair)}


def carriers_5g(silver: Silver) -> list[Row]:
    """NR carriers in a named municipality, with the day each was licensed: the first it names, else the first known."""
    return [
        row | {"since": row["first_licensed_on"] or row["licensed_on"] or utc_day(row["first_known_from"])}
        for row in silver.newest(LICENCES, *CARRIER)
        if row["technology"] == "NR" and row["municipality_code"] is not None
    ]


def coverage(silver: Silver) -> list[Row]:
    """`fact_5g_municipality`: each month with accesses, and each in which a 5G station was first licensed."""
    months = mobile_months(silver)
    licensed = {
        place: (min(row["since"] for row in rows).replace(day=1), latest(row["known_from"] for row in rows))
        for place, rows in by(carriers_5g(silver), "municipality_code", "station_number").items()
    }
    of_place = group(
        [{"place": place, "since": since, "known_from": known} for (place, _), (since, known) in licensed.items()],
        lambda row: row["place"],
    )
    found = []
    for place, month in months.keys() | {(place, since) for (place, _), (since, _) in licensed.items()}:
        by_then = [row for row in of_place.get(place, ()) if row["since"] <= month]
        row = months.get((place, month), {})
        found.append(
            {"municipality_code": place, "reference_month_on": month, "stations_5g": len(by_then)}
            | {name: row.get(name) for name in COVERED}
            | {"known_from": latest([row.get("known_from"), *(each["known_from"] for each in by_then)])}
        )
    return found


COVERED = (
    "mobile_accesses",
    "mobile_accesses_5g",
    "mobile_accesses_all",
    "mobile_accesses_5g_all",
    "share_5g_percent",
    "share_5g_change_points",
    "expansion_rate_5g_percent",
    "is_5g_milestone",
)


def back(month: date, months: int) -> date:
    """The month so many before, first days both."""
    number = month.year * 12 + month.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)

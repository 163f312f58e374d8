"""Observations of series and exchange rates, and what a day knew of the economy."""

import math
import statistics
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from tests.gold_rules.known import (
    Row,
    Silver,
    above,
    by,
    civil_day,
    group,
    latest,
    least,
    reference,
    utc_day,
)

USD, SELIC = 1, 432
CARRIED = {
    433: ("ipca", "ipca_monthly_percent", True),
    188: ("inpc", "inpc_monthly_percent", True),
    189: ("igpm", "igpm_monthly_percent", True),
    24364: ("ibc_br", "ibc_br_index", False),
    24369: ("unemployment", "unemployment_percent", False),
    22099: ("gdp", "gdp_index", False),
}
"""Series → its prefix, its column, and whether its months are accumulated over a year."""
FRESH_DAYS, CHANGE_DAYS, SURVEY_DAYS = 10, 30, 30
DEVALUED_PERCENT, INFLATED_PERCENT = 5, 6
MEETINGS = 8
"""Of the COPOM, in a year."""


def observations(silver: Silver) -> list[Row]:
    """`fact_economic_observation`."""
    kept = ("series_code", "reference_on", "reference_end_on", "value", "known_from", "published_at_basis")
    return [{name: row[name] for name in kept} for row in silver.newest("bcb_sgs")]


def rates(silver: Silver) -> list[Row]:
    """`fact_fx_daily`: the closing bulletin's rates and the day's extremes."""
    days = group(
        silver.newest("bcb_ptax"),
        lambda row: (row["currency_code"], civil_day(row["quoted_at"], "America/Sao_Paulo")),
    )
    found = []
    for (currency, on), bulletins in days.items():
        closings = [row for row in bulletins if row["bulletin_type"].startswith("Fechamento")]
        closing = max(closings, key=lambda row: (row["quoted_at"], row["bulletin_type"]), default={})
        selling = [row["selling_rate"] for row in bulletins]
        found.append(
            {
                "currency_code": currency,
                "date_on": on,
                "closing_buying": closing.get("buying_rate"),
                "closing_selling": closing.get("selling_rate"),
                "lowest_selling": least(selling),
                "highest_selling": latest(selling),
                "bulletins": len(bulletins),
                "known_from": latest(row["known_from"] for row in bulletins),
            }
        )
    return found


def meetings() -> list[Row]:
    """`dim_copom_meeting`: each with the day of the one before it, where that one is in the file."""
    days = {row["meeting_id"]: date.fromisoformat(row["decided_on"]) for row in reference("copom_meetings.csv")}
    found = []
    for name, decided_on in days.items():
        number, year = map(int, name[1:].split("/"))
        before = f"R{number - 1}/{year}" if number > 1 else f"R{MEETINGS}/{year - 1}"
        known = {"meeting_id": name, "year": year, "number": number}
        found.append(known | {"decided_on": decided_on, "previous_on": days.get(before)})
    return found


class Economy:
    """What each day knew of the series and of the market's expectations."""

    def __init__(self, silver: Silver) -> None:
        values = [row for row in silver.newest("bcb_sgs", "value") if row["value"] is not None]
        series = {code: rows for (code,), rows in by(values, "series_code").items()}
        self._usd, self._selic = ({row["reference_on"]: row for row in series.get(code, ())} for code in (USD, SELIC))
        self.quoted = self._usd.keys() | self._selic.keys()
        self._periods = {code: _periods(series.get(code, ()), CARRIED[code][2]) for code in CARRIED}
        self._surveys = _surveys(silver)
        self._meetings = [row for row in meetings() if row["previous_on"]]

    def of_day(self, on: date) -> tuple[Row, list[Row]]:
        """The features of a day, and the rows that they are made from, for their clocks."""
        usd, selic = (_newest_within(each, on, FRESH_DAYS) for each in (self._usd, self._selic))
        base = _newest_within(self._usd, on - timedelta(days=CHANGE_DAYS), FRESH_DAYS)
        month = [self._usd[day] for day in _days(on, 30) if day in self._usd]
        change = None
        if usd and base and base["value"]:
            change = float(usd["value"] - base["value"]) / float(base["value"]) * 100
        found = {
            "usd_brl": usd and usd["value"],
            "selic_target_percent": selic and selic["value"],
            "fx_volatility_30d": statistics.stdev(float(row["value"]) for row in month) if len(month) > 1 else None,
            "fx_change_30d_percent": change,
            "is_devaluation": above(change, DEVALUED_PERCENT),
        }
        used = [*month, selic, base]
        for code, (prefix, column, accumulates) in CARRIED.items():
            known = [period for period in self._periods[code] if period["known_on"] <= on]
            period = max(known, key=lambda each: each["number"], default=None)
            used.append(period)
            found |= {f"{prefix}_reference_on": period and period["reference_on"], column: period and period["value"]}
            if accumulates:
                found[f"{prefix}_12m_percent"] = period and period["percent_12m"]
        inflation = found["ipca_12m_percent"]
        found["is_high_inflation"] = None if inflation is None else round(inflation, 9) > INFLATED_PERCENT
        expected, surveys = self._expected(on)
        return found | expected, [row for row in [*used, *surveys] if row]

    def _expected(self, on: date) -> tuple[Row, list[Row | None]]:
        """The Selic target expected of the next meeting, and of the last one of that meeting's year."""
        following = next((m for m in self._meetings if m["previous_on"] <= on < m["decided_on"]), None)
        now: Row | None = None
        at_end: Row | None = None
        if following:
            now = self._survey(following["meeting_id"], on)
            at_end = self._survey(f"R{MEETINGS}/{following['year']}", on)
        found = {
            "selic_expected_next_meeting_id": now and now["reference_period"],
            "selic_expected_next_percent": now and now["median"],
            "selic_expected_next_surveyed_on": now and now["surveyed_on"],
            "selic_expected_year_end_meeting_id": at_end and at_end["reference_period"],
            "selic_expected_year_end_percent": at_end and at_end["median"],
        }
        return found, [now, at_end]

    def _survey(self, meeting_id: str, on: date) -> Row | None:
        """The newest survey of a meeting that is at most thirty days old and was known by the day."""
        of_meeting = self._surveys.get((meeting_id,), {})
        asked = (of_meeting.get(day) for day in _days(on, SURVEY_DAYS + 1))
        return next((row for row in asked if row and row["known_on"] <= on), None)


def _newest_within(rows: dict[date, Row], on: date, days: int) -> Row | None:
    return next((rows[day] for day in _days(on, days + 1) if day in rows), None)


def _days(on: date, count: int) -> Iterable[date]:
    """So many days back from a day, it the first."""
    return (on - timedelta(days=each) for each in range(count))


def _periods(rows: Iterable[Row], accumulates: bool) -> list[Row]:
    """Periods with the day from which each was known, and what its year makes where all twelve months are there."""
    months = {row["reference_on"].year * 12 + row["reference_on"].month: row for row in rows}
    found = []
    for number, row in months.items():
        year = [months[each] for each in range(number - 11, number + 1) if each in months] if accumulates else [row]
        grown = math.prod(1 + float(each["value"]) / 100 for each in year)
        found.append(
            {name: row[name] for name in ("reference_on", "value")}
            | {
                "number": number,
                "known_on": utc_day(row["first_known_from"]),
                "percent_12m": (grown - 1) * 100 if len(year) == 12 else None,
                "known_from": latest(each["known_from"] for each in year),
                "is_assumed": any(row["is_assumed"] for row in year),
            }
        )
    return found


def _surveys(silver: Silver) -> dict[Any, dict[date, Row]]:
    """Meeting → day of survey → the median of all respondents."""
    rows = [
        row | {"known_on": utc_day(row["first_known_from"])}
        for row in silver.newest("bcb_focus", "median")
        if row["median"] is not None
        and (row["resource"], row["indicator"], row["base_calculation"]) == ("ExpectativasMercadoSelic", "Selic", 0)
        and all(row[name] is None for name in ("indicator_detail", "smoothed", "calculation_type"))
    ]
    return {
        meeting: {row["surveyed_on"]: row for row in each} for meeting, each in by(rows, "reference_period").items()
    }

"""`external_factors_daily`: weather, economy and telecom of the 27 capitals, day by day."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from tests.gold_rules import telecom, weather
from tests.gold_rules.economy import Economy
from tests.gold_rules.known import (
    Row,
    Silver,
    above,
    by,
    latest,
    percent,
    state_of_capital,
    station_of_capital,
    total,
)
from tests.gold_rules.places import estimates

HOT_CELSIUS, COLD_CELSIUS, HEAVY_MM, INTENSE_MM, HUMID_PERCENT = 35, 20, 50, 100, 80
WINDOW_DAYS = 30
CARRIED_MONTHS = 6
MEASURES = (
    "temperature_mean_celsius",
    "temperature_max_celsius",
    "temperature_min_celsius",
    "relative_humidity_mean_percent",
    "rain_mm",
    "wind_speed_mean_m_s",
    "wind_gust_max_m_s",
    "pressure_mean_hpa",
    "global_radiation_kj_m2",
)
Places = dict[str, list[Row]]


def factors(silver: Silver) -> list[Row]:
    """A row for each capital and day with weather there, or with a quotation of a daily series."""
    economy, skies, telecoms = Economy(silver), _weather(silver), Telecom(silver)
    inhabited = {code: rows for (code,), rows in by(estimates(silver), "municipality_code").items()}
    days = economy.quoted | {on for on, _ in skies}
    found = []
    for on in days:
        known, used = economy.of_day(on)
        for code, station in station_of_capital().items():
            if on not in economy.quoted and (on, code) not in skies:
                continue
            windows, sky = _windows(skies, on, code), skies.get((on, code))
            calls, counted = telecoms.of_day(on, code)
            there = [row for row in inhabited.get(code, ()) if row["known_on"] <= on]
            people = max(there, key=lambda row: row["reference_on"], default=None)
            parts = [*used, *counted, *windows.pop("used"), *([people] if people else [])]
            row = {"date_on": on, "municipality_code": code, "uf": state_of_capital()[code], "station_code": station}
            row |= _shown(sky) | windows | known | calls
            row |= {
                "population_reference_on": people and people["reference_on"],
                "population": people and people["population"],
                "known_from": latest(each["known_from"] for each in parts),
                "known_from_basis": "assumed" if any(each["is_assumed"] for each in parts) else "measured",
            }
            for kind in ("mobile", "broadband"):
                row[f"{kind}_accesses_per_100"] = percent(row[f"{kind}_accesses"], row["population"])
            found.append(row)
    return found


def _weather(silver: Silver) -> dict[tuple[date, str], Row]:
    """Day and capital → its weather: the station's, else the reanalysis's."""
    capital = {station: code for code, station in station_of_capital().items()}
    stations = {
        (row["date_on"], capital[row["station_code"]]): row
        for row in weather.observed(silver)
        if row["station_code"] in capital
    }
    points = {
        (row["date_on"], row["municipality_code"]): row
        for row in weather.reanalysed(silver)
        if row["model"] == "best_match" and row["municipality_code"] in station_of_capital()
    }
    return {place: _chosen(stations.get(place), points.get(place)) for place in stations.keys() | points.keys()}


def _chosen(station: Row | None, point: Row | None) -> Row:
    both = [row for row in (station, point) if row]
    clocks = {
        "known_from": latest(row["known_from"] for row in both),
        "is_assumed": any(row["is_assumed"] for row in both),
    }
    if station is not None and _is_observed(station, point):
        return station | {"weather_source": "inmet_hourly", "is_forecast": False} | clocks
    assert point is not None, "a day that has weather has it from somewhere"
    return (
        dict.fromkeys(MEASURES)
        | point
        | {
            "weather_source": "openmeteo_archive",
            "is_forecast": point["forecast_hours"] > 0,
            "hours_observed": point["hours_available"],
            "rain_hours_observed": point["rain_hours_available"],
        }
        | clocks
    )


def _is_observed(station: Row, point: Row | None) -> bool:
    """The station's day: if it is complete, or the reanalysis has no more hours of it, or only with forecasts."""
    if point is None or station["is_complete"]:
        return True
    if point["forecast_hours"]:
        return bool(station["hours_observed"] or station["rain_hours_observed"])
    return not point["is_complete"] and station["hours_observed"] >= point["hours_available"]


def _shown(sky: Row | None) -> Row:
    """The columns of a day's own weather; of one without any, unknown."""
    row = sky or dict.fromkeys((*MEASURES, "weather_source")) | {"hours_observed": 0, "rain_hours_observed": 0}
    highest, lowest, rain = row["temperature_max_celsius"], row["temperature_min_celsius"], row["rain_mm"]
    humidity = row["relative_humidity_mean_percent"]
    heavy, hot = above(rain, HEAVY_MM), above(highest, HOT_CELSIUS)
    return {name: row[name] for name in (*MEASURES, "weather_source", "hours_observed", "rain_hours_observed")} | {
        "is_forecast": bool(row.get("is_forecast")),
        "is_complete": bool(row.get("is_complete")),
        "is_extreme_heat": hot,
        "is_cold": None if lowest is None else lowest < COLD_CELSIUS,
        "is_no_rain": None if rain is None else rain == 0,
        "is_heavy_rain": heavy,
        "is_intense_rain": above(rain, INTENSE_MM),
        "is_high_humidity": above(humidity, HUMID_PERCENT),
        "corrosion_risk": None if humidity is None or rain is None else humidity / 100 * (rain / 100),
        "field_work_disruption": None if heavy is None or hot is None else 0.5 * heavy + 0.3 * hot,
    }


def _windows(skies: dict[tuple[date, str], Row], on: date, code: str) -> Row:
    """The thirty days that end on a day; one that holds forecasts counts for its clocks alone."""
    window = (skies.get((on - timedelta(days=n), code)) for n in range(WINDOW_DAYS))
    used = [sky for sky in window if sky]
    past = [sky for sky in used if not sky["is_forecast"]]
    rain, means, highest = (
        [sky[name] for sky in past if sky[name] is not None]
        for name in ("rain_mm", "temperature_mean_celsius", "temperature_max_celsius")
    )
    return {
        "rain_30d_mm": total(rain),
        "temperature_mean_30d_celsius": sum(means) / len(means) if means else None,
        "heavy_rain_days_30d": sum(each > HEAVY_MM for each in rain) if rain else None,
        "extreme_heat_days_30d": sum(each > HOT_CELSIUS for each in highest) if highest else None,
        "days_observed_30d": len(means),
        "rain_days_observed_30d": len(rain),
        "used": used,
    }


class Telecom:
    """What each day knew of a capital's accesses and of its licensed 5G stations."""

    def __init__(self, silver: Silver) -> None:
        self._mobile = _of_places(telecom.mobile_months(silver))
        self._broadband = _of_places(telecom.broadband_months(silver))
        self._stations: Places = defaultdict(list)
        carriers = telecom.carriers_5g(silver)
        for (code, _), rows in by(carriers, "municipality_code", "station_number").items():
            effective = min(max(row["since"], telecom.utc_day(row["first_known_from"])) for row in rows)
            clock, assumed = latest(row["known_from"] for row in rows), any(row["is_assumed"] for row in rows)
            self._stations[code].append({"on": effective, "known_from": clock, "is_assumed": assumed})

    def of_day(self, on: date, code: str) -> tuple[Row, list[Row]]:
        """The columns of a day, and the rows they are made from."""
        mobile, broadband = (_newest(each.get(code, ()), on) for each in (self._mobile, self._broadband))
        stations = [row for row in self._stations.get(code, ()) if row["on"] <= on]
        found: dict[str, Any] = {name: mobile and mobile[name] for name in telecom.COVERED}
        found |= {
            "mobile_reference_on": mobile and mobile["month"],
            "is_5g_active": above(found["share_5g_percent"], 0),
            "stations_5g": len(stations) or None,
            "broadband_reference_on": broadband and broadband["month"],
            "broadband_accesses": broadband and broadband["broadband_accesses"],
            "broadband_growth_12m_percent": broadband and broadband["broadband_growth_12m_percent"],
        }
        return found, [row for row in (mobile, broadband, *stations) if row]


def _of_places(months: dict[tuple[str, date], Row]) -> Places:
    found: Places = defaultdict(list)
    for (code, month), row in months.items():
        found[code].append(row | {"month": month})
    return found


def _newest(months: Iterable[Row], on: date) -> Row | None:
    """The newest month known on a day, unless it began more than six months before."""
    known = [row for row in months if row["known_on"] <= on]
    newest = max(known, key=lambda row: row["month"], default=None)
    return newest if newest and newest["month"] >= _months_before(on) else None


def _months_before(on: date) -> date:
    """Six months before a day; in a month that has no such day, its last one."""
    first = telecom.back(on.replace(day=1), CARRIED_MONTHS)
    last = telecom.back(first, -1) - timedelta(days=1)
    return min(first + timedelta(days=on.day - 1), last)

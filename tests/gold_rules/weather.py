"""Stations, observed days and reanalysed days."""

from tests.gold_rules.known import (
    Row,
    Silver,
    by,
    civil_day,
    group,
    latest,
    least,
    mean,
    station_of_capital,
    total,
    until_the_next,
    zone_of_place,
    zone_of_state,
    zone_of_station,
)

ENOUGH_HOURS = 20
"""A day with so many temperatures is complete."""
KM_H = 3.6
"""In one metre per second."""
DESCRIBED = ("region", "uf", "name", "latitude_degrees", "longitude_degrees", "altitude_m", "founded_on")


def stations(silver: Silver) -> list[Row]:
    """`dim_weather_station`: a description holds until the day before the next one's first."""
    kept = ("station_code", "valid_from_on", *DESCRIBED, "known_from")
    return [
        row
        for rows in by(silver.newest("inmet_stations"), "station_code").values()
        for row in until_the_next({name: row[name] for name in kept} for row in rows)
    ]


def station_zones(silver: Silver) -> dict[str, str]:
    """Station → its zone: its municipality's, as far as known, else that of the state its newest metadata name.

    A capital's station is known to stand in its capital, whatever its metadata say or do not.
    """
    zones = {station: zone_of_place(code) or "" for code, station in station_of_capital().items()}
    for row in sorted(silver.newest("inmet_stations"), key=lambda row: row["valid_from_on"]):
        if row["uf"] in zone_of_state():
            zones[row["station_code"]] = zone_of_state()[row["uf"]]
    return zones | zone_of_station()


def observed(silver: Silver) -> list[Row]:
    """`fact_weather_daily`, and whether a clock of the day is assumed."""
    zones = station_zones(silver)

    def day(row: Row) -> tuple[str, object] | None:
        zone = zones.get(row["station_code"])
        return (row["station_code"], civil_day(row["observed_at"], zone)) if zone else None

    return [_observed(*place, hours) for place, hours in group(silver.newest("inmet_hourly"), day).items()]


def _different_hours(rows: list[Row], name: str) -> int:
    """Half hours are two rows of one hour."""
    return len({row["observed_at"].replace(minute=0) for row in rows if row[name] is not None})


def _observed(station: str, on: object, hours: list[Row]) -> Row:
    values = {name: [row[name] for row in hours] for name in hours[0]}
    temperatures = _different_hours(hours, "air_temperature_celsius")
    return {
        "station_code": station,
        "date_on": on,
        "hours_observed": temperatures,
        "rain_hours_observed": _different_hours(hours, "rain_mm"),
        "temperature_mean_celsius": mean(values["air_temperature_celsius"]),
        "temperature_max_celsius": latest(values["air_temperature_max_celsius"]),
        "temperature_min_celsius": least(values["air_temperature_min_celsius"]),
        "relative_humidity_mean_percent": mean(values["relative_humidity_percent"]),
        "rain_mm": total(values["rain_mm"]),
        "wind_speed_mean_m_s": mean(values["wind_speed_m_s"]),
        "wind_gust_max_m_s": latest(values["wind_gust_m_s"]),
        "pressure_mean_hpa": mean(values["pressure_hpa"]),
        "global_radiation_kj_m2": total(values["global_radiation_kj_m2"]),
        "is_complete": temperatures >= ENOUGH_HOURS,
        "known_from": latest(values["known_from"]),
        "is_assumed": any(row["is_assumed"] for row in hours),
    }


def reanalysed(silver: Silver) -> list[Row]:
    """`fact_reanalysis_daily`, and whether a clock of the day is assumed."""

    def day(row: Row) -> tuple[str, str, object] | None:
        zone = zone_of_place(row["point_id"])
        return (row["point_id"], row["model"], civil_day(row["valid_at"], zone)) if zone else None

    return [_reanalysed(*place, hours) for place, hours in group(silver.newest("openmeteo_archive"), day).items()]


def _reanalysed(point: str, model: str, on: object, hours: list[Row]) -> Row:
    values = {name: [row[name] for row in hours] for name in hours[0]}
    past = [row for row in hours if not _is_forecast(row)]
    available = sum(row["air_temperature_celsius"] is not None for row in past)
    wind = mean(values["wind_speed_km_h"])
    return {
        "municipality_code": point,
        "date_on": on,
        "model": model,
        "hours_available": available,
        "forecast_hours": len(hours) - len(past),
        "temperature_mean_celsius": mean(values["air_temperature_celsius"]),
        "temperature_max_celsius": latest(values["air_temperature_celsius"]),
        "temperature_min_celsius": least(values["air_temperature_celsius"]),
        "relative_humidity_mean_percent": mean(values["relative_humidity_percent"]),
        "rain_hours_available": sum(row["precipitation_mm"] is not None for row in past),
        "rain_mm": total(values["precipitation_mm"]),
        "wind_speed_mean_m_s": None if wind is None else wind / KM_H,
        "is_complete": available >= ENOUGH_HOURS and len(past) == len(hours),
        "known_from": latest(values["known_from"]),
        "is_assumed": any(row["is_assumed"] for row in hours),
    }


def _is_forecast(row: Row) -> bool:
    """Whether an hour that has a value was not over when it was fetched: it says so itself, else its clocks do."""
    values = ("air_temperature_celsius", "relative_humidity_percent", "precipitation_mm", "wind_speed_km_h")
    if all(row[name] is None for name in values):
        return False
    if row["is_forecast"] is not None:
        return bool(row["is_forecast"])
    return row["retrieved_at"] is not None and bool(row["valid_at"] > row["retrieved_at"])

"""The settings `polled`, `places` and `thresholds`: check them against what sources, reference files and gold know."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from schemas.choices import Choice, Place

if TYPE_CHECKING:  # these, the sources and the reference files are loaded only if something was chosen
    from producers.choosing import Fields

MOST_PLACES = 100
"""Places of one's own. Each is a row of `external_factors_daily` per day and requests for weather at every poll."""

# Brazil with its islands, rounded outwards.
_LATITUDES, _LONGITUDES = (-34.0, 5.5), (-74.0, -28.5)
_STATION = r"[A-Z][0-9]{3}"


def polled(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Choice]:
    """Source → what was chosen for it. Raises: ValueError, naming source, item and field."""
    if not given:
        return {}
    from producers import sources
    from producers.choosing import read

    known = {name: source.choosable for name, source in sources.load_all().items() if source.choosable}
    found = {}
    for name, items in given.items():
        choosable = known.get(name)
        if choosable is None:
            raise ValueError(f"nothing of {name[:40]!r} can be chosen; only of: {', '.join(known)}")
        try:
            found[name] = read(choosable, items)
        except ValueError as problem:
            raise ValueError(f"{name}: {problem}") from None
    return found


def places(given: Mapping[str, Mapping[str, Any]]) -> list[Place]:
    """The places, by municipality. Raises: ValueError, naming the municipality and the field."""
    if not given:
        return []
    from producers.choosing import Fields

    if len(given) > MOST_PLACES:
        raise ValueError(f"at most {MOST_PLACES} places, not {len(given)}")
    found = []
    for code, fields in sorted(given.items()):
        try:
            found.append(_place(code, Fields(fields)))
        except ValueError as problem:
            raise ValueError(f"{code[:40]!r}: {problem}") from None
    _require_own_stations(found)
    return found


def thresholds(given: Mapping[str, float]) -> dict[str, float]:
    """The thresholds that differ from the declared ones. Raises: ValueError, naming the threshold."""
    if not given:
        return {}
    from producers.choosing import Fields
    from stream_jobs.gold.thresholds import DECLARED

    fields, found = Fields(given), {}
    for name, declared in DECLARED.items():
        value = fields.number(name, declared.least, declared.greatest)
        if value is not None:
            found[name] = value
    fields.end()
    return found


def shown_thresholds(given: Mapping[str, float]) -> dict[str, float]:
    """Name → threshold in force."""
    from stream_jobs.gold.thresholds import DECLARED

    return {**{name: each.value for name, each in DECLARED.items()}, **given}


def shown_polled(given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Source → each declared and each own item with its value, in the form of the setting: true if it is polled."""
    from producers import sources

    choosables = {name: source.choosable for name, source in sources.load_all().items() if source.choosable}
    return {name: {**dict.fromkeys(each.declared, True), **given.get(name, {})} for name, each in choosables.items()}


def shown_places(given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Municipality → point, station and what was given, of the capitals and of the settings' places."""
    from stream_jobs.gold import reference

    return {
        code: {"point_id": each.point_id, "station": each.station_code, **given.get(code, {})}
        for each in reference.factor_places()
        for code in [each.municipality_code]
    }


def _place(code: str, fields: "Fields") -> Place:
    from stream_jobs.gold import reference

    known = {each.municipality_code: each for each in reference.municipalities()}
    if code not in known:
        near = [each for each in known.values() if code[:6] == each.municipality_code[:6] and len(code) in (6, 7)]
        raise ValueError(
            f"is no municipality; with the check digit {near[0].name} is {near[0].municipality_code}"
            if near
            else "is no municipality in IBGE's list: 7 digits, such as 2910800"
        )
    latitude, longitude = fields.number("latitude", *_LATITUDES), fields.number("longitude", *_LONGITUDES)
    if (latitude is None) != (longitude is None):
        raise ValueError("latitude and longitude belong together: give both, or none for IBGE's point of the city")
    zones = reference.ZONES_OF_BRAZIL
    place = Place(
        code,
        _degrees(known[code].latitude_degrees if latitude is None else latitude),
        _degrees(known[code].longitude_degrees if longitude is None else longitude),
        is_site=latitude is not None,
        station_code=fields.text("station", form=_STATION, is_said="a code of INMET's, such as 'A413'", default="")
        or None,
        time_zone=fields.text("time_zone", form=r"[A-Za-z_/]+", is_said="the name of a time zone", default="") or None,
        is_polled=fields.flag("poll", default=True),
    )
    fields.end()
    if place.time_zone and place.time_zone not in zones:
        raise ValueError(f"time_zone must be one of Brazil's in the tz database: {', '.join(zones)}")
    return place


def _degrees(value: float) -> str:
    """Degrees as text, the same for equal numbers; five decimals are one metre."""
    return f"{value + 0.0:.5f}".rstrip("0").rstrip(".")


def _require_own_stations(found: Sequence[Place]) -> None:
    """Raises: ValueError when a station would stand for two municipalities, or is known to stand in another one."""
    from stream_jobs.gold import reference

    for each in found:
        if each.station_code and reference.listed_stations().get(each.station_code, each.municipality_code) != (
            each.municipality_code
        ):
            raise ValueError(f"{each.municipality_code!r}: station {each.station_code} stands in another municipality")
    stations = {each.municipality_code: each.station_code for each in reference.capitals()}
    stations |= {each.municipality_code: each.station_code for each in found if each.station_code}
    owners: dict[str, str] = {}
    for code, station in stations.items():
        if station in owners:
            raise ValueError(f"{code!r}: station {station} stands for {owners[station]} already")
        owners[station] = code

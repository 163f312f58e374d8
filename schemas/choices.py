"""What an installation chose in its settings: what is polled, its own places, and the thresholds of flags. The command
line sets it once, at the start; producers, stream jobs and `verify` read it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Choice:
    """What was chosen for one source.

    Attributes:
        own: key (a series' code, a table's number) → the item, as the source's file describes its items.
        stopped: keys, declared ones or own ones, that are polled no longer. Their data and their meaning stay.
    """

    own: Mapping[str, Any] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Place:
    """A municipality of `external_factors_daily` beside the 27 capitals, or a capital with another station or point.

    Attributes:
        municipality_code: IBGE's, 7 digits.
        latitude, longitude: of the point whose weather is requested, degrees, as text as in requests.
        is_site: whether the point is the installation's own, and not IBGE's point of the city.
        station_code: INMET station for its weather; None for none (a capital keeps its own).
        time_zone: IANA name; None for that of the reference files.
        is_polled: whether its weather is requested.
    """

    municipality_code: str
    latitude: str
    longitude: str
    is_site: bool = False
    station_code: str | None = None
    time_zone: str | None = None
    is_polled: bool = True

    @property
    def point_id(self) -> str:
        """The identity of its weather: the municipality's code, and for a site its coordinates too, so that a site
        that moves is another point, with a history of its own."""
        code = self.municipality_code
        return f"{code}@{self.latitude},{self.longitude}" if self.is_site else code


_NOTHING = Choice()
_of_sources: dict[str, Choice] = {}
_places: list[Place] = []
_thresholds: dict[str, float] = {}


def use(
    of_sources: Mapping[str, Choice],
    places: Iterable[Place],
    thresholds: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Replace what was chosen before."""
    _of_sources.clear()
    _of_sources.update(of_sources)
    _places[:] = places
    _thresholds.clear()
    _thresholds.update(thresholds)


def of(source: str) -> Choice:
    """What was chosen for a source."""
    return _of_sources.get(source, _NOTHING)


def places() -> tuple[Place, ...]:
    """The chosen places, by municipality."""
    return tuple(_places)


def threshold(name: str, declared: float) -> float:
    """A threshold: the chosen one, else the declared one."""
    return _thresholds.get(name, declared)


def known(source: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Key → item of everything whose meaning is known: declared ones and own ones, polled or not."""
    return {**declared, **of(source).own}


def polled(source: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Key → item of what is polled, in order: the declared ones first."""
    stopped = of(source).stopped
    return {key: item for key, item in known(source, declared).items() if key not in stopped}

"""The places whose weather is requested: the 27 capitals, at the points of IBGE's list of municipalities, and those of
the setting `places`."""

from dataclasses import dataclass

from schemas import choices


@dataclass(frozen=True)
class Point:
    """A place whose weather is requested.

    Attributes:
        code: its identity, `point_id` in the records: IBGE's municipality code, and for a site of one's own
            `code@latitude,longitude`.
        latitude, longitude: of the city in IBGE's list of municipalities, or of the site, degrees, as text so that
            requests contain them exactly as written there.
    """

    code: str
    name: str
    latitude: str
    longitude: str


# The 27 capitals.
POINTS = (
    Point("1200401", "Rio Branco", "-9.97499", "-67.8243"),
    Point("2704302", "Maceió", "-9.66599", "-35.735"),
    Point("1302603", "Manaus", "-3.11866", "-60.0212"),
    Point("1600303", "Macapá", "0.034934", "-51.0694"),
    Point("2927408", "Salvador", "-12.9718", "-38.5011"),
    Point("2304400", "Fortaleza", "-3.71664", "-38.5423"),
    Point("5300108", "Brasília", "-15.7795", "-47.9297"),
    Point("3205309", "Vitória", "-20.3155", "-40.3128"),
    Point("5208707", "Goiânia", "-16.6864", "-49.2643"),
    Point("2111300", "São Luís", "-2.53874", "-44.2825"),
    Point("3106200", "Belo Horizonte", "-19.9102", "-43.9266"),
    Point("5002704", "Campo Grande", "-20.4486", "-54.6295"),
    Point("5103403", "Cuiabá", "-15.601", "-56.0974"),
    Point("1501402", "Belém", "-1.4554", "-48.4898"),
    Point("2507507", "João Pessoa", "-7.11509", "-34.8641"),
    Point("2611606", "Recife", "-8.04666", "-34.8771"),
    Point("2211001", "Teresina", "-5.09194", "-42.8034"),
    Point("4106902", "Curitiba", "-25.4195", "-49.2646"),
    Point("3304557", "Rio de Janeiro", "-22.9129", "-43.2003"),
    Point("2408102", "Natal", "-5.79357", "-35.1986"),
    Point("1100205", "Porto Velho", "-8.76077", "-63.8999"),
    Point("1400100", "Boa Vista", "2.82384", "-60.6753"),
    Point("4314902", "Porto Alegre", "-30.0318", "-51.2065"),
    Point("4205407", "Florianópolis", "-27.5945", "-48.5477"),
    Point("2800308", "Aracaju", "-10.9091", "-37.0677"),
    Point("3550308", "São Paulo", "-23.5329", "-46.6395"),
    Point("1721000", "Palmas", "-10.24", "-48.3558"),
)
DECLARED = {point.code: point for point in POINTS}


def known() -> dict[str, Point]:
    """The points by code: the capitals', then those of the settings."""
    own = (Point(each.point_id, each.municipality_code, each.latitude, each.longitude) for each in choices.places())
    return {**DECLARED, **{point.code: point for point in own if point.code not in DECLARED}}


def polled(source: str) -> list[Point]:
    """The points whose weather a source requests."""
    stopped = {each.point_id for each in choices.places() if not each.is_polled} | choices.of(source).stopped
    return [point for code, point in known().items() if code not in stopped]

"""The places whose weather is requested: the 27 capitals, at the points of IBGE's list of municipalities."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A place whose weather is requested.

    Attributes:
        code: IBGE's municipality code.
        latitude, longitude: of the city in IBGE's list of municipalities, degrees, as text so that requests contain
            them exactly as written there.
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

"""Licensed carriers of base stations, as last published."""

from pyspark.sql import DataFrame

from schemas.classes import ORGANISATION, PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from sinks.snapshot import between
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions
from stream_jobs.gold.telecom import STATIONS

KEY = ("license_row_id",)
VALUES = (
    Column(
        "station_number", "STRING NOT NULL", "number of the station; a station has several carriers", source=STATIONS
    ),
    Column("cnpj", "STRING", "operator's tax number, if the source names it", source=STATIONS),
    Column("company", "STRING", "operator's name", source=STATIONS),
    Column("uf", "STRING", "state", source=STATIONS),
    Column("municipality_code", "STRING", "IBGE code", source=STATIONS),
    Column("technology", "STRING", "technology, such as LTE or NR", source=STATIONS),
    Column("generation", "STRING", "2G to 5G, if the source names it", source=STATIONS),
    Column("latitude_degrees", "DOUBLE", "latitude", "degrees north", STATIONS),
    Column("longitude_degrees", "DOUBLE", "longitude", "degrees east", STATIONS),
    Column("transmit_frequency_mhz", "DOUBLE", "transmitting frequency", "MHz", STATIONS),
    Column("licensed_on", "DATE", "day of the licence in force", source=STATIONS),
    Column("first_licensed_on", "DATE", "day of the first licence", source=STATIONS),
    Column("valid_until_on", "DATE", "last day of the licence", source=STATIONS),
)


def touched(licences: DataFrame) -> DataFrame:
    """A group is one licensed carrier."""
    return licences.select(*KEY)


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """The licences of the groups."""
    ((first, last),) = groups.bounds(*KEY)
    names = [column.name for column in VALUES]
    rows = silver.newest(STATIONS, within=between("license_row_id", first, last), columns=names)
    return rows.join(groups.frame, list(KEY), "left_semi").select(*KEY, *names, "known_from")


TABLE = GoldTable(
    name="fact_base_stations",
    keys=KEY,
    group=KEY,
    inputs=(Input(STATIONS, touched),),
    about="One licensed carrier of a base station; towers are distinct station numbers. A licence that left the "
    "source's file was withdrawn with the edition that lacks it, and is not here.",
    columns=(
        Column("license_row_id", "STRING NOT NULL", "the source's id of the licence, else a hash", source=STATIONS),
        *VALUES,
        KNOWN_FROM,
    ),
    expectations=(Expectation("place_is_named", "municipality_code IS NOT NULL", "warn"),),
    recompute=recompute,
    classes={
        PUBLIC: (
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
        ),
        ORGANISATION: ("license_row_id", "station_number", "cnpj", "company"),
        TECHNICAL: ("known_from",),
    },
)

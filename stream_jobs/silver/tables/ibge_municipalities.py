"""Municipalities. Join by the code: names repeat and vary in spelling."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="ibge_municipalities",
    prune_by="municipality_code",
    expectations=(
        # 0000000 is Brazil, and codes of two digits are states: neither is a municipality.
        Expectation(
            "code_has_seven_digits",
            "length(municipality_code) = 7 AND municipality_code BETWEEN '1100000' AND '5399999'",
            "quarantine",
        ),
        Expectation("uf_has_two_letters", "length(uf) = 2", "quarantine"),
        # From Arroio Chuí to Monte Caburaí, and from the Serra do Divisor to the islands of the Atlantic.
        Expectation("latitude_in_brazil", "latitude_degrees BETWEEN -34 AND 5.5", "warn"),
        Expectation("longitude_in_brazil", "longitude_degrees BETWEEN -74.1 AND -28.8", "warn"),
    ),
)

"""Station metadata, one row per station and yearly file."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="inmet_stations",
    prune_by="valid_from_on",
    expectations=(
        Expectation("station_code_has_four_characters", "length(station_code) = 4", "quarantine"),
        Expectation("latitude_in_brazil", "latitude_degrees BETWEEN -34 AND 6", "warn"),
        Expectation("longitude_in_brazil", "longitude_degrees BETWEEN -74 AND -28", "warn"),
        Expectation("founded_before_valid", "founded_on <= valid_from_on", "warn"),
    ),
)

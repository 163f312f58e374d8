"""Past weather at points. The ranges are INMET's: a computed value outside is odder than a measured one, and kept."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="openmeteo_archive",
    prune_by="valid_at",
    expectations=(
        Expectation(
            "point_is_a_municipality_code", "length(point_id) = 7 OR substring(point_id, 8, 1) = '@'", "quarantine"
        ),
        # As for stations: a row off the hour would be an hour more than its day has.
        Expectation("on_the_hour", "valid_at = date_trunc('hour', valid_at)", "quarantine"),
        Expectation("precipitation_is_not_negative", "precipitation_mm >= 0", "quarantine"),
        Expectation("wind_speed_is_not_negative", "wind_speed_km_h >= 0", "quarantine"),
        Expectation("temperature_in_range", "air_temperature_celsius BETWEEN -15 AND 50", "warn"),
        Expectation("humidity_in_range", "relative_humidity_percent BETWEEN 0 AND 100", "warn"),
        Expectation("precipitation_in_range", "precipitation_mm <= 200", "warn"),
        Expectation("value_is_present", "air_temperature_celsius IS NOT NULL", "warn"),
    ),
)

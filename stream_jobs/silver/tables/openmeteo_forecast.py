"""Forecasts at points, one row per hour and issue: a later forecast stands beside the earlier one."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="openmeteo_forecast",
    # A batch brings whole issues: their hours overlap those of many issues before, their issue times do not.
    prune_by="issued_at",
    expectations=(
        Expectation(
            "point_is_a_municipality_code", "length(point_id) = 7 OR substring(point_id, 8, 1) = '@'", "quarantine"
        ),
        Expectation("on_the_hour", "valid_at = date_trunc('hour', valid_at)", "quarantine"),
        Expectation("precipitation_is_not_negative", "precipitation_mm >= 0", "quarantine"),
        Expectation("wind_speed_is_not_negative", "wind_speed_km_h >= 0", "quarantine"),
        Expectation("temperature_in_range", "air_temperature_celsius BETWEEN -15 AND 50", "warn"),
        Expectation("humidity_in_range", "relative_humidity_percent BETWEEN 0 AND 100", "warn"),
        Expectation("precipitation_in_range", "precipitation_mm <= 200", "warn"),
        # A forecast begins with the day of its issue; the hours before are what the archive is for.
        Expectation("begins_on_the_day_of_its_issue", "valid_at > issued_at - INTERVAL 1 DAY", "warn"),
    ),
)

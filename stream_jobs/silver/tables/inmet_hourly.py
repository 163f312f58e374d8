"""Station-hours. The ranges hold for healthy sensors; sensors drift, so a row outside is flagged and kept."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="inmet_hourly",
    prune_by="observed_at",
    expectations=(
        # -9999 is the source's word for missing. It must never reach an average.
        Expectation(
            "no_missing_value_code",
            " AND ".join(
                f"coalesce({column}, 0) > -9999"
                for column in ("air_temperature_celsius", "pressure_hpa", "relative_humidity_percent", "rain_mm")
            ),
            "quarantine",
        ),
        # A row off the hour would be an hour more than its day has, and end the query of fact_weather_daily. The parser
        # rejects it; this one is for what came into bronze before it did.
        Expectation("on_the_hour", "observed_at = date_trunc('hour', observed_at)", "quarantine"),
        # No real hour is known that breaks it, of 3.8 million of 2024: a violation is the two columns exchanged, which
        # would be plausible, and wrong in every hour.
        Expectation("gust_at_least_mean_wind", "wind_gust_m_s >= wind_speed_m_s", "quarantine"),
        # Some 5 of 985,000 real hours break it, where a sensor failed within the hour: rain, wind and the rest of the
        # hour are good.
        Expectation(
            "hourly_maximum_at_least_temperature", "air_temperature_max_celsius >= air_temperature_celsius", "warn"
        ),
        Expectation("temperature_in_range", "air_temperature_celsius BETWEEN -15 AND 50", "warn"),
        Expectation("pressure_in_range", "pressure_hpa BETWEEN 750 AND 1060", "warn"),
        Expectation("humidity_in_range", "relative_humidity_percent BETWEEN 0 AND 100", "warn"),
        Expectation("wind_direction_in_range", "wind_direction_degrees BETWEEN 0 AND 360", "warn"),
        Expectation("rain_in_range", "rain_mm BETWEEN 0 AND 200", "warn"),
        Expectation("radiation_in_range", "global_radiation_kj_m2 BETWEEN 0 AND 6000", "warn"),
        Expectation("dew_point_at_most_temperature", "dew_point_celsius <= air_temperature_celsius + 0.5", "warn"),
    ),
)

"""Values of economic series. Units differ per series, so few rules hold for all."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="bcb_sgs",
    prune_by="reference_on",
    expectations=(
        Expectation("series_code_is_positive", "series_code > 0", "quarantine"),
        Expectation("period_ends_after_it_begins", "reference_end_on >= reference_on", "quarantine"),
        Expectation("value_is_present", "value IS NOT NULL", "warn"),
    ),
)

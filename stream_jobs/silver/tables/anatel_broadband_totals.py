"""Brazil's fixed-broadband accesses per month, as ANATEL totals them."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="anatel_broadband_totals",
    prune_by="reference_month_on",
    expectations=(
        Expectation("accesses_not_negative", "accesses >= 0", "quarantine"),
        Expectation("month_begins_on_the_first", "day(reference_month_on) = 1", "quarantine"),
    ),
)

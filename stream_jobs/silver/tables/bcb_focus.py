"""Statistics of the market expectations survey. Their units differ per indicator, so few rules hold for all."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="bcb_focus",
    prune_by="surveyed_on",
    expectations=(
        # Both bases come of every statistic: another number is a change of the source that a key must not hide.
        Expectation("base_is_30_or_5_days", "base_calculation IN (0, 1)", "warn"),
        Expectation("minimum_at_most_maximum", "minimum <= maximum", "quarantine"),
        # Published with few decimals, so the median may lie beside the bounds by a rounding.
        Expectation("median_between_bounds", "median BETWEEN minimum - 0.01 AND maximum + 0.01", "warn"),
        Expectation("standard_deviation_is_not_negative", "standard_deviation >= 0", "quarantine"),
        # Gold finds a meeting's day by its name. The COPOM may meet more often than the eight times of its calendar.
        Expectation(
            "meeting_is_named",
            "resource != 'ExpectativasMercadoSelic' OR reference_period LIKE 'R_/20__'"
            " OR reference_period LIKE 'R__/20__'",
            "warn",
        ),
        Expectation("median_is_present", "median IS NOT NULL", "warn"),
    ),
)

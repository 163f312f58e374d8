"""Cells of SIDRA tables. Units differ per table and variable, so few rules hold for all."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="ibge_sidra",
    prune_by="period_code",
    expectations=(
        Expectation("table_id_is_positive", "table_id > 0", "quarantine"),
        Expectation("value_or_symbol", "(value IS NULL) <> (value_symbol IS NULL)", "quarantine"),
        Expectation("symbol_is_known", "value_symbol IN ('...', '..', '-', 'X')", "quarantine"),
        Expectation(
            "municipality_has_seven_digits", "territory_level <> '6' OR length(territory_code) = 7", "quarantine"
        ),
        # A question that fits no cell is answered with this in every cell.
        Expectation("value_is_applicable", "coalesce(value_symbol, '') <> '..'", "warn"),
    ),
)

"""Fixed-broadband accesses per month and combination."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables import cnpj
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="anatel_broadband_accesses",
    prune_by="reference_month_on",
    expectations=(
        Expectation("accesses_not_negative", "accesses >= 0", "quarantine"),
        Expectation("month_begins_on_the_first", "day(reference_month_on) = 1", "quarantine"),
        Expectation("municipality_code_has_seven_digits", "length(municipality_code) = 7", "quarantine"),
        # The first two digits are the state's code; 0000000 is Brazil.
        Expectation(
            "municipality_in_a_state",
            "substring(municipality_code, 1, 2) BETWEEN '11' AND '53' OR municipality_code = '0000000'",
            "warn",
        ),
        *cnpj.EXPECTATIONS,
    ),
)

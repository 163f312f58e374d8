"""Mobile accesses per month and combination."""

from sinks.expectations import Expectation
from stream_jobs.silver.tables import cnpj
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="anatel_mobile_accesses",
    prune_by="reference_month_on",
    expectations=(
        Expectation("accesses_not_negative", "accesses >= 0", "quarantine"),
        Expectation("month_begins_on_the_first", "day(reference_month_on) = 1", "quarantine"),
        Expectation("municipality_code_has_seven_digits", "length(municipality_code) = 7", "quarantine"),
        # The history before has none; since then a row without is one of the history's sums, which would count twice.
        Expectation(
            "municipality_since_2019",
            "municipality_code IS NOT NULL OR reference_month_on < DATE '2019-01-01'",
            "quarantine",
        ),
        # The first two digits are the state's code; 0000000 is Brazil.
        Expectation(
            "municipality_in_a_state",
            "substring(municipality_code, 1, 2) BETWEEN '11' AND '53' OR municipality_code = '0000000'",
            "warn",
        ),
        *cnpj.EXPECTATIONS,
        Expectation("area_code_has_two_digits", "length(area_code) = 2 AND area_code BETWEEN '11' AND '99'", "warn"),
        # Vocabularies drift (M2M_PADRAO became M2M in 2021): a new word is news, not an error.
        Expectation("payment_mode_is_known", "payment_mode IN ('Pós-pago', 'Pré-pago')", "warn"),
    ),
)

"""Licensed carriers of base stations, by the id of their row.

The file states all of them: a row that a newer one lacks is withdrawn. Towers are distinct station numbers.
"""

from sinks.expectations import Expectation
from stream_jobs.silver.tables import cnpj
from stream_jobs.silver.tables.model import SilverTable

TABLE = SilverTable(
    dataset="anatel_base_stations",
    # Ids are hashes: their bounds narrow nothing in a large batch, but the key has no time in it.
    prune_by="license_row_id",
    expectations=(
        Expectation("municipality_code_has_seven_digits", "length(municipality_code) = 7", "quarantine"),
        # The first two digits are the state's code.
        Expectation("municipality_in_a_state", "substring(municipality_code, 1, 2) BETWEEN '11' AND '53'", "warn"),
        *cnpj.EXPECTATIONS,
        # Brazil with its islands, from 33.8 south to 5.3 north and from 74 to 28.6 west; a sign or a comma lost falls
        # outside.
        Expectation("latitude_in_brazil", "latitude_degrees BETWEEN -34 AND 6", "warn"),
        Expectation("longitude_in_brazil", "longitude_degrees BETWEEN -74.5 AND -28", "warn"),
        Expectation("azimuth_in_a_circle", "azimuth_degrees BETWEEN 0 AND 360", "warn"),
        Expectation("frequency_is_positive", "transmit_frequency_mhz > 0 AND receive_frequency_mhz > 0", "warn"),
        # Every NR carrier is of the fifth generation, and no other is.
        Expectation("nr_is_5g", "(technology = 'NR') = (generation = '5G')", "warn"),
        Expectation("first_licence_comes_first", "first_licensed_on <= licensed_on", "warn"),
    ),
)

"""Foreign keys: the dimension has a row for every value that a fact or another dimension refers to."""

from collections.abc import Callable
from dataclasses import dataclass

from monitoring.proof.checks import gold
from monitoring.proof.checks.compare import report
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.proof.checks.model import Evidence, Outcome


@dataclass(frozen=True)
class Reference:
    """A column that refers to rows of a dimension.

    Attributes:
        meets: predicate over the table's row `t` and the dimension's row `d`.
        unless: predicate on rows `t` that refer to nothing, or to a value that the dimension may lack.
    """

    table: str
    column: str
    dimension: str
    meets: str
    unless: str = "false"


# Some codes of the source are not municipalities: 0000000 is Brazil, and before 2019 there is no code at all.
_NO_PLACE = "coalesce(t.municipality_code, '') IN ('', '0000000')"
_PLACE = ("dim_municipality", "d.municipality_code = t.municipality_code")
_DAY = ("dim_date", "d.date_on = t.date_on")

REFERENCES = (
    Reference("external_factors_daily", "municipality_code", *_PLACE),
    Reference("external_factors_daily", "date_on", *_DAY),
    *(
        Reference(
            "external_factors_daily", column, "dim_copom_meeting", f"d.meeting_id = t.{column}", f"t.{column} IS NULL"
        )
        for column in ("selic_expected_next_meeting_id", "selic_expected_year_end_meeting_id")
    ),
    Reference("dim_municipality_population", "municipality_code", *_PLACE),
    Reference("fact_weather_daily", "date_on", *_DAY),
    Reference("fact_weather_daily", "station_code", "dim_weather_station", "d.station_code = t.station_code"),
    Reference("fact_reanalysis_daily", "municipality_code", *_PLACE),
    Reference("fact_fx_daily", "date_on", *_DAY),
    Reference("fact_5g_municipality", "municipality_code", *_PLACE, _NO_PLACE),
    Reference("fact_mobile_accesses_monthly", "municipality_code", *_PLACE, _NO_PLACE),
    Reference("fact_broadband_accesses_monthly", "municipality_code", *_PLACE, _NO_PLACE),
    Reference("fact_base_stations", "municipality_code", *_PLACE, _NO_PLACE),
    Reference("fact_economic_observation", "series_code", "dim_economic_series", "d.series_code = t.series_code"),
)

PERIODS = {
    "gold.dim_weather_station": "station_code",
    "gold.dim_operator": "cnpj",
    "gold.dim_municipality_population": "municipality_code",
}
"""Dimensions whose rows are valid from valid_from_on to valid_to_on, and their key."""


def checks() -> dict[str, Callable[[Evidence], Outcome]]:
    """Check name → function."""
    return {"gold keys resolve": check}


def check(evidence: Evidence) -> Outcome:
    """Check every reference of every existing table, and that periods of validity neither overlap nor end before they
    begin.

    A fact may be written before the dimension's query has read as far; then a note is added instead of a finding.
    """
    outcome = Outcome()
    lake = evidence.lake
    for each in REFERENCES:
        table, dimension = f"gold.{each.table}", f"gold.{each.dimension}"
        if not lake.has(table, dimension) or not _has_news(evidence, each.table):
            continue
        if _lags(evidence, each.dimension):
            outcome.notes.append(f"{dimension} has not read all of its input yet; {table} is not held against it")
            continue
        outcome.rows += int(str(lake.value(f"SELECT count(*) FROM {table} t WHERE NOT ({each.unless})")))
        orphans = (
            f"SELECT DISTINCT t.{each.column} FROM {table} t ANTI JOIN {dimension} d ON {each.meets}"
            f" WHERE NOT ({each.unless})"
        )
        report(lake, outcome, table, orphans, f"values of {each.column} are not in {each.dimension}")
    for dimension, key in PERIODS.items():
        if lake.has(dimension):
            wrong = (
                f"SELECT {key}, valid_from_on FROM {dimension} WHERE valid_to_on < valid_from_on"
                f" UNION ALL SELECT a.{key}, a.valid_from_on FROM {dimension} a JOIN {dimension} b"
                f" ON a.{key} = b.{key} AND a.valid_from_on < b.valid_from_on"
                f" AND coalesce(a.valid_to_on, DATE '9999-12-31') >= b.valid_from_on"
            )
            report(lake, outcome, dimension, wrong, "rows overlap the next one of their key, or end before they begin")
    return outcome


def _has_news(evidence: Evidence, table: str) -> bool:
    return any(gold.has_news(evidence, each) for each in DEFINITIONS if each.table == table)


def _lags(evidence: Evidence, dimension: str) -> bool:
    """Whether the query that fills a dimension has unread input; False for a static dimension."""
    definitions = [each for each in DEFINITIONS if each.table == dimension]
    unread = (gold.unread(evidence, each, dataset, Outcome()) for each in definitions for dataset in each.datasets)
    return any(rows is not None for rows in unread)

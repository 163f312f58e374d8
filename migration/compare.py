"""`migrate compare`: the legacy's two rule sets and ours on the same measured days, and why they differ."""

from collections.abc import Iterator
from dataclasses import dataclass

from foundation.errors import UsageError
from foundation.quoting import text
from migration import rule_sets
from monitoring.lake import Lake

TABLES = ("gold.external_factors_daily", "gold.dim_date")
CLOSE = 1e-9


@dataclass(frozen=True)
class Cause:
    """Why a rule set gives another value than ours, and on which days it is that.

    Attributes:
        where: SQL over `o` (our day) and `l` (the legacy's row), for the days that this cause explains.
    """

    text: str
    where: str


@dataclass(frozen=True)
class Pair:
    """One column of ours and of a rule set; the first cause that a day meets is the one that counts."""

    rule_set: str
    ours: str
    theirs: str
    causes: tuple[Cause, ...]


_MISSING = "a missing reading counted as one"


def _missing(column: str) -> Cause:
    return Cause(_MISSING, f"o.{column} IS NULL")


_MEAN_NOT_MAX = Cause("compares the daily mean, ours the daily maximum", "o.temperature_max_celsius IS NOT NULL")
_MEAN_NOT_MIN = Cause("compares the daily mean, ours the daily minimum", "o.temperature_min_celsius IS NOT NULL")
_ROWS_NOT_DAYS = Cause("thirty rows, ours thirty days", "true")
_UNKNOWN_THEN = Cause("the month's own inflation, which was not published yet", "true")
_NOTHING_KNOWN = Cause("false where nothing was known, ours null", "o.{0} IS NULL")


def _nothing(column: str) -> Cause:
    return Cause(_NOTHING_KNOWN.text, _NOTHING_KNOWN.where.format(column))


PAIRS = (
    Pair("etl_v1", "is_extreme_heat", "is_extreme_heat", (_missing("temperature_max_celsius"), _MEAN_NOT_MAX)),
    Pair("etl_v1", "is_cold", "is_cold", (_missing("temperature_min_celsius"), _MEAN_NOT_MIN)),
    Pair("etl_v1", "is_heavy_rain", "is_heavy_rain", (_missing("rain_mm"),)),
    Pair("etl_v1", "is_intense_rain", "is_intense_rain", (_missing("rain_mm"),)),
    Pair("etl_v1", "is_no_rain", "is_no_rain", (_missing("rain_mm"),)),
    Pair("etl_v1", "is_high_humidity", "is_high_humidity", (_missing("relative_humidity_mean_percent"),)),
    Pair("etl_v1", "corrosion_risk", "corrosion_risk", (_missing("corrosion_risk"),)),
    Pair(
        "etl_v1",
        "field_work_disruption",
        "field_work_disruption",
        (_missing("field_work_disruption"), _MEAN_NOT_MAX),
    ),
    Pair("etl_v1", "is_high_inflation", "is_high_inflation", (_nothing("is_high_inflation"), _UNKNOWN_THEN)),
    Pair("etl_v1", "fx_volatility_30d", "fx_volatility_30d", (_ROWS_NOT_DAYS,)),
    Pair("etl_v1", "is_devaluation", "is_devaluation", (_nothing("is_devaluation"), _ROWS_NOT_DAYS)),
    Pair("etl_v1", "is_5g_active", "is_5g_active", (_nothing("is_5g_active"),)),
    Pair(
        "etl_v1",
        "is_5g_milestone",
        "is_5g_milestone",
        (_nothing("is_5g_milestone"), Cause("the row before, ours the month before", "true")),
    ),
    Pair(
        "etl_v1",
        "expansion_rate_5g_percent",
        "expansion_rate_5g_percent",
        (_nothing("expansion_rate_5g_percent"), Cause("the row before, ours the month before", "true")),
    ),
    Pair(
        "unified_v1",
        "is_extreme_heat",
        "extreme_heat",
        (
            _missing("temperature_max_celsius"),
            Cause("mean above 32 °C, ours maximum above 35 °C", "true"),
        ),
    ),
    Pair("unified_v1", "is_heavy_rain", "heavy_rain", (_missing("rain_mm"),)),
    Pair("unified_v1", "is_high_humidity", "high_humidity", (_missing("relative_humidity_mean_percent"),)),
    Pair(
        "unified_v1",
        "is_high_inflation",
        "high_inflation",
        (_nothing("is_high_inflation"), Cause("above 5 %, ours above 6 %", "o.ipca_12m_percent <= 6")),
    ),
    Pair(
        "unified_v1",
        "is_devaluation",
        "currency_devaluation",
        (_nothing("is_devaluation"), Cause("a rate above 5.3, ours a rise of 5 % in thirty days", "true")),
    ),
    Pair(
        "unified_v1",
        "is_5g_active",
        "5g_coverage",
        (_nothing("is_5g_active"), Cause("a date from 2024 on, ours an access counted by ANATEL", "true")),
    ),
)
"""Every column that a rule set and we both compute."""

UNEXPLAINED = "no known cause"


def compare(lake: Lake, municipality_code: str) -> Iterator[dict[str, object]]:
    """Per column and cause the days that differ; a column that agrees everywhere has one line without cause.

    Raises: UsageError when gold has no days of that place.
    """
    if not lake.has(*TABLES):
        raise UsageError("gold holds no days yet", hint="correnteza run all --once")
    measured = rule_sets.days(municipality_code)
    for name, query in (
        ("measured_days", measured),
        ("etl_v1", rule_sets.etl_v1(measured)),
        ("unified_v1", rule_sets.unified_v1(measured)),
    ):
        lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
    if not lake.value("SELECT count(*) FROM measured_days"):
        raise UsageError(f"gold holds no days of {municipality_code}", hint="name one of dim_municipality's capitals")
    for pair in PAIRS:
        yield from _of_pair(lake, pair)


def _of_pair(lake: Lake, pair: Pair) -> Iterator[dict[str, object]]:
    ours, theirs = f"o.{pair.ours}::DOUBLE", f'l."{pair.theirs}"::DOUBLE'
    differs = f"({ours} IS NULL) <> ({theirs} IS NULL) OR abs({ours} - {theirs}) > {CLOSE}"
    cases = " ".join(f"WHEN {cause.where} THEN {text(cause.text)}" for cause in pair.causes)
    rows = lake.rows(
        f"""
        SELECT cause, count(*) AS days, min(date_on) AS first_on, max(date_on) AS last_on,
               count_if(ours > 0) AS ours, count_if(theirs > 0) AS theirs
        FROM (SELECT o.date_on, {ours} AS ours, {theirs} AS theirs,
                     CASE WHEN NOT coalesce({differs}, false) THEN '' {cases} ELSE '{UNEXPLAINED}' END AS cause
              FROM measured_days o JOIN {pair.rule_set} l USING (date_on))
        GROUP BY cause ORDER BY days DESC, cause"""
    )
    differing = [row for row in rows if row["cause"]]
    same = sum(int(str(row["days"])) for row in rows if not row["cause"])
    of_pair = {"rule_set": pair.rule_set, "column": pair.theirs, "ours": pair.ours, "days_equal": same}
    if not differing:
        yield {**of_pair, "days_differing": 0, "cause": "", "first_on": None, "last_on": None}
    for row in differing:
        told = {"days_differing": row["days"], "cause": row["cause"]}
        yield {**of_pair, **told, "first_on": row["first_on"], "last_on": row["last_on"]}

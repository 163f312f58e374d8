"""`ops.publication_lags`: the assumed delay of the first value of a period, and the observed delay.

History that is fetched late gets an assumed clock: the period's end and the lag that its source declares
(`Publication.lag` in producers/sources). If this lag is shorter than the observed one, a back-test uses values too
early.
"""

from monitoring.lake import Lake
from schemas.contracts import load

VIEW = "ops.publication_lags"

# Dataset → (subject, end of the period) of a revision.
_PERIODS = {
    "inmet_hourly": ("'hours'", "observed_at"),
    "openmeteo_archive": ("model", "valid_at + INTERVAL 1 HOUR"),
    "bcb_ptax": ("currency_code", "quoted_at"),
    "bcb_sgs": (
        "series_code::VARCHAR",
        # All series are monthly except these: the daily ones, and the quarterly one.
        "(reference_on + CASE WHEN series_code IN (1, 10813, 21619, 432, 11, 12, 226) THEN INTERVAL 1 DAY"
        " WHEN series_code = 22099 THEN INTERVAL 3 MONTH ELSE INTERVAL 1 MONTH END)::TIMESTAMPTZ",
    ),
    "bcb_focus": ("resource", "surveyed_on::TIMESTAMPTZ"),
    "anatel_mobile_accesses": ("'months'", "(reference_month_on + INTERVAL 1 MONTH)::TIMESTAMPTZ"),
    "anatel_broadband_accesses": ("'months'", "(reference_month_on + INTERVAL 1 MONTH)::TIMESTAMPTZ"),
    "anatel_broadband_totals": ("'months'", "(reference_month_on + INTERVAL 1 MONTH)::TIMESTAMPTZ"),
}

# A month of accesses is published as a whole: a row that gets another name later is not a late month.
_PUBLISHED_WHOLE = dict.fromkeys(("anatel_mobile_accesses", "anatel_broadband_accesses"), ("reference_month_on",))

# An hour of the archive that was fetched before it ended was a forecast: its first value gives no lag.
_ARE_VALUES = {"openmeteo_archive": "NOT coalesce(is_forecast, valid_at > retrieved_at)"}

_EMPTY = (
    "SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS subject, NULL::DOUBLE AS lag_days, NULL::BOOLEAN AS is_assumed"
    " WHERE false"
)


def register(lake: Lake) -> None:
    """Make the view: dataset, subject, assumed, assumed_days, seen, seen_median_days, seen_longest_days, is_optimistic.

    `assumed` and `seen` count periods by the clock of their first version. Lags are days after the period's end;
    is_optimistic: the median of the observed lags is longer than the assumed one.
    """
    first = " UNION ALL ".join(
        [
            _EMPTY,
            *(
                f"""
                SELECT '{dataset}', {subject}, epoch(known_from - {end}) / 86400.0, published_at_basis = 'assumed_lag'
                FROM (FROM silver.{dataset}_revisions
                      WHERE is_withdrawn IS NOT TRUE AND {_ARE_VALUES.get(dataset, "true")}
                      QUALIFY known_from = min(known_from) OVER (PARTITION BY {", ".join(_key(dataset))}))"""
                for dataset, (subject, end) in _PERIODS.items()
                if lake.has(f"silver.{dataset}_revisions")
            ),
        ]
    )
    lake.connection.execute(
        f"""
        CREATE OR REPLACE VIEW {VIEW} AS
        SELECT dataset, subject, count(*) FILTER (is_assumed) AS assumed,
               median(lag_days) FILTER (is_assumed) AS assumed_days, count(*) FILTER (NOT is_assumed) AS seen,
               median(lag_days) FILTER (NOT is_assumed) AS seen_median_days,
               max(lag_days) FILTER (NOT is_assumed) AS seen_longest_days,
               seen_median_days > assumed_days AS is_optimistic
        FROM ({first}) GROUP BY ALL ORDER BY ALL"""
    )


def _key(dataset: str) -> tuple[str, ...]:
    return _PUBLISHED_WHOLE.get(dataset) or load(dataset).key

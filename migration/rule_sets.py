"""The formulas of the legacy, in SQL over the same measured days as ours.

There are two rule sets, which share names but not thresholds. `etl_v1` is what the loaders of the three tables did,
`unified_v1` what `add_external_factors` did. Both compared a value that was missing as if it were not, and looked rows
up by position instead of by day. They are kept as they were: `migrate compare` shows what follows, and
docs/legacy-factors.md says why ours differ.

The marts of deploy/dbt are written from these texts and run in Spark (correnteza/marts/models.py).
"""

UNIFIED_COLUMNS = (
    "temperature",
    "precipitation",
    "humidity",
    "extreme_heat",
    "heavy_rain",
    "high_humidity",
    "exchange_rate_brl_usd",
    "inflation_rate",
    "high_inflation",
    "currency_devaluation",
    "5g_coverage",
    "5g_expansion_rate",
    "regulatory_compliance_date",
    "is_holiday",
    "is_carnival",
    "is_vacation_period",
    "sla_renewal_period",
    "weekend",
    "climate_impact",
    "economic_impact",
    "operational_impact",
    "demand_adjustment_factor",
)
"""The 22 factor columns of the 31, in order."""


def days(municipality_code: str | None) -> str:
    """The measured days of a capital, or of all: what all rule sets are computed from, with our own flags beside."""
    of_capital = f"AND f.municipality_code = '{municipality_code}'" if municipality_code else ""
    return f"""
        SELECT f.*, f.usd_brl::DOUBLE AS rate, d.is_holiday, d.is_optional_holiday, d.holiday_name, d.is_weekend,
               m.ipca_12m_percent AS ipca_12m_of_month
        FROM gold.external_factors_daily f
        LEFT JOIN gold.dim_date d ON d.date_on = f.date_on
        LEFT JOIN (SELECT municipality_code, ipca_reference_on, max_by(ipca_12m_percent, date_on) AS ipca_12m_percent
                   FROM gold.external_factors_daily WHERE ipca_12m_percent IS NOT NULL GROUP BY 1, 2) m
            ON m.municipality_code = f.municipality_code AND m.ipca_reference_on = date_trunc('month', f.date_on)
        WHERE NOT f.is_forecast {of_capital}"""


def unified_v1(days_query: str) -> str:
    """The 22 factor columns by the rules of `unified_v1`, `date_on` and `municipality_code`."""
    return f"""
        SELECT *, 1 + 0.3e0 * climate_impact + 0.1e0 * economic_impact
                  + 0.2e0 * least(greatest(operational_impact, 0), 1) AS demand_adjustment_factor
        FROM (
            SELECT *, 0.3e0 * extreme_heat + 0.4e0 * heavy_rain + 0.2e0 * high_humidity AS climate_impact,
                   0.5e0 * high_inflation + 0.5e0 * currency_devaluation AS economic_impact,
                   least(greatest(
                       0.5e0 * sla_renewal_period - 0.25e0 * is_vacation_period - 0.25e0 * is_holiday, -1), 1)
                       AS operational_impact
            FROM (
                SELECT date_on, municipality_code, temperature_mean_celsius AS temperature, rain_mm AS precipitation,
                       relative_humidity_mean_percent AS humidity,
                       coalesce((temperature_mean_celsius > 32)::INT, 0) AS extreme_heat,
                       coalesce((rain_mm > 50)::INT, 0) AS heavy_rain,
                       coalesce((relative_humidity_mean_percent > 80)::INT, 0) AS high_humidity,
                       rate AS exchange_rate_brl_usd, ipca_12m_percent AS inflation_rate,
                       coalesce((ipca_12m_percent > 5)::INT, 0) AS high_inflation,
                       coalesce((rate > 5.3)::INT, 0) AS currency_devaluation,
                       (date_on >= DATE '2024-01-01')::INT AS "5g_coverage",
                       greatest(date_on - DATE '2024-01-01', 0) / 365 * 0.2 AS "5g_expansion_rate",
                       NULL::DATE AS regulatory_compliance_date,
                       coalesce(is_holiday::INT, 0) AS is_holiday,
                       coalesce((is_optional_holiday AND holiday_name ILIKE '%carnaval%')::INT, 0) AS is_carnival,
                       (month(date_on) = 7)::INT AS is_vacation_period,
                       (month(date_on) IN (1, 7))::INT AS sla_renewal_period,
                       (isodow(date_on) >= 6)::INT AS weekend
                FROM ({days_query})))"""


def etl_v1(days_query: str) -> str:
    """The flags of the loaders of the three tables, and `date_on`: rows are counted where days were meant.

    Args: days_query: of one capital.
    """
    return f"""
        SELECT date_on,
               coalesce(temperature_mean_celsius > 35, false) AS is_extreme_heat,
               coalesce(temperature_mean_celsius < 20, false) AS is_cold,
               coalesce(rain_mm > 50, false) AS is_heavy_rain,
               coalesce(rain_mm > 100, false) AS is_intense_rain,
               coalesce(rain_mm = 0, false) AS is_no_rain,
               coalesce(relative_humidity_mean_percent > 80, false) AS is_high_humidity,
               coalesce(relative_humidity_mean_percent / 100 * (rain_mm / 100), 0) AS corrosion_risk,
               0.5e0 * coalesce((rain_mm > 50)::INT, 0) + 0.3e0 * coalesce((temperature_mean_celsius > 35)::INT, 0)
                   AS field_work_disruption,
               coalesce(ipca_12m_of_month > 6, false) AS is_high_inflation,
               CASE WHEN count(rate) OVER rows_30 = 30 THEN stddev_samp(rate) OVER rows_30 END AS fx_volatility_30d,
               coalesce(rate / lag(rate, 30) OVER in_order - 1 > 0.05, false) AS is_devaluation,
               coalesce(share_5g_percent > 0, false) AS is_5g_active,
               coalesce(share_5g_percent - lag(share_5g_percent) OVER in_order > 5, false) AS is_5g_milestone,
               coalesce((share_5g_percent / nullif(lag(share_5g_percent) OVER in_order, 0) - 1) * 100, 0)
                   AS expansion_rate_5g_percent
        FROM ({days_query})
        WINDOW in_order AS (ORDER BY date_on),
               rows_30 AS (ORDER BY date_on ROWS BETWEEN 29 PRECEDING AND CURRENT ROW)"""

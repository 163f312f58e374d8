{# Written by `make marts` from migration/: change it there. #}
{{ config(unique_key=['date_on']) }}
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
FROM (
SELECT f.*, f.usd_brl::DOUBLE AS rate, d.is_holiday, d.is_optional_holiday, d.holiday_name, d.is_weekend,
       m.ipca_12m_percent AS ipca_12m_of_month
FROM {{ source('gold', 'external_factors_daily') }} f
LEFT JOIN {{ source('gold', 'dim_date') }} d ON d.date_on = f.date_on
LEFT JOIN (SELECT municipality_code, ipca_reference_on, max_by(ipca_12m_percent, date_on) AS ipca_12m_percent
           FROM {{ source('gold', 'external_factors_daily') }} WHERE ipca_12m_percent IS NOT NULL GROUP BY 1, 2) m
    ON m.municipality_code = f.municipality_code AND m.ipca_reference_on = date_trunc('month', f.date_on)
WHERE NOT f.is_forecast AND f.municipality_code = '2927408')
WINDOW in_order AS (ORDER BY date_on),
       rows_30 AS (ORDER BY date_on ROWS BETWEEN 29 PRECEDING AND CURRENT ROW)

{# Written by `make marts` from migration/: change it there. #}
{{ config(unique_key=['municipality_code', 'date_on']) }}
SELECT municipality_code, date_on, `temperature`, `precipitation`, `humidity`, `extreme_heat`, `heavy_rain`, `high_humidity`, `exchange_rate_brl_usd`, `inflation_rate`, `high_inflation`, `currency_devaluation`, `5g_coverage`, `5g_expansion_rate`, `regulatory_compliance_date`, `is_holiday`, `is_carnival`, `is_vacation_period`, `sla_renewal_period`, `weekend`, `climate_impact`, `economic_impact`, `operational_impact`, `demand_adjustment_factor` FROM (
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
                       (date_on >= DATE '2024-01-01')::INT AS `5g_coverage`,
                       greatest(datediff(date_on, DATE '2024-01-01'), 0) / 365 * 0.2 AS `5g_expansion_rate`,
                       NULL::DATE AS regulatory_compliance_date,
                       coalesce(is_holiday::INT, 0) AS is_holiday,
                       coalesce((is_optional_holiday AND holiday_name ILIKE '%carnaval%')::INT, 0) AS is_carnival,
                       (month(date_on) = 7)::INT AS is_vacation_period,
                       (month(date_on) IN (1, 7))::INT AS sla_renewal_period,
                       ((weekday(date_on) + 1) >= 6)::INT AS weekend
                FROM (
        SELECT f.*, f.usd_brl::DOUBLE AS rate, d.is_holiday, d.is_optional_holiday, d.holiday_name, d.is_weekend,
               m.ipca_12m_percent AS ipca_12m_of_month
        FROM {{ source('gold', 'external_factors_daily') }} f
        LEFT JOIN {{ source('gold', 'dim_date') }} d ON d.date_on = f.date_on
        LEFT JOIN (SELECT municipality_code, ipca_reference_on, max_by(ipca_12m_percent, date_on) AS ipca_12m_percent
                   FROM {{ source('gold', 'external_factors_daily') }} WHERE ipca_12m_percent IS NOT NULL GROUP BY 1, 2) m
            ON m.municipality_code = f.municipality_code AND m.ipca_reference_on = date_trunc('month', f.date_on)
        WHERE NOT f.is_forecast ))))

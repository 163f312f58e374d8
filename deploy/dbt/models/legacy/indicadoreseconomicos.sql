{# Written by `make marts` from migration/: change it there. #}
{{ config(unique_key=['data_referencia']) }}
SELECT d.date_on AS data_referencia, d.ipca_monthly_percent::DOUBLE AS taxa_inflacao,
       d.ipca_12m_percent AS taxa_inflacao_anual, d.usd_brl::DOUBLE AS taxa_cambio_brl_usd,
       (d.gdp_index::DOUBLE / p.gdp_index - 1) * 100 AS pib_crescimento,
       d.selic_target_percent::DOUBLE AS taxa_selic, NULL::DOUBLE AS indice_consumo
FROM (SELECT * FROM {{ source('gold', 'external_factors_daily') }} WHERE municipality_code = '2927408' AND NOT is_forecast) d
LEFT JOIN (SELECT gdp_reference_on, max_by(gdp_index, date_on)::DOUBLE AS gdp_index
           FROM (SELECT * FROM {{ source('gold', 'external_factors_daily') }} WHERE municipality_code = '2927408' AND NOT is_forecast) WHERE gdp_index IS NOT NULL GROUP BY 1) p
    ON p.gdp_reference_on = d.gdp_reference_on - INTERVAL 1 YEAR

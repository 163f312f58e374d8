{# Written by `make marts` from migration/: change it there. #}
{{ config(unique_key=['data_referencia']) }}
SELECT d.date_on AS data_referencia, d.share_5g_percent AS cobertura_5g_percentual,
       NULL::DOUBLE AS investimento_5g_brl_billions, d.stations_5g AS torres_5g_ativas,
       m.municipalities AS municipios_5g, NULL::DOUBLE AS velocidade_media_mbps
FROM (SELECT * FROM {{ source('gold', 'external_factors_daily') }} WHERE municipality_code = '2927408' AND NOT is_forecast) d
LEFT JOIN (SELECT reference_month_on, count_if(mobile_accesses_5g > 0) AS municipalities
           FROM {{ source('gold', 'fact_5g_municipality') }} GROUP BY 1) m ON m.reference_month_on = d.mobile_reference_on

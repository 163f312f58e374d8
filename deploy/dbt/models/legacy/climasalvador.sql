{# Written by `make marts` from migration/: change it there. #}
{{ config(unique_key=['data_referencia']) }}
SELECT date_on AS data_referencia, temperature_mean_celsius AS temperatura_media,
       temperature_max_celsius AS temperatura_maxima, temperature_min_celsius AS temperatura_minima,
       rain_mm AS precipitacao_mm, relative_humidity_mean_percent AS umidade_percentual,
       wind_speed_mean_m_s * 3.6 AS velocidade_vento_kmh
FROM (SELECT * FROM {{ source('gold', 'external_factors_daily') }} WHERE municipality_code = '2927408' AND NOT is_forecast)

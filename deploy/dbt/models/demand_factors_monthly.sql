{{ config(unique_key=['reference_month_on', 'uf']) }}
{# Means are rounded, so that the order in which Spark adds up changes no row. #}
select
  cast(date_trunc('month', g.date_on) as date) as reference_month_on,
  g.uf,
  g.municipality_code as capital_code,
  count(*) as days,
  round(avg(f.demand_adjustment_factor), 6) as demand_adjustment_factor_mean,
  round(avg(f.climate_impact), 6) as climate_impact_mean,
  round(avg(f.economic_impact), 6) as economic_impact_mean,
  round(avg(f.operational_impact), 6) as operational_impact_mean,
  round(avg(g.temperature_mean_celsius), 6) as temperature_mean_celsius,
  round(sum(g.rain_mm), 6) as rain_mm,
  count_if(g.is_heavy_rain) as heavy_rain_days,
  count_if(g.is_extreme_heat) as extreme_heat_days,
  round(avg(cast(g.usd_brl as double)), 6) as usd_brl_mean,
  max_by(g.ipca_12m_percent, g.date_on) as ipca_12m_percent,
  max_by(g.share_5g_percent, g.date_on) as share_5g_percent,
  max(g.known_from) as known_from
from {{ ref('legacy_unified_v1') }} f
join {{ source('gold', 'external_factors_daily') }} g
  on g.municipality_code = f.municipality_code and g.date_on = f.date_on
group by 1, 2, 3

"""`external_factors_daily`, written a second time: plain SQL over silver's revisions and the reference files."""

from monitoring.proof.checks.gold_definition import (
    DAYS_OF_HOURS,
    DAYS_OF_POINTS,
    Definition,
    limit,
    newest,
    newest_or_withdrawn,
)
from monitoring.proof.checks.gold_facts import COVERAGE, NR_STATIONS, POPULATION, REANALYSIS_QUERY, WEATHER_QUERY

_ASSUMED = ", bool_or(published_at_basis = 'assumed_lag') AS is_assumed"

_WEATHER = f"""
    observed AS ({WEATHER_QUERY.format(extra=_ASSUMED)}),
    reanalysed AS (
        SELECT r.* REPLACE (c.municipality_code AS municipality_code)
        FROM ({REANALYSIS_QUERY.format(extra=_ASSUMED)}) r JOIN places c ON c.point_id = r.municipality_code
        WHERE model = 'best_match'
    ),
    both_sides AS (
        SELECT c.municipality_code, coalesce(s.date_on, p.date_on) AS date_on, s, p,
               s.date_on IS NOT NULL AND (p.date_on IS NULL OR s.is_complete
                   OR (p.forecast_hours > 0 AND (s.hours_observed > 0 OR s.rain_hours_observed > 0))
                   OR (p.forecast_hours = 0 AND NOT p.is_complete AND s.hours_observed >= p.hours_available))
                   AS is_observed
        FROM (SELECT o.*, c.municipality_code FROM observed o JOIN places c USING (station_code)) s
        FULL JOIN reanalysed p ON p.municipality_code = s.municipality_code AND p.date_on = s.date_on
        JOIN places c ON c.municipality_code = coalesce(s.municipality_code, p.municipality_code)
    ),
    weather AS (
        SELECT municipality_code, date_on,
               if(is_observed, 'inmet_hourly', 'openmeteo_archive') AS weather_source,
               NOT is_observed AND p.forecast_hours > 0 AS is_forecast,
               if(is_observed, s.hours_observed, p.hours_available) AS hours_observed,
               if(is_observed, s.rain_hours_observed, p.rain_hours_available) AS rain_hours_observed,
               if(is_observed, s.temperature_mean_celsius, p.temperature_mean_celsius) AS temperature_mean_celsius,
               if(is_observed, s.temperature_max_celsius, p.temperature_max_celsius) AS temperature_max_celsius,
               if(is_observed, s.temperature_min_celsius, p.temperature_min_celsius) AS temperature_min_celsius,
               if(is_observed, s.relative_humidity_mean_percent, p.relative_humidity_mean_percent)
                   AS relative_humidity_mean_percent,
               if(is_observed, s.rain_mm, p.rain_mm) AS rain_mm,
               if(is_observed, s.wind_speed_mean_m_s, p.wind_speed_mean_m_s) AS wind_speed_mean_m_s,
               if(is_observed, s.wind_gust_max_m_s, NULL) AS wind_gust_max_m_s,
               if(is_observed, s.pressure_mean_hpa, NULL) AS pressure_mean_hpa,
               if(is_observed, s.global_radiation_kj_m2, NULL) AS global_radiation_kj_m2,
               if(is_observed, s.is_complete, p.is_complete) AS is_complete,
               greatest(s.known_from, p.known_from) AS known_from,
               greatest(s.is_assumed, p.is_assumed) AS is_assumed
        FROM both_sides
    )"""

# A row for each municipality's day with weather, and for each day with a value of a daily series.
_DAYS = f"""
    sgs AS (SELECT *, published_at_basis = 'assumed_lag' AS is_assumed FROM ({newest("bcb_sgs")})
            WHERE value IS NOT NULL),
    quoted AS (SELECT DISTINCT reference_on AS date_on FROM sgs WHERE series_code IN (1, 432)),
    grid AS (
        SELECT date_on, municipality_code FROM weather
        UNION SELECT date_on, municipality_code FROM quoted CROSS JOIN places
    ),
    days AS (SELECT DISTINCT date_on FROM grid),
    past AS (
        SELECT date_on, municipality_code, known_from, is_assumed,
               CASE WHEN NOT is_forecast THEN rain_mm END AS rain,
               CASE WHEN NOT is_forecast THEN temperature_mean_celsius END AS mean,
               CASE WHEN NOT is_forecast THEN temperature_max_celsius END AS highest
        FROM grid LEFT JOIN weather USING (date_on, municipality_code)
    ),
    month_of_weather AS (
        SELECT date_on, municipality_code, sum(rain) OVER month AS rain_30d_mm,
               avg(mean) OVER month AS temperature_mean_30d_celsius,
               sum((rain > {limit("heavy_rain_mm")})::INT) OVER month AS heavy_rain_days_30d,
               sum((highest > {limit("extreme_heat_celsius")})::INT) OVER month AS extreme_heat_days_30d,
               count(mean) OVER month AS days_observed_30d, count(rain) OVER month AS rain_days_observed_30d,
               max(known_from) OVER month AS known_from, bool_or(is_assumed) OVER month AS is_assumed
        FROM past
        WINDOW month AS (PARTITION BY municipality_code ORDER BY date_on
                         RANGE BETWEEN INTERVAL 29 DAYS PRECEDING AND CURRENT ROW)
    )"""

# The days whose window of thirty holds one of these days.
_THIRTY_DAYS = (
    "g.date_on IN (SELECT d.date_on + n::INT FROM (SELECT DISTINCT date_on FROM ({days})) d, range(30) r (n))"
)

_ECONOMY = """
    usd AS (FROM sgs WHERE series_code = 1),
    selic AS (FROM sgs WHERE series_code = 432),
    periods AS (
        SELECT series_code, reference_on, value, first_known_from::DATE AS known_on,
               series_code IN (433, 188, 189) AS accumulates,
               CASE WHEN accumulates AND count(*) OVER year = 12
                    THEN (product(1 + value::DOUBLE / 100) OVER year - 1) * 100 END AS percent_12m,
               CASE WHEN accumulates THEN max(known_from) OVER year ELSE known_from END AS known_from,
               CASE WHEN accumulates THEN bool_or(is_assumed) OVER year ELSE is_assumed END AS is_assumed
        FROM (SELECT *, year(reference_on) * 12 + month(reference_on) AS number FROM sgs
              WHERE series_code IN (433, 188, 189, 24364, 24369, 22099))
        WINDOW year AS (PARTITION BY series_code ORDER BY number RANGE BETWEEN 11 PRECEDING AND CURRENT ROW)
    ),
    fresh AS (
        SELECT d.date_on, u.value, u.known_from, u.is_assumed FROM days d ASOF JOIN usd u ON d.date_on >= u.reference_on
        WHERE d.date_on - u.reference_on <= 10
    ),
    base AS (
        SELECT d.date_on, u.value, u.known_from, u.is_assumed
        FROM days d ASOF JOIN usd u ON d.date_on - 30 >= u.reference_on
        WHERE d.date_on - 30 - u.reference_on <= 10
    ),
    target AS (
        SELECT d.date_on, s.value, s.known_from, s.is_assumed
        FROM days d ASOF JOIN selic s ON d.date_on >= s.reference_on
        WHERE d.date_on - s.reference_on <= 10
    ),
    volatility AS (
        SELECT d.date_on, stddev_samp(u.value::DOUBLE) AS value, max(u.known_from) AS known_from,
               bool_or(u.is_assumed) AS is_assumed
        FROM days d JOIN usd u ON u.reference_on BETWEEN d.date_on - 29 AND d.date_on GROUP BY 1
    ),
    carried AS (
        SELECT d.date_on, arg_max(p, p.reference_on) FILTER (p.series_code = 433) AS ipca,
               arg_max(p, p.reference_on) FILTER (p.series_code = 188) AS inpc,
               arg_max(p, p.reference_on) FILTER (p.series_code = 189) AS igpm,
               arg_max(p, p.reference_on) FILTER (p.series_code = 24364) AS ibc_br,
               arg_max(p, p.reference_on) FILTER (p.series_code = 24369) AS unemployment,
               arg_max(p, p.reference_on) FILTER (p.series_code = 22099) AS gdp
        FROM days d JOIN periods p ON p.known_on <= d.date_on GROUP BY 1
    ),
    economy AS (
        SELECT d.date_on, f.value AS usd_brl, t.value AS selic_target_percent, v.value AS fx_volatility_30d,
               (f.value::DOUBLE / nullif(b.value, 0)::DOUBLE - 1) * 100 AS fx_change_30d_percent,
               ipca.reference_on AS ipca_reference_on, ipca.value AS ipca_monthly_percent,
               ipca.percent_12m AS ipca_12m_percent,
               inpc.reference_on AS inpc_reference_on, inpc.value AS inpc_monthly_percent,
               inpc.percent_12m AS inpc_12m_percent,
               igpm.reference_on AS igpm_reference_on, igpm.value AS igpm_monthly_percent,
               igpm.percent_12m AS igpm_12m_percent,
               ibc_br.reference_on AS ibc_br_reference_on, ibc_br.value AS ibc_br_index,
               unemployment.reference_on AS unemployment_reference_on, unemployment.value AS unemployment_percent,
               gdp.reference_on AS gdp_reference_on, gdp.value AS gdp_index,
               greatest(f.known_from, b.known_from, t.known_from, v.known_from, ipca.known_from, inpc.known_from,
                        igpm.known_from, ibc_br.known_from, unemployment.known_from, gdp.known_from) AS known_from,
               greatest(f.is_assumed, b.is_assumed, t.is_assumed, v.is_assumed, ipca.is_assumed, inpc.is_assumed,
                        igpm.is_assumed, ibc_br.is_assumed, unemployment.is_assumed, gdp.is_assumed) AS is_assumed
        FROM days d LEFT JOIN fresh f USING (date_on) LEFT JOIN base b USING (date_on)
        LEFT JOIN target t USING (date_on) LEFT JOIN volatility v USING (date_on) LEFT JOIN carried c USING (date_on)
    )"""

# The newest survey of a meeting that was known by the day, at most 30 days old; a meeting is next until its last day.
_EXPECTED = f"""
    surveys AS (
        SELECT reference_period AS meeting_id, surveyed_on, median, known_from, first_known_from::DATE AS known_on,
               published_at_basis = 'assumed_lag' AS is_assumed
        FROM ({newest("bcb_focus")})
        WHERE resource = 'ExpectativasMercadoSelic' AND indicator = 'Selic' AND base_calculation = 0
          AND indicator_detail IS NULL AND smoothed IS NULL AND calculation_type IS NULL AND median IS NOT NULL
    ),
    asked AS (
        SELECT d.date_on, s, s.surveyed_on AS surveyed_on, s.meeting_id = m.meeting_id AS is_next,
               s.meeting_id = m.year_end_id AS is_year_end
        FROM days d JOIN copom m ON m.previous_on <= d.date_on AND d.date_on < m.decided_on
        JOIN surveys s ON s.meeting_id IN (m.meeting_id, m.year_end_id) AND s.known_on <= d.date_on
         AND d.date_on - s.surveyed_on BETWEEN 0 AND 30
    ),
    expected AS (
        SELECT date_on, arg_max(s, surveyed_on) FILTER (is_next) AS n, arg_max(s, surveyed_on) FILTER (is_year_end) AS y
        FROM asked GROUP BY 1
    )"""

_TELECOM = f"""
    coverage AS (SELECT *, first_known_from::DATE AS known_on FROM ({COVERAGE})),
    broadband_months AS (
        SELECT municipality_code, reference_month_on,
               year(reference_month_on) * 12 + month(reference_month_on) AS number, sum(accesses)::BIGINT AS accesses,
               max(known_from) AS known_from, min(first_known_from)::DATE AS known_on,
               bool_or(published_at_basis = 'assumed_lag') AS is_assumed
        FROM ({newest_or_withdrawn("anatel_broadband_accesses")}) WHERE municipality_code IS NOT NULL
        GROUP BY ALL HAVING NOT bool_and(is_withdrawn)
    ),
    growth AS (
        SELECT m.municipality_code, m.reference_month_on, m.accesses, m.known_on,
               (m.accesses / nullif(b.accesses, 0) - 1) * 100 AS growth,
               greatest(m.known_from, b.known_from) AS known_from, greatest(m.is_assumed, b.is_assumed) AS is_assumed
        FROM broadband_months m
        LEFT JOIN broadband_months b ON b.municipality_code = m.municipality_code AND b.number = m.number - 12
    ),
    licensed AS (
        SELECT municipality_code, effective_on, count(*) AS stations, max(known_from) AS known_from,
               bool_or(is_assumed) AS is_assumed
        FROM ({NR_STATIONS}) GROUP BY 1, 2
    ),
    mobile_of_day AS (
        SELECT g.date_on, g.municipality_code, arg_max(m, m.reference_month_on) AS m
        FROM grid g JOIN coverage m ON m.municipality_code = g.municipality_code AND m.known_on <= g.date_on
        GROUP BY 1, 2 HAVING max(m.reference_month_on) >= (g.date_on - INTERVAL 6 MONTH)::DATE
    ),
    broadband_of_day AS (
        SELECT g.date_on, g.municipality_code, arg_max(b, b.reference_month_on) AS b
        FROM grid g JOIN growth b ON b.municipality_code = g.municipality_code AND b.known_on <= g.date_on
        GROUP BY 1, 2 HAVING max(b.reference_month_on) >= (g.date_on - INTERVAL 6 MONTH)::DATE
    ),
    stations_of_day AS (
        SELECT g.date_on, g.municipality_code, sum(s.stations)::BIGINT AS stations_5g, max(s.known_from) AS known_from,
               bool_or(s.is_assumed) AS is_assumed
        FROM grid g JOIN licensed s ON s.municipality_code = g.municipality_code AND s.effective_on <= g.date_on
        GROUP BY 1, 2
    )"""

_POPULATION = f"""
    estimates AS ({POPULATION}),
    population_of_day AS (
        SELECT g.date_on, g.municipality_code, arg_max(i, i.reference_on) AS i
        FROM grid g JOIN estimates i ON i.municipality_code = g.municipality_code
             AND i.first_known_from::DATE <= g.date_on
        GROUP BY 1, 2
    )"""

EXTERNAL = Definition(
    table="external_factors_daily",
    keys=("date_on", "municipality_code"),
    query=f"""
    WITH {_WEATHER}, {_DAYS}, {_ECONOMY}, {_EXPECTED}, {_TELECOM}, {_POPULATION},
    joined AS (
        SELECT g.date_on, g.municipality_code, c.uf, c.station_code, w.weather_source,
               coalesce(w.hours_observed, 0) AS hours_observed,
               coalesce(w.rain_hours_observed, 0) AS rain_hours_observed,
               w.* EXCLUDE (date_on, municipality_code, weather_source, hours_observed, rain_hours_observed,
                            is_complete, is_forecast, known_from, is_assumed),
               t.* EXCLUDE (date_on, municipality_code, known_from, is_assumed),
               coalesce(w.is_complete, false) AS is_complete,
               coalesce(w.is_forecast, false) AS is_forecast,
               e.* EXCLUDE (date_on, known_from, is_assumed),
               x.n.meeting_id AS selic_expected_next_meeting_id, x.n.median AS selic_expected_next_percent,
               x.n.surveyed_on AS selic_expected_next_surveyed_on,
               x.y.meeting_id AS selic_expected_year_end_meeting_id, x.y.median AS selic_expected_year_end_percent,
               m.reference_month_on AS mobile_reference_on, m.accesses AS mobile_accesses,
               m.accesses_5g AS mobile_accesses_5g, m.accesses_all AS mobile_accesses_all,
               m.accesses_5g_all AS mobile_accesses_5g_all, m.share AS share_5g_percent,
               m.change AS share_5g_change_points,
               m.expansion AS expansion_rate_5g_percent, m.share > 0 AS is_5g_active,
               round(m.change, 9) > {limit("milestone_5g_points")} AS is_5g_milestone, s.stations_5g,
               b.reference_month_on AS broadband_reference_on, b.accesses AS broadband_accesses,
               b.growth AS broadband_growth_12m_percent,
               i.reference_on AS population_reference_on, i.population,
               greatest(t.known_from, e.known_from, x.n.known_from, x.y.known_from, m.known_from, b.known_from,
                        s.known_from, i.known_from) AS known_from,
               CASE WHEN greatest(t.is_assumed, e.is_assumed, x.n.is_assumed, x.y.is_assumed, m.is_assumed,
                                  b.is_assumed, s.is_assumed, i.is_assumed)
                    THEN 'assumed' ELSE 'measured' END AS known_from_basis
        FROM grid g JOIN places c USING (municipality_code)
        LEFT JOIN weather w USING (date_on, municipality_code) LEFT JOIN economy e USING (date_on)
        LEFT JOIN expected x USING (date_on)
        LEFT JOIN month_of_weather t USING (date_on, municipality_code)
        LEFT JOIN mobile_of_day USING (date_on, municipality_code)
        LEFT JOIN broadband_of_day USING (date_on, municipality_code)
        LEFT JOIN stations_of_day s USING (date_on, municipality_code)
        LEFT JOIN population_of_day USING (date_on, municipality_code)
    )
    SELECT *,
           temperature_max_celsius > {limit("extreme_heat_celsius")} AS is_extreme_heat,
           temperature_min_celsius < {limit("cold_celsius")} AS is_cold,
           rain_mm = 0 AS is_no_rain,
           rain_mm > {limit("heavy_rain_mm")} AS is_heavy_rain,
           rain_mm > {limit("intense_rain_mm")} AS is_intense_rain,
           relative_humidity_mean_percent > {limit("high_humidity_percent")} AS is_high_humidity,
           relative_humidity_mean_percent / 100 * rain_mm / 100 AS corrosion_risk,
           0.5 * (rain_mm > {limit("heavy_rain_mm")})::INT
               + 0.3 * (temperature_max_celsius > {limit("extreme_heat_celsius")})::INT AS field_work_disruption,
           mobile_accesses / population * 100 AS mobile_accesses_per_100,
           broadband_accesses / population * 100 AS broadband_accesses_per_100,
           fx_change_30d_percent > {limit("devaluation_percent")} AS is_devaluation,
           round(ipca_12m_percent, 9) > {limit("high_inflation_percent")} AS is_high_inflation
    FROM joined""",
    touched={
        "inmet_hourly": _THIRTY_DAYS.format(days=DAYS_OF_HOURS),
        "inmet_stations": "EXISTS (FROM {rows})",
        "openmeteo_archive": _THIRTY_DAYS.format(days=DAYS_OF_POINTS),
        "bcb_sgs": "g.date_on >= (SELECT least(min(reference_on), min(known_from)::DATE) FROM {rows})",
        "anatel_mobile_accesses": "g.date_on >= (SELECT min(reference_month_on) FROM {rows})",
        "anatel_broadband_accesses": "g.date_on >= (SELECT min(reference_month_on) FROM {rows})",
        "anatel_base_stations": "EXISTS (FROM {rows})",
        "bcb_focus": (
            "g.date_on BETWEEN (SELECT min(surveyed_on) FROM {rows} WHERE resource = 'ExpectativasMercadoSelic')"
            " AND (SELECT max(surveyed_on) + 30 FROM {rows} WHERE resource = 'ExpectativasMercadoSelic')"
        ),
        "ibge_sidra": (
            "g.date_on >= (SELECT least(min(make_date(period_code::INT, 1, 1)), min(known_from)::DATE)"
            " FROM (FROM {rows} WHERE table_id = 6579 AND length(period_code) = 4))"
        ),
    },
)

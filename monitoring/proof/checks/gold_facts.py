"""Gold's dimensions and facts, written a second time: plain SQL over silver's revisions and the reference files."""

from monitoring.proof.checks.gold_definition import (
    DAYS_OF_HOURS,
    DAYS_OF_POINTS,
    Definition,
    limit,
    newest,
    newest_or_withdrawn,
)

_STATION_DIMENSION = Definition(
    table="dim_weather_station",
    keys=("station_code", "valid_from_on"),
    query=f"""
        SELECT station_code, valid_from_on,
               (lead(valid_from_on) OVER later - INTERVAL 1 DAY)::DATE AS valid_to_on,
               region, uf, name, latitude_degrees, longitude_degrees, altitude_m, founded_on,
               greatest(known_from, lead(known_from) OVER later) AS known_from
        FROM ({newest("inmet_stations")})
        WINDOW later AS (PARTITION BY station_code ORDER BY valid_from_on)""",
    touched={"inmet_stations": "g.station_code IN (SELECT station_code FROM {rows})"},
)

# A station's zone is that of its municipality if the list names it; else that of its state, by its newest metadata with
# a known state; else that of its capital.
WEATHER_QUERY = f"""
    WITH zones AS (
        SELECT s.station_code, arg_max(c.time_zone, s.valid_from_on) AS time_zone
        FROM ({newest("inmet_stations")}) s JOIN capitals c USING (uf) GROUP BY 1
    ), hours AS (
        SELECT h.*, timezone(coalesce(o.time_zone, z.time_zone, c.time_zone), h.observed_at)::DATE AS date_on,
               date_trunc('hour', h.observed_at) AS hour
        FROM ({newest("inmet_hourly")}) h
        LEFT JOIN own_zones o ON o.station_code = h.station_code
        LEFT JOIN zones z ON z.station_code = h.station_code LEFT JOIN capitals c ON c.station_code = h.station_code
        WHERE coalesce(o.time_zone, z.time_zone, c.time_zone) IS NOT NULL
    )
    SELECT station_code, date_on,
           count(DISTINCT hour) FILTER (air_temperature_celsius IS NOT NULL) AS hours_observed,
           count(DISTINCT hour) FILTER (rain_mm IS NOT NULL) AS rain_hours_observed,
           avg(air_temperature_celsius) AS temperature_mean_celsius,
           max(air_temperature_max_celsius) AS temperature_max_celsius,
           min(air_temperature_min_celsius) AS temperature_min_celsius,
           avg(relative_humidity_percent) AS relative_humidity_mean_percent,
           sum(rain_mm) AS rain_mm,
           avg(wind_speed_m_s) AS wind_speed_mean_m_s,
           max(wind_gust_m_s) AS wind_gust_max_m_s,
           avg(pressure_hpa) AS pressure_mean_hpa,
           sum(global_radiation_kj_m2) AS global_radiation_kj_m2,
           count(DISTINCT hour) FILTER (air_temperature_celsius IS NOT NULL) >= 20 AS is_complete,
           max(known_from) AS known_from{{extra}}
    FROM hours GROUP BY station_code, date_on"""

# An hour that ends after its own fetch is a forecast; old records have no flag for it.
REANALYSIS_QUERY = f"""
    SELECT point_id AS municipality_code, model,
           timezone(coalesce(o.time_zone, c.time_zone), valid_at)::DATE AS date_on,
           count(air_temperature_celsius) FILTER (NOT is_expected) AS hours_available,
           count(*) FILTER (is_expected) AS forecast_hours,
           avg(air_temperature_celsius) AS temperature_mean_celsius,
           max(air_temperature_celsius) AS temperature_max_celsius,
           min(air_temperature_celsius) AS temperature_min_celsius,
           avg(relative_humidity_percent) AS relative_humidity_mean_percent,
           count(precipitation_mm) FILTER (NOT is_expected) AS rain_hours_available,
           sum(precipitation_mm) AS rain_mm,
           avg(wind_speed_km_h) / 3.6 AS wind_speed_mean_m_s,
           hours_available >= 20 AND forecast_hours = 0 AS is_complete,
           max(known_from) AS known_from{{extra}}
    FROM (SELECT *, coalesce(is_forecast, valid_at > retrieved_at, false)
                    AND (air_temperature_celsius IS NOT NULL OR relative_humidity_percent IS NOT NULL
                         OR precipitation_mm IS NOT NULL OR wind_speed_km_h IS NOT NULL) AS is_expected
          FROM ({newest("openmeteo_archive")})) JOIN capitals c ON c.municipality_code[:2] = point_id[:2]
    LEFT JOIN own_zones o ON o.municipality_code = point_id[:7]
    GROUP BY 1, 2, 3"""

_WEATHER = Definition(
    table="fact_weather_daily",
    keys=("station_code", "date_on"),
    query=WEATHER_QUERY.format(extra=""),
    touched={
        "inmet_hourly": f"(g.station_code, g.date_on) IN ({DAYS_OF_HOURS})",
        "inmet_stations": "g.station_code IN (SELECT station_code FROM {rows})",
    },
)

_REANALYSIS = Definition(
    table="fact_reanalysis_daily",
    keys=("municipality_code", "date_on", "model"),
    query=REANALYSIS_QUERY.format(extra=""),
    touched={"openmeteo_archive": f"(g.municipality_code, g.date_on) IN ({DAYS_OF_POINTS})"},
)

_OBSERVATIONS = Definition(
    table="fact_economic_observation",
    keys=("series_code", "reference_on"),
    query=f"""
        SELECT series_code, reference_on, reference_end_on, value, known_from, published_at_basis
        FROM ({newest("bcb_sgs")})""",
    touched={"bcb_sgs": "(g.series_code, g.reference_on) IN (SELECT series_code, reference_on FROM {rows})"},
)

_BROADBAND = Definition(
    table="fact_broadband_accesses_monthly",
    keys=("reference_month_on", "municipality_code", "technology"),
    query=f"""
        SELECT reference_month_on, coalesce(municipality_code, '') AS municipality_code,
               coalesce(technology, '') AS technology, sum(accesses)::BIGINT AS accesses,
               count(DISTINCT cnpj) FILTER (NOT is_withdrawn) AS providers, max(known_from) AS known_from
        FROM ({newest_or_withdrawn("anatel_broadband_accesses")})
        GROUP BY 1, 2, 3 HAVING NOT bool_and(is_withdrawn)""",
    touched={"anatel_broadband_accesses": "g.reference_month_on IN (SELECT reference_month_on FROM {rows})"},
)

_FX = Definition(
    table="fact_fx_daily",
    keys=("currency_code", "date_on"),
    query=f"""
        SELECT currency_code, timezone('America/Sao_Paulo', quoted_at)::DATE AS date_on,
               arg_max(buying_rate, (quoted_at, bulletin_type)) FILTER (bulletin_type LIKE 'Fechamento%')
                   AS closing_buying,
               arg_max(selling_rate, (quoted_at, bulletin_type)) FILTER (bulletin_type LIKE 'Fechamento%')
                   AS closing_selling,
               min(selling_rate) AS lowest_selling, max(selling_rate) AS highest_selling,
               count(*) AS bulletins, max(known_from) AS known_from
        FROM ({newest("bcb_ptax")}) GROUP BY 1, 2""",
    touched={"bcb_ptax": "g.date_on IN (SELECT unnest([quoted_at::DATE - 1, quoted_at::DATE]) FROM {rows})"},
)

# ANATEL's headline figure: no machines, no points of service, no idle lines. Any other type belongs to a person.
_IS_MACHINE = "regexp_matches(coalesce(product_type, ''), '^(M2M|OCIOSO|PONTO_DE_SERVICO$)')"

_MOBILE = Definition(
    table="fact_mobile_accesses_monthly",
    keys=("reference_month_on", "municipality_code", "generation"),
    query=f"""
        SELECT reference_month_on, coalesce(municipality_code, '') AS municipality_code,
               coalesce(generation, '') AS generation, sum(accesses)::BIGINT AS accesses,
               coalesce(sum(accesses) FILTER (NOT {_IS_MACHINE}), 0)::BIGINT AS people_accesses,
               coalesce(sum(accesses) FILTER ({_IS_MACHINE}), 0)::BIGINT AS machine_accesses,
               count(DISTINCT cnpj) FILTER (NOT is_withdrawn) AS operators, max(known_from) AS known_from
        FROM ({newest_or_withdrawn("anatel_mobile_accesses")})
        GROUP BY 1, 2, 3 HAVING NOT bool_and(is_withdrawn)""",
    touched={"anatel_mobile_accesses": "g.reference_month_on IN (SELECT reference_month_on FROM {rows})"},
)

_STATIONS = Definition(
    table="fact_base_stations",
    keys=("license_row_id",),
    query=f"""
        SELECT license_row_id, station_number, cnpj, company, uf, municipality_code, technology, generation,
               latitude_degrees, longitude_degrees, transmit_frequency_mhz, licensed_on, first_licensed_on,
               valid_until_on, known_from
        FROM ({newest("anatel_base_stations")})""",
    touched={"anatel_base_stations": "g.license_row_id IN (SELECT license_row_id FROM {rows})"},
)

# Months are counted from year 0, so the month before has the number less one.
MOBILE_MONTHS = f"""
    SELECT *, accesses_5g / nullif(accesses, 0) * 100 AS share
    FROM (SELECT municipality_code, reference_month_on,
           year(reference_month_on) * 12 + month(reference_month_on) AS number,
           coalesce(sum(accesses) FILTER (NOT {_IS_MACHINE}), 0)::BIGINT AS accesses,
           coalesce(sum(accesses) FILTER (NOT {_IS_MACHINE} AND generation LIKE '5G%'), 0)::BIGINT AS accesses_5g,
           sum(accesses)::BIGINT AS accesses_all,
           coalesce(sum(accesses) FILTER (generation LIKE '5G%'), 0)::BIGINT AS accesses_5g_all,
           max(known_from) AS known_from, min(first_known_from) AS first_known_from,
           bool_or(published_at_basis = 'assumed_lag') AS is_assumed
    FROM ({newest_or_withdrawn("anatel_mobile_accesses")}) WHERE municipality_code IS NOT NULL
    GROUP BY ALL HAVING NOT bool_and(is_withdrawn))"""

COVERAGE = f"""
    SELECT m.* EXCLUDE (known_from, is_assumed), m.share - b.share AS change,
           CASE WHEN b.share > 0 THEN (m.share / b.share - 1) * 100 END AS expansion,
           greatest(m.known_from, b.known_from) AS known_from, greatest(m.is_assumed, b.is_assumed) AS is_assumed
    FROM ({MOBILE_MONTHS}) m
    LEFT JOIN ({MOBILE_MONTHS}) b ON b.municipality_code = m.municipality_code AND b.number = m.number - 1"""

NR_STATIONS = f"""
    SELECT municipality_code, station_number,
           min(coalesce(first_licensed_on, licensed_on, first_known_from::DATE)) AS licensed_on,
           min(greatest(first_known_from::DATE, coalesce(first_licensed_on, licensed_on, first_known_from::DATE)))
               AS effective_on,
           max(known_from) AS known_from, bool_or(published_at_basis = 'assumed_lag') AS is_assumed
    FROM ({newest("anatel_base_stations")})
    WHERE technology = 'NR' AND municipality_code IS NOT NULL GROUP BY 1, 2"""

_FIVE_G = Definition(
    table="fact_5g_municipality",
    keys=("municipality_code", "reference_month_on"),
    query=f"""
        WITH coverage AS ({COVERAGE}), stations AS ({NR_STATIONS}),
        months AS (
            SELECT municipality_code, reference_month_on FROM coverage
            UNION SELECT municipality_code, date_trunc('month', licensed_on)::DATE FROM stations
        ), counted AS (
            SELECT m.municipality_code, m.reference_month_on, count(s.station_number) AS stations_5g,
                   max(s.known_from) AS known_from
            FROM months m LEFT JOIN stations s ON s.municipality_code = m.municipality_code
                 AND date_trunc('month', s.licensed_on)::DATE <= m.reference_month_on
            GROUP BY 1, 2
        )
        SELECT municipality_code, reference_month_on, c.accesses AS mobile_accesses,
               c.accesses_5g AS mobile_accesses_5g, c.accesses_all AS mobile_accesses_all,
               c.accesses_5g_all AS mobile_accesses_5g_all, c.share AS share_5g_percent,
               c.change AS share_5g_change_points, c.expansion AS expansion_rate_5g_percent,
               round(c.change, 9) > {limit("milestone_5g_points")} AS is_5g_milestone, stations_5g,
               greatest(c.known_from, n.known_from) AS known_from
        FROM counted n LEFT JOIN coverage c USING (municipality_code, reference_month_on)""",
    touched={
        "anatel_mobile_accesses": (
            "g.reference_month_on IN (SELECT unnest([reference_month_on,"
            " (reference_month_on + INTERVAL 1 MONTH)::DATE]) FROM {rows})"
        ),
        "anatel_base_stations": "EXISTS (FROM {rows})",
    },
)

_DESCRIBED = " UNION ALL ".join(
    f"SELECT cnpj, reference_month_on, company, economic_group, provider_size, accesses, known_from"
    f" FROM ({newest(dataset)})"
    for dataset in ("anatel_mobile_accesses", "anatel_broadband_accesses")
)

_OPERATOR = Definition(
    table="dim_operator",
    keys=("cnpj", "valid_from_on"),
    query=f"""
        WITH described AS (
            SELECT cnpj, reference_month_on, company, economic_group, provider_size,
                   max(max(known_from)) OVER (PARTITION BY cnpj, reference_month_on) AS known_from
            FROM ({_DESCRIBED}) GROUP BY 1, 2, 3, 4, 5
            QUALIFY row_number() OVER (
                PARTITION BY cnpj, reference_month_on
                ORDER BY sum(accesses) DESC, company DESC NULLS LAST, economic_group DESC NULLS LAST,
                         provider_size DESC NULLS LAST) = 1
        ), changes AS (
            SELECT *, row(company, economic_group, provider_size) AS description FROM described
            WINDOW later AS (PARTITION BY cnpj ORDER BY reference_month_on)
            QUALIFY lag(reference_month_on) OVER later IS NULL
                 OR description IS DISTINCT FROM lag(description) OVER later
        )
        SELECT cnpj, reference_month_on AS valid_from_on,
               (lead(reference_month_on) OVER later - INTERVAL 1 DAY)::DATE AS valid_to_on,
               company, economic_group, provider_size,
               greatest(known_from, lead(known_from) OVER later) AS known_from
        FROM changes WINDOW later AS (PARTITION BY cnpj ORDER BY reference_month_on)""",
    touched=dict.fromkeys(
        ("anatel_mobile_accesses", "anatel_broadband_accesses"), "g.cnpj IN (SELECT cnpj FROM {rows})"
    ),
)

POPULATION = f"""
    SELECT territory_code AS municipality_code, make_date(period_code::INT, 7, 1) AS reference_on,
           value::BIGINT AS population, known_from, first_known_from,
           published_at_basis = 'assumed_lag' AS is_assumed
    FROM ({newest("ibge_sidra")})
    WHERE table_id = 6579 AND territory_level = '6' AND variable_code = '9324' AND length(period_code) = 4
      AND value IS NOT NULL"""

_POPULATION = Definition(
    table="dim_municipality_population",
    keys=("municipality_code", "valid_from_on"),
    query=f"""
        SELECT municipality_code, reference_on AS valid_from_on,
               (lead(reference_on) OVER later - INTERVAL 1 DAY)::DATE AS valid_to_on, population,
               greatest(known_from, lead(known_from) OVER later) AS known_from
        FROM ({POPULATION}) WINDOW later AS (PARTITION BY municipality_code ORDER BY reference_on)""",
    touched={"ibge_sidra": "g.municipality_code IN (SELECT territory_code FROM {rows})"},
)

DEFINITIONS = (
    _STATION_DIMENSION,
    _POPULATION,
    _OPERATOR,
    _WEATHER,
    _REANALYSIS,
    _OBSERVATIONS,
    _FX,
    _BROADBAND,
    _MOBILE,
    _STATIONS,
    _FIVE_G,
)

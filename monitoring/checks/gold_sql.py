"""Gold's definitions, written a second time: plain SQL over silver's revisions and the reference files.

Nothing here is shared with the jobs that fill gold, thresholds included: what changes on one side only must show.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.contracts import load

# The newest version of every key, as gold sees silver.
_NEWEST = """
    SELECT * FROM silver.{dataset}_revisions
    QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY known_from DESC, kafka_offset DESC) = 1"""

# Every civil day that an hour may belong to: Brazil is behind UTC, by less than a day.
_DAYS_OF_HOURS = "SELECT station_code, unnest([observed_at::DATE - 1, observed_at::DATE]) AS date_on FROM {rows}"


@dataclass(frozen=True)
class Definition:
    """A gold table as a query.

    Attributes:
        datasets: silver datasets it is made from.
        touched: dataset → predicate over the table's rows (`g`): may a row of `{rows}`, some of that dataset's
            revisions, have changed it? It may say yes too often, never no too often.
    """

    table: str
    keys: tuple[str, ...]
    query: str
    touched: Mapping[str, str]

    @property
    def datasets(self) -> tuple[str, ...]:
        """What the table is made from."""
        return tuple(self.touched)


def newest(dataset: str) -> str:
    """The query of a dataset's newest versions."""
    return _NEWEST.format(dataset=dataset, keys=", ".join(load(dataset).key))


def reference_tables(folder: str) -> str:
    """The statement that reads the reference files: `capitals` (uf, municipality_code, station_code, time_zone)."""
    read = "read_csv('{folder}/{name}.csv', header = true, all_varchar = true)"
    states, places, stations = (
        read.format(folder=folder, name=name) for name in ("estados", "municipios", "capital_stations")
    )
    return f"""
        CREATE TEMP TABLE IF NOT EXISTS capitals AS
        SELECT e.uf, m.codigo_ibge AS municipality_code, s.station_code, m.fuso_horario AS time_zone
        FROM {places} m JOIN {states} e USING (codigo_uf) JOIN {stations} s ON s.municipality_code = m.codigo_ibge
        WHERE m.capital = '1'"""


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

# A station's zone is its state's capital's: by its newest metadata that name a known state, else by the capitals' list.
_WEATHER_QUERY = f"""
    WITH zones AS (
        SELECT s.station_code, arg_max(c.time_zone, s.valid_from_on) AS time_zone
        FROM ({newest("inmet_stations")}) s JOIN capitals c USING (uf) GROUP BY 1
    ), hours AS (
        SELECT h.*, timezone(coalesce(z.time_zone, c.time_zone), h.observed_at)::DATE AS date_on
        FROM ({newest("inmet_hourly")}) h
        LEFT JOIN zones z USING (station_code) LEFT JOIN capitals c ON c.station_code = h.station_code
        WHERE coalesce(z.time_zone, c.time_zone) IS NOT NULL
    )
    SELECT station_code, date_on,
           count(air_temperature_celsius) AS hours_observed,
           count(rain_mm) AS rain_hours_observed,
           avg(air_temperature_celsius) AS temperature_mean_celsius,
           max(air_temperature_max_celsius) AS temperature_max_celsius,
           min(air_temperature_min_celsius) AS temperature_min_celsius,
           avg(relative_humidity_percent) AS relative_humidity_mean_percent,
           sum(rain_mm) AS rain_mm,
           avg(wind_speed_m_s) AS wind_speed_mean_m_s,
           max(wind_gust_m_s) AS wind_gust_max_m_s,
           avg(pressure_hpa) AS pressure_mean_hpa,
           sum(global_radiation_kj_m2) AS global_radiation_kj_m2,
           count(air_temperature_celsius) >= 20 AS is_complete,
           max(known_from) AS known_from
    FROM hours GROUP BY station_code, date_on"""

_WEATHER = Definition(
    table="fact_weather_daily",
    keys=("station_code", "date_on"),
    query=_WEATHER_QUERY,
    touched={
        "inmet_hourly": f"(g.station_code, g.date_on) IN ({_DAYS_OF_HOURS})",
        "inmet_stations": "g.station_code IN (SELECT station_code FROM {rows})",
    },
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
        SELECT reference_month_on, municipality_code, technology, sum(accesses)::BIGINT AS accesses,
               count(DISTINCT cnpj) AS providers, max(known_from) AS known_from
        FROM ({newest("anatel_broadband_accesses")}) GROUP BY 1, 2, 3""",
    touched={"anatel_broadband_accesses": "g.reference_month_on IN (SELECT reference_month_on FROM {rows})"},
)

_ECONOMY_OF_DAYS = """
    days AS (SELECT DISTINCT date_on FROM weather),
    published AS (SELECT series_code, reference_on, value, known_from FROM sgs WHERE value IS NOT NULL),
    usd AS (FROM published WHERE series_code = 1),
    selic AS (FROM published WHERE series_code = 432),
    months AS (
        SELECT reference_on, value, known_from::DATE AS known_on,
               count(*) OVER year AS months, (product(1 + value::DOUBLE / 100) OVER year - 1) * 100 AS percent_12m,
               max(known_from) OVER year AS known_from
        FROM (SELECT *, year(reference_on) * 12 + month(reference_on) AS number FROM published WHERE series_code = 433)
        WINDOW year AS (ORDER BY number RANGE BETWEEN 11 PRECEDING AND CURRENT ROW)
    ),
    fresh AS (
        SELECT d.date_on, u.value, u.known_from FROM days d ASOF JOIN usd u ON d.date_on >= u.reference_on
        WHERE d.date_on - u.reference_on <= 10
    ),
    base AS (
        SELECT d.date_on, u.value, u.known_from FROM days d ASOF JOIN usd u ON d.date_on - 30 >= u.reference_on
        WHERE d.date_on - 30 - u.reference_on <= 10
    ),
    target AS (
        SELECT d.date_on, s.value, s.known_from FROM days d ASOF JOIN selic s ON d.date_on >= s.reference_on
        WHERE d.date_on - s.reference_on <= 10
    ),
    volatility AS (
        SELECT d.date_on, stddev_samp(u.value::DOUBLE) AS value, max(u.known_from) AS known_from
        FROM days d JOIN usd u ON u.reference_on BETWEEN d.date_on - 29 AND d.date_on GROUP BY 1
    ),
    inflation AS (
        SELECT d.date_on, arg_max(m, m.reference_on) AS month
        FROM days d JOIN months m ON m.known_on <= d.date_on GROUP BY 1
    )"""

_EXTERNAL = Definition(
    table="external_factors_daily",
    keys=("date_on", "municipality_code"),
    query=f"""
    WITH weather AS ({_WEATHER_QUERY}), sgs AS ({newest("bcb_sgs")}), {_ECONOMY_OF_DAYS},
    joined AS (
        SELECT w.*, c.municipality_code, c.uf, f.value AS usd_brl, t.value AS selic_target_percent,
               v.value AS fx_volatility_30d,
               (f.value::DOUBLE / nullif(b.value, 0)::DOUBLE - 1) * 100 AS fx_change_30d_percent,
               i.month.value AS ipca_monthly_percent,
               CASE WHEN i.month.months = 12 THEN i.month.percent_12m END AS ipca_12m_percent,
               greatest(w.known_from, f.known_from, b.known_from, t.known_from, v.known_from,
                        i.month.known_from) AS known
        FROM weather w JOIN capitals c USING (station_code)
        LEFT JOIN fresh f USING (date_on) LEFT JOIN base b USING (date_on) LEFT JOIN target t USING (date_on)
        LEFT JOIN volatility v USING (date_on) LEFT JOIN inflation i USING (date_on)
    )
    SELECT * EXCLUDE (known) REPLACE (known AS known_from),
           temperature_max_celsius > 35 AS is_extreme_heat,
           temperature_min_celsius < 20 AS is_cold,
           rain_mm > 50 AS is_heavy_rain,
           rain_mm > 100 AS is_intense_rain,
           relative_humidity_mean_percent > 80 AS is_high_humidity,
           relative_humidity_mean_percent / 100 * rain_mm / 100 AS corrosion_risk,
           0.5 * (rain_mm > 50)::INT + 0.3 * (temperature_max_celsius > 35)::INT AS field_work_disruption,
           fx_change_30d_percent > 5 AS is_devaluation,
           ipca_12m_percent > 6 AS is_high_inflation
    FROM joined""",
    touched={
        "inmet_hourly": f"g.date_on IN (SELECT date_on FROM ({_DAYS_OF_HOURS}))",
        "inmet_stations": "EXISTS (FROM {rows})",
        "bcb_sgs": "g.date_on >= (SELECT min(reference_on) FROM {rows})",
    },
)

DEFINITIONS = (_STATION_DIMENSION, _WEATHER, _OBSERVATIONS, _BROADBAND, _EXTERNAL)

"""Parts of gold's definitions in SQL: the newest versions, the reference files, the days of an hour."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas import choices
from schemas.contracts import load

# The newest version of every key, as gold reads silver. `first_known_from`: since when the key has had a value.
_NEWEST = """
    SELECT * REPLACE (is_withdrawn IS TRUE AS is_withdrawn), min(known_from) FILTER
        (is_withdrawn IS NOT TRUE AND {has_value}) OVER (PARTITION BY {keys}) AS first_known_from
    FROM silver.{dataset}_revisions
    QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY known_from DESC, kafka_offset DESC) = 1"""

# For datasets in which a version may have no value without being a withdrawal.
_HAS_VALUE = {
    "bcb_focus": "median IS NOT NULL",
    "bcb_sgs": "value IS NOT NULL",
    "ibge_sidra": "value IS NOT NULL",
}

# Every civil day that an hour may belong to: Brazil is behind UTC, by less than a day.
DAYS_OF_HOURS = "SELECT station_code, unnest([observed_at::DATE - 1, observed_at::DATE]) AS date_on FROM {rows}"
DAYS_OF_POINTS = "SELECT point_id, unnest([valid_at::DATE - 1, valid_at::DATE]) AS date_on FROM {rows}"


@dataclass(frozen=True)
class Definition:
    """A gold table as a query.

    Attributes:
        datasets: silver datasets it is made from.
        touched: dataset → predicate over the table's rows (`g`): may a row of `{rows}`, some of that dataset's
            revisions, have changed it? It may be true too often, but never false too often.
    """

    table: str
    keys: tuple[str, ...]
    query: str
    touched: Mapping[str, str]

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that the table is made from."""
        return tuple(self.touched)


def newest(dataset: str) -> str:
    """The query of a dataset's newest versions; a withdrawn key has none."""
    return f"SELECT * EXCLUDE (is_withdrawn) FROM ({newest_or_withdrawn(dataset)}) WHERE NOT is_withdrawn"


def newest_or_withdrawn(dataset: str) -> str:
    """As `newest`, and withdrawn keys too, with `is_withdrawn` and no values: for the clocks of sums."""
    has_value = _HAS_VALUE.get(dataset, "true")
    return _NEWEST.format(dataset=dataset, keys=", ".join(load(dataset).key), has_value=has_value)


def reference_tables(folder: str) -> str:
    """The statements that read the reference files.

    `capitals` (uf, municipality_code, station_code, time_zone, that of the whole state except for `own_zones`);
    `own_zones` (municipality_code, time_zone, station_code or null) of municipalities with a zone of their own, by file
    or by the settings; `places` (uf, municipality_code, station_code or '', point_id) of `external_factors_daily`: the
    capitals, and the settings' `chosen` ones; `limits`, the thresholds of the flags, in one row; `copom` (meeting_id,
    previous_on, decided_on, year_end_id).
    """
    # Their form is said: to look for it took DuckDB three quarters of the time.
    form = "header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', new_line = '\\n'"
    read = "read_csv('{folder}/{name}.csv', " + form + ")"
    files = (
        "estados",
        "municipios",
        "capital_stations",
        "state_time_zones",
        "municipality_time_zones",
        "copom_meetings",
    )
    states, places, stations, zones, own_zones, meetings = (read.format(folder=folder, name=name) for name in files)
    return f"""
        CREATE TEMP TABLE IF NOT EXISTS capitals AS
        SELECT e.uf, m.codigo_ibge AS municipality_code, s.station_code, z.time_zone
        FROM {places} m JOIN {states} e USING (codigo_uf) JOIN {zones} z USING (uf)
        JOIN {stations} s ON s.municipality_code = m.codigo_ibge
        WHERE m.capital = '1';
        CREATE TEMP TABLE IF NOT EXISTS chosen AS {_chosen()};
        CREATE TEMP TABLE IF NOT EXISTS own_zones AS
        SELECT municipality_code, coalesce(c.time_zone, f.time_zone) AS time_zone,
               coalesce(c.station_code, f.station_code) AS station_code
        FROM {own_zones} f FULL JOIN chosen c USING (municipality_code)
        WHERE coalesce(c.time_zone, f.time_zone) IS NOT NULL
        UNION ALL -- a second station in a municipality of the file
        SELECT NULL, coalesce(c.time_zone, f.time_zone), f.station_code
        FROM {own_zones} f JOIN chosen c USING (municipality_code) WHERE c.station_code <> f.station_code;
        CREATE TEMP TABLE IF NOT EXISTS places AS
        SELECT s.uf, p.* FROM (
            SELECT municipality_code, coalesce(o.station_code, c.station_code, '') AS station_code,
                   coalesce(o.point_id, municipality_code) AS point_id
            FROM capitals c FULL JOIN chosen o USING (municipality_code)
        ) p JOIN capitals s ON s.municipality_code[:2] = p.municipality_code[:2];
        CREATE TEMP TABLE IF NOT EXISTS limits AS {_limits()};
        CREATE TEMP TABLE IF NOT EXISTS copom AS
        WITH numbered AS (
            SELECT meeting_id, decided_on::DATE AS decided_on, 'R8/' || meeting_id[4:] AS year_end_id,
                   meeting_id[4:]::INTEGER * 8 + meeting_id[2:2]::INTEGER AS place
            FROM {meetings}
        )
        SELECT a.meeting_id, b.decided_on AS previous_on, a.decided_on, a.year_end_id
        FROM numbered a LEFT JOIN numbered b ON b.place = a.place - 1"""


_LIMITS = {
    "extreme_heat_celsius": 35,
    "cold_celsius": 20,
    "heavy_rain_mm": 50,
    "intense_rain_mm": 100,
    "high_humidity_percent": 80,
    "devaluation_percent": 5,
    "high_inflation_percent": 6,
    "milestone_5g_points": 5,
}


def _limits() -> str:
    """The thresholds of the settings, or those of the legacy demand model, as a query of one row."""
    values = {name: float(choices.threshold(name, declared)) for name, declared in _LIMITS.items()}
    return "SELECT " + ", ".join(f"{value!r}::DOUBLE AS {name}" for name, value in values.items())


def limit(name: str) -> str:
    """SQL for a threshold."""
    return f"(SELECT {name} FROM limits)"


def _chosen() -> str:
    """The places of the settings as a query. Their values hold no quote: codes, coordinates and zones were checked."""
    rows = [
        f"('{each.municipality_code}', {_text(each.station_code)}, '{each.point_id}', {_text(each.time_zone)})"
        for each in choices.places()
    ]
    # A list of values must not be empty.
    listed = ", ".join([*rows, "(NULL, NULL, NULL, NULL)"])
    return (
        "SELECT municipality_code::VARCHAR AS municipality_code, station_code::VARCHAR AS station_code,"
        " point_id::VARCHAR AS point_id, time_zone::VARCHAR AS time_zone"
        f" FROM (VALUES {listed}) each (municipality_code, station_code, point_id, time_zone)"
        " WHERE municipality_code IS NOT NULL"
    )


def _text(value: str | None) -> str:
    return "NULL" if value is None else f"'{value}'"

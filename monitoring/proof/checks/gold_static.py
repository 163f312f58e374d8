"""Gold's static dimensions, written a second time: the calendar, the municipalities, the meaning of the series."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from foundation.quoting import text
from monitoring.proof.checks.compare import difference, report
from monitoring.proof.checks.model import Evidence, Outcome, quoted
from schemas import choices

_FIXED = (
    (1, 1, "Confraternização Universal"), (4, 21, "Tiradentes"), (5, 1, "Dia do Trabalhador"),
    (9, 7, "Independência do Brasil"), (10, 12, "Nossa Senhora Aparecida"), (11, 2, "Finados"),
    (11, 15, "Proclamação da República"), (12, 25, "Natal"),
)  # fmt: skip
# Days after Easter Sunday, whether it is national, name.
_MOVABLE = ((-2, True, "Sexta-feira Santa"), (-48, False, "Carnaval"), (-47, False, "Carnaval"),
            (60, False, "Corpus Christi"))  # fmt: skip


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by the rule of Meeus, Jones and Butcher."""
    golden, (century, of_century) = year % 19, divmod(year, 100)
    leaps, rest = divmod(century, 4)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - moon + 15) % 30
    weekday = (32 + 2 * rest + 2 * (of_century // 4) - epact - of_century % 4) % 7
    correction = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)


def _holidays(years: range) -> Iterator[tuple[date, bool, str]]:
    """Day, whether it is national, name; a day with two holidays has two rows."""
    for year in years:
        yield from ((date(year, month, day), True, name) for month, day, name in _FIXED)
        yield from ((easter(year) + timedelta(days=days), national, name) for days, national, name in _MOVABLE)
        if year >= 2024:
            yield date(year, 11, 20), True, "Dia Nacional de Zumbi e da Consciência Negra"


_HOLIDAYS = ", ".join(f"(DATE '{on}', {national}, '{name}')" for on, national, name in _holidays(range(2000, 2036)))

_DATES = f"""
    WITH holidays AS (
        SELECT date_on, bool_or(is_national) AS is_holiday, string_agg(name, '; ' ORDER BY name) AS name
        FROM (VALUES {_HOLIDAYS}) each (date_on, is_national, name) GROUP BY 1
    )
    SELECT day::DATE AS date_on, year(day)::INTEGER AS year, quarter(day)::INTEGER AS quarter,
           month(day)::INTEGER AS month, day(day)::INTEGER AS day, weekofyear(day)::INTEGER AS iso_week,
           isodow(day)::INTEGER AS day_of_week, isodow(day) >= 6 AS is_weekend,
           date_trunc('month', day)::DATE AS month_start_on, last_day(day) = day::DATE AS is_month_end,
           coalesce(h.is_holiday, false) AS is_holiday, coalesce(NOT h.is_holiday, false) AS is_optional_holiday,
           h.name AS holiday_name
    FROM range(TIMESTAMP '2000-01-01', TIMESTAMP '2036-01-01', INTERVAL 1 DAY) days (day)
    LEFT JOIN holidays h ON h.date_on = day::DATE"""

_MUNICIPALITIES = """
    SELECT m.codigo_ibge AS municipality_code, m.nome AS name, e.uf, e.regiao AS region,
           m.latitude::DOUBLE AS latitude_degrees, m.longitude::DOUBLE AS longitude_degrees,
           m.capital = '1' AS is_capital, m.ddd AS area_code,
           coalesce(o.time_zone, z.time_zone) AS time_zone
    FROM read_csv('{folder}/municipios.csv', header = true, all_varchar = true) m
    JOIN read_csv('{folder}/estados.csv', header = true, all_varchar = true) e USING (codigo_uf)
    JOIN read_csv('{folder}/state_time_zones.csv', header = true, all_varchar = true) z USING (uf)
    LEFT JOIN read_csv('{folder}/municipality_time_zones.csv', header = true, all_varchar = true) o
        ON o.municipality_code = m.codigo_ibge"""

_MEETINGS = """
    WITH file AS (
        SELECT meeting_id, decided_on::DATE AS decided_on, split_part(meeting_id, '/', 2)::INTEGER AS year,
               trim(split_part(meeting_id, '/', 1), 'R')::INTEGER AS number
        FROM read_csv('{folder}/copom_meetings.csv', header = true, all_varchar = true)
    )
    SELECT *, lag(decided_on) OVER (ORDER BY decided_on) AS previous_on FROM file"""

_SERIES = """
    SELECT series_code::BIGINT AS series_code, name, unit, frequency, is_revised FROM (VALUES
        (1, 'US dollar, selling, PTAX closing', 'BRL/USD', 'D', false),
        (11, 'Selic effective rate, daily', '% per day', 'D', false),
        (12, 'CDI, daily', '% per day', 'D', false),
        (188, 'INPC', '% per month', 'M', false),
        (189, 'IGP-M', '% per month', 'M', false),
        (190, 'IGP-DI', '% per month', 'M', false),
        (226, 'TR', '% per period', 'D', false),
        (256, 'TJLP', '% per year', 'M', false),
        (432, 'Selic target', '% per year', 'D', false),
        (433, 'IPCA', '% per month', 'M', false),
        (3697, 'US dollar, buying, monthly mean', 'BRL/USD', 'M', false),
        (3698, 'US dollar, selling, monthly mean', 'BRL/USD', 'M', false),
        (4380, 'GDP, monthly, current prices', 'BRL million', 'M', true),
        (4392, 'CDI accumulated in the month, annualised', '% per year', 'M', false),
        (7478, 'IPCA-15', '% per month', 'M', false),
        (10813, 'US dollar, buying, PTAX closing', 'BRL/USD', 'D', false),
        (13522, 'IPCA, 12 months', '%', 'M', false),
        (21619, 'Euro, selling', 'BRL/EUR', 'D', false),
        (22099, 'GDP, quarterly, observed', 'index', 'Q', true),
        (24363, 'IBC-Br, observed', 'index', 'M', true),
        (24364, 'IBC-Br, seasonally adjusted', 'index', 'M', true),
        (24369, 'Unemployment, PNAD Contínua', '%', 'M', true),
        (25389, 'Regional activity index, Northeast', 'index', 'M', true)
    ) series (series_code, name, unit, frequency, is_revised)"""


@dataclass(frozen=True)
class Static:
    """A dimension that depends only on the reference files: its query may name their `{folder}`."""

    table: str
    keys: tuple[str, ...]
    query: str


STATICS = (
    Static("dim_date", ("date_on",), _DATES),
    Static("dim_municipality", ("municipality_code",), _MUNICIPALITIES),
    Static("dim_economic_series", ("series_code",), _SERIES),
    Static("dim_copom_meeting", ("meeting_id",), _MEETINGS),
)


def checks() -> dict[str, Callable[[Evidence], Outcome]]:
    """Name of the check → function, one per table."""
    return {f"gold.{each.table} = reference": _check_of(each) for each in STATICS}


def _check_of(static: Static) -> Callable[[Evidence], Outcome]:
    return lambda evidence: check(evidence, static)


def check(evidence: Evidence, static: Static) -> Outcome:
    """Compare a whole table: it is small, and changes only with a release."""
    outcome = Outcome()
    lake, table = evidence.lake, f"gold.{static.table}"
    if not lake.has(table):
        started = [name for name, query in evidence.progress.items() if query and query.committed_batch is not None]
        if any(name.startswith("gold.") for name in started):
            outcome.add(table, "gold's queries have run, but the table is gone")
        else:
            outcome.notes.append("the table does not exist yet")
        return outcome
    declared = static.query.format(folder=evidence.reference)
    if static.table == "dim_economic_series":
        declared += _own_series()
    lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE declared AS {declared}")
    described = {
        side: {str(row["column_name"]) for row in lake.rows(f"DESCRIBE {side}")} for side in (table, "declared")
    }
    if only := sorted(described[table] ^ described["declared"]):
        outcome.add(table, "columns are not those of the definition", only)
        return outcome
    columns = quoted(sorted(described["declared"]))
    outcome.rows = int(str(lake.value(f"SELECT count(*) FROM {table}")))
    doubled = f"SELECT {quoted(static.keys)} FROM {table} GROUP BY ALL HAVING count(*) > 1"
    report(lake, outcome, table, doubled, "keys stand more than once")
    expected, stored = (f"SELECT {columns} FROM {side}" for side in ("declared", table))
    difference(lake, outcome, table, static.keys, expected=expected, stored=stored, of="reference")
    return outcome


def _own_series() -> str:
    """The rows of the settings' series, to add to the query of the declared ones."""
    return "".join(
        f" UNION ALL SELECT {int(each.code)}::BIGINT, {text(each.name)}, {text(each.unit)}, {text(each.frequency)},"
        f" {each.is_revised}"
        for each in choices.of("bcb_sgs").own.values()
    )

"""Which rows of `external_factors_daily` a change affects.

Widening, in (municipality, day):

* a changed hour of a capital's station, or of the reanalysis at its point, touches the civil days it can belong to, and
  the 29 after them, whose windows hold it;
* a changed quotation touches, in every capital, the days whose windows hold it: 40 days on for the exchange rate (the
  30-day change looks back 30 days, and there at most ten more), ten for the Selic target;
* a changed month or quarter of a carried series touches, in every capital, every day from its own first day on: it
  cannot have been known earlier, and is carried until a newer period is known, and is in twelve products after that;
* a changed expectation of the Selic touches, in every capital, the 30 days on that its survey can count;
* changed accesses of a capital touch every day of it from their month on;
* a changed estimate of a capital's inhabitants touches every day of it from the estimate's year on;
* a changed licence touches every day since it was given, in each capital that any version of it names;
* changed metadata of a capital's station touches every day of that capital.
"""

from collections.abc import Iterable
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from sinks import sql
from sinks.arrow_frames import frame_of
from sinks.snapshot import Filter
from stream_jobs.gold import economy, population, reanalysis, selic_expected, telecom, thresholds, weather
from stream_jobs.gold.expressions import literal_map
from stream_jobs.gold.model import Revisions
from stream_jobs.gold.reference import factor_places

GROUP = ("date_on", "municipality_code")
BEGINNING = date(1900, 1, 1)
"""A day before any observation; it means "from the first day on"."""
MODEL = "best_match"
"""Of the reanalysis: Open-Meteo's own choice of model per place and time."""

_NO_STATION = "-"
"""No station's code: a list of codes must not be empty."""


def station_of() -> dict[str, str]:
    """Municipality → its station, empty if it has none."""
    return {place.municipality_code: place.station_code for place in factor_places()}


def point_of() -> dict[str, str]:
    """Municipality → its point of the reanalysis."""
    return {place.municipality_code: place.point_id for place in factor_places()}


def touched_by_hours(hours: DataFrame) -> DataFrame:
    """Possible civil days of the capital, and the days whose windows hold them."""
    days = weather.possible_days(F.col("observed_at"))
    return _touches(_of_capitals(hours), municipality(), days, F.lit(None), lasting=thresholds.WEATHER_DAYS)


def touched_by_reanalysis(hours: DataFrame) -> DataFrame:
    """The civil day of the capital, and the days whose windows hold it."""
    day = F.array(reanalysis.point_day(F.col("valid_at"), F.col("point_id")))
    here = hours.where(F.col("point_id").isin(*point_of().values()) & (F.col("model") == MODEL))
    return _touches(
        here, reanalysis.municipality_of(F.col("point_id")), day, F.lit(None), lasting=thresholds.WEATHER_DAYS
    )


def touched_by_stations(stations: DataFrame) -> DataFrame:
    """Every day of the capital."""
    return _touches(_of_capitals(stations), municipality(), _no_day(), F.lit(BEGINNING))


def touched_by_observations(observations: DataFrame) -> DataFrame:
    """Days whose windows hold the value, in every capital."""
    series, on = F.col("series_code"), F.col("reference_on")
    days = (
        F.when(series == economy.USD_BRL, F.sequence(on, F.date_add(on, economy.LOOK_BACK_DAYS)))
        .when(series == economy.SELIC_TARGET, F.sequence(on, F.date_add(on, thresholds.FRESH_WITHIN_DAYS)))
        .otherwise(_no_day())
    )
    # A version that was wrongly dated before its own period is covered as well.
    from_on = F.when(~series.isin(*economy.DAILY), F.least(on, F.to_date("known_from")))
    return _touches(observations.where(series.isin(*economy.SERIES)), F.lit(None).cast("string"), days, from_on)


def touched_by_expectations(expectations: DataFrame) -> DataFrame:
    """Days on which the survey can count, in every capital."""
    days = selic_expected.days_of(F.col("surveyed_on"))
    return _touches(expectations.where(selic_expected.is_used()), F.lit(None).cast("string"), days, F.lit(None))


def touched_by_accesses(accesses: DataFrame) -> DataFrame:
    """Every day of the capital from the month on."""
    from_on = F.least("reference_month_on", F.to_date("known_from"))
    return _from_on(accesses, from_on)


def touched_by_estimates(cells: DataFrame) -> DataFrame:
    """Every day of the capital since the estimate can have been known."""
    here = cells.where(population.IS_ESTIMATE).where(F.col("territory_code").isin(*station_of()))
    from_on = F.least(F.trunc(population.reference_on(), "year"), F.to_date("known_from"))
    return _touches(here, F.col("territory_code"), _no_day(), from_on)


def touched_by_licences(licences: DataFrame) -> DataFrame:
    """Every day of the capitals that any version of the licence names, since it could first count."""
    return _touches(licences, F.lit(None).cast("string"), _no_day(), F.lit(None), F.col("license_row_id"))


def widen(silver: Revisions, touched: pa.Table) -> pa.Table:
    """Replace "all capitals" by each of them, and "every day from one on" by the days."""
    places = pa.table({"municipality_code": sorted(station_of())})
    # Days are expanded here, where the many hours of one day are already one row.
    days = sql.table(
        """
        SELECT DISTINCT date_on + unnest(range(lasting))::INTEGER AS date_on, c.municipality_code
        FROM touched t JOIN places c ON coalesce(t.municipality_code, c.municipality_code) = c.municipality_code
        WHERE date_on IS NOT NULL
        """,
        touched=touched,
        places=places,
    )
    starts = _open_ended(silver, touched)
    span = _span(silver) if starts.num_rows else None
    if span is None:
        return days
    first_on, last_on = span
    from_then_on = sql.table(
        f"""
        SELECT unnest(
                generate_series(greatest(min(from_on), DATE '{first_on}'), DATE '{last_on}', INTERVAL 1 DAY)
            )::DATE AS date_on,
            c.municipality_code
        FROM starts s JOIN places c ON coalesce(s.municipality_code, c.municipality_code) = c.municipality_code
        GROUP BY c.municipality_code
        """,
        starts=starts,
        places=places,
    )
    return pa.concat_tables([days, from_then_on], promote_options="default")


def _open_ended(silver: Revisions, touched: pa.Table) -> pa.Table:
    """municipality_code (null: all capitals) and from_on: from when every day is touched. No rows for a batch of hours:
    then neither all days nor all licences have to be read."""
    is_licence = pc.is_valid(touched["license_row_id"])
    has_no_day = pc.and_(pc.is_null(touched["date_on"]), pc.invert(is_licence))
    by_day = touched.filter(has_no_day).select(["municipality_code", "from_on"])
    licences = touched.filter(is_licence).select(["license_row_id"])
    if not licences.num_rows:
        return by_day
    return pa.concat_tables([by_day, _since_licences(silver, licences).toArrow()], promote_options="default")


def _since_licences(silver: Revisions, licences: pa.Table) -> DataFrame:
    """(municipality_code, from_on) of every version of the licences: a corrected licence touches its former
    municipality, too."""
    versions = silver.versions(telecom.STATIONS, columns=telecom.STATION_COLUMNS)
    since = F.least("first_licensed_on", "licensed_on", F.to_date("known_from"))
    return (
        versions.join(frame_of(versions.sparkSession, licences), "license_row_id", "left_semi")
        .where(F.col("municipality_code").isin(*station_of()))
        .groupBy("municipality_code")
        .agg(F.min(since).alias("from_on"))
    )


def _span(silver: Revisions) -> tuple[date, date] | None:
    """The first and the last day that any capital can have a row for; None when there is none."""
    hours = silver.newest("inmet_hourly", within=station_in(station_of()), columns=[])
    points = silver.newest(reanalysis.DATASET, within=[("point_id", "in", list(point_of().values()))], columns=[])
    quotations = silver.newest("bcb_sgs", within=[("series_code", "in", list(economy.DAILY))], columns=[])
    # One day more at either end: in another time zone the first or last hours belong to it.
    days = (
        hours.select(F.to_date("observed_at").alias("day"))
        .unionByName(points.select(F.to_date("valid_at").alias("day")))
        .unionByName(quotations.select(F.col("reference_on").alias("day")))
    )
    row = days.agg(F.min("day"), F.max("day")).first()
    if row is None or row[0] is None:
        return None
    return row[0] - timedelta(days=1), row[1] + timedelta(days=1)


def _touches(
    rows: DataFrame,
    municipality: Expression,
    days: Expression,
    from_on: Expression,
    licence: Expression | None = None,
    *,
    lasting: int = 1,
) -> DataFrame:
    """What a change touches: `lasting` days from `date_on` on, or every day from `from_on`, in one capital or in all
    (null); or the former and the present content of a licence."""
    return rows.select(
        municipality.alias("municipality_code"),
        F.explode(days).alias("date_on"),
        from_on.cast("date").alias("from_on"),
        (F.lit(None).cast("string") if licence is None else licence).alias("license_row_id"),
        F.lit(lasting).alias("lasting"),
    )


def _from_on(rows: DataFrame, from_on: Expression) -> DataFrame:
    here = rows.where(F.col("municipality_code").isin(*station_of()))
    return _touches(here, F.col("municipality_code"), _no_day(), from_on)


def _of_capitals(rows: DataFrame) -> DataFrame:
    return rows.where(municipality().isNotNull())


def _no_day() -> Expression:
    return F.array(F.lit(None).cast("date"))


def municipality() -> Expression:
    """The capital of the row's station; null for any other station."""
    by_station = {station: code for code, station in station_of().items() if station}
    return literal_map(by_station)[F.col("station_code")]


def station_in(municipality_codes: Iterable[str]) -> list[Filter]:
    """Whether the row's station is one of these capitals'."""
    stations = station_of()
    return [("station_code", "in", [stations[code] for code in municipality_codes if stations[code]] or [_NO_STATION])]

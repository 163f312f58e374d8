"""Weather, economy and telecom of the state capitals per day: the features that demand forecasts read.

A capital has a row for every day of its weather, and for every day that has a quotation of a daily series (the Selic
target has one for each calendar day): where no weather is known the other factors still are.

Weather is the station's where the station observed the day, else the reanalysis's: see `_chosen`.

Widening, in (municipality, day):

* a changed hour of a capital's station, or of the reanalysis at its point, touches the civil days it can belong to;
* a changed quotation touches, in every capital, the days whose windows hold it: 40 days on for the exchange rate (the
  30-day change looks back 30 days, and there at most ten more), ten for the Selic target;
* a changed month or quarter of a carried series touches, in every capital, every day from its own first day on: it
  cannot have been known earlier, and is carried until a newer period is known, and is in twelve products after that;
* changed accesses of a capital touch its every day from their month on;
* a changed licence touches every day since it was given, in each capital that any version of it names;
* changed metadata of a capital's station touches every day of that capital.
"""

from collections.abc import Iterable
from datetime import date, timedelta

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from sinks.expectations import Expectation
from stream_jobs.gold import economy, reanalysis, telecom, thresholds, weather
from stream_jobs.gold.expressions import literal_map
from stream_jobs.gold.factor_columns import COLUMNS
from stream_jobs.gold.model import GoldTable, Input, Revisions, bounds
from stream_jobs.gold.reference import capitals

GROUP = ("date_on", "municipality_code")
BEGINNING = date(1900, 1, 1)
"""Before any observation; stands for "from the first day there is"."""
MODEL = "best_match"
"""Of the reanalysis: Open-Meteo's own choice of model per place and time."""

MUNICIPALITY = {capital.station_code: capital.municipality_code for capital in capitals()}
STATION = {capital.municipality_code: capital.station_code for capital in capitals()}
STATE = {capital.municipality_code: capital.uf for capital in capitals()}


def touched_by_hours(hours: DataFrame) -> DataFrame:
    """Possible civil days of the capital."""
    days = weather.possible_days(F.col("observed_at"))
    return _touches(_of_capitals(hours), _municipality(), days, F.lit(None))


def touched_by_reanalysis(hours: DataFrame) -> DataFrame:
    """The civil day of the capital."""
    day = F.array(reanalysis.point_day(F.col("valid_at"), F.col("point_id")))
    here = hours.where(F.col("point_id").isin(*STATION) & (F.col("model") == MODEL))
    return _touches(here, F.col("point_id"), day, F.lit(None))


def touched_by_stations(stations: DataFrame) -> DataFrame:
    """Every day of the capital."""
    return _touches(_of_capitals(stations), _municipality(), _no_day(), F.lit(BEGINNING))


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


def touched_by_accesses(accesses: DataFrame) -> DataFrame:
    """Every day of the capital from the month on."""
    from_on = F.least("reference_month_on", F.to_date("known_from"))
    return _from_on(accesses, from_on)


def touched_by_licences(licences: DataFrame) -> DataFrame:
    """Every day of the capitals that any version of the licence names, since it could first count."""
    return _touches(licences, F.lit(None).cast("string"), _no_day(), F.lit(None), F.col("license_row_id"))


def widen(silver: Revisions, touched: DataFrame) -> DataFrame:
    """Name the capitals where all are touched, and the days where all from one on are."""
    every = F.array(*(F.lit(code) for code in STATION))
    one = F.array("municipality_code")
    days = touched.where(F.col("date_on").isNotNull()).select(
        "date_on",
        F.explode(F.when(F.col("municipality_code").isNull(), every).otherwise(one)).alias("municipality_code"),
    )
    open_ended = (
        touched.where(F.col("date_on").isNull() & F.col("license_row_id").isNull())
        .select("municipality_code", "from_on")
        .unionByName(_since_licences(silver, touched.where(F.col("license_row_id").isNotNull())))
        .groupBy("municipality_code")
        .agg(F.min("from_on"))
    )
    first = {row[0]: row[1] for row in open_ended.collect()}
    span = _span(silver) if first else None
    if span is None:
        return days
    first_on, last_on = span
    starts = {code: [first[scope] for scope in (code, None) if scope in first] for code in STATION}
    from_on = {code: max(first_on, min(dates)) for code, dates in starts.items() if dates}
    sequences = [
        touched.sparkSession.range(0, (last_on - begin).days + 1).select(
            F.date_add(F.lit(begin), F.col("id").cast("int")).alias("date_on"), F.lit(code).alias("municipality_code")
        )
        for code, begin in from_on.items()
        if begin <= last_on
    ]
    for sequence in sequences:
        days = days.unionByName(sequence)
    return days


def _since_licences(silver: Revisions, touched: DataFrame) -> DataFrame:
    """(municipality_code, from_on) of every version of the licences: a corrected one leaves where it stood before."""
    licences = silver.versions(telecom.STATIONS, columns=telecom.STATION_COLUMNS)
    since = F.least("first_licensed_on", "licensed_on", F.to_date("known_from"))
    return (
        licences.join(touched.select("license_row_id"), "license_row_id", "left_semi")
        .where(F.col("municipality_code").isin(*STATION))
        .select("municipality_code", since.alias("from_on"))
    )


def _span(silver: Revisions) -> tuple[date, date] | None:
    """The first and the last day that any capital can have a row for; None when there is none."""
    hours = silver.newest("inmet_hourly", within=_station_in(STATION), columns=[])
    points = silver.newest(reanalysis.DATASET, within=F.col("point_id").isin(*STATION), columns=[])
    quotations = silver.newest("bcb_sgs", within=F.col("series_code").isin(*economy.DAILY), columns=[])
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


def recompute(silver: Revisions, groups: DataFrame) -> DataFrame:
    """The capital-days of the groups that have weather or a quotation."""
    ((first_on, last_on),) = bounds(groups, "date_on")
    day = [*silver.vintage, "date_on"]
    place = [*day, "municipality_code"]

    observations = silver.newest("bcb_sgs", within=economy.needed(first_on, last_on), columns=["value"])
    economic = economy.by_day(observations, first_on, last_on, silver.vintage)
    telecoms = telecom.by_day(silver, STATION, first_on, last_on)
    factors = (
        groups.join(_weather(silver, groups, first_on, last_on), place, "left")
        .join(F.broadcast(_clocks_apart(economic, "economy")), day, "left")
        .join(_clocks_apart(telecoms, "telecom"), place, "left")
        .where(F.col("weather_source").isNotNull() | F.col("is_quoted"))
    )
    return _features(factors, silver.vintage)


def _weather(silver: Revisions, groups: DataFrame, first_on: date, last_on: date) -> DataFrame:
    """The chosen weather of each capital-day that has any."""
    vintage = silver.vintage
    place = [*vintage, "date_on", "municipality_code"]
    station_days = groups.select(
        *vintage, "date_on", literal_map(STATION)[F.col("municipality_code")].alias("station_code")
    )
    observed = weather.days_of_groups(silver, station_days, first_on, last_on, _station_in(STATION))
    observed = observed.withColumn("municipality_code", _municipality())
    points = F.col("point_id").isin(*STATION) & (F.col("model") == MODEL)
    reanalysed = reanalysis.days_of_groups(silver, groups, first_on, last_on, points)

    of_station = [*(column.name for column in weather.DAY_COLUMNS), "known_from", "is_assumed"]
    of_point = {
        "hours_observed": F.col("hours_available"),
        "rain_hours_observed": F.col("rain_hours_available"),
        "wind_gust_max_m_s": F.lit(None).cast("double"),
        "pressure_mean_hpa": F.lit(None).cast("double"),
        "global_radiation_kj_m2": F.lit(None).cast("double"),
    }
    stations = observed.select(*place, F.struct(*of_station).alias("station"))
    reanalyses = reanalysed.select(
        *place, F.struct(*(of_point.get(name, F.col(name)).alias(name) for name in of_station)).alias("point")
    )
    both = stations.join(reanalyses, place, "full_outer")
    is_observed = _is_observed()
    chosen = F.when(is_observed, F.col("station")).otherwise(F.col("point"))
    source = F.when(is_observed, F.lit("inmet_hourly")).otherwise(F.lit(reanalysis.DATASET))
    # Both were looked at to choose, so both clocks count.
    clocks = {
        clock: F.greatest(f"station.{clock}", f"point.{clock}").alias(f"weather_{clock}")
        for clock in ("known_from", "is_assumed")
    }
    return both.select(
        *place,
        source.alias("weather_source"),
        *(chosen[column.name].alias(column.name) for column in weather.DAY_COLUMNS),
        *clocks.values(),
    )


def _is_observed() -> Expression:
    """Observed first: the station's day if it is complete, or if the reanalysis has no more hours of it."""
    station, point = F.col("station"), F.col("point")
    return F.coalesce(
        station.isNotNull()
        & (
            point.isNull()
            | station["is_complete"]
            | (~point["is_complete"] & (station["hours_observed"] >= point["hours_observed"]))
        ),
        F.lit(False),
    )


def _features(factors: DataFrame, vintage: tuple[str, ...]) -> DataFrame:
    highest, rain = F.col("temperature_max_celsius"), F.col("rain_mm")
    humidity = F.col("relative_humidity_mean_percent")
    is_extreme_heat = highest > thresholds.EXTREME_HEAT_ABOVE_CELSIUS
    is_heavy_rain = rain > thresholds.HEAVY_RAIN_ABOVE_MM
    computed = {
        "uf": literal_map(STATE)[F.col("municipality_code")],
        "station_code": literal_map(STATION)[F.col("municipality_code")],
        "hours_observed": F.coalesce("hours_observed", F.lit(0)),
        "rain_hours_observed": F.coalesce("rain_hours_observed", F.lit(0)),
        "is_complete": F.coalesce("is_complete", F.lit(False)),
        "is_extreme_heat": is_extreme_heat,
        "is_cold": F.col("temperature_min_celsius") < thresholds.COLD_BELOW_CELSIUS,
        "is_no_rain": rain == 0,
        "is_heavy_rain": is_heavy_rain,
        "is_intense_rain": rain > thresholds.INTENSE_RAIN_ABOVE_MM,
        "is_high_humidity": humidity > thresholds.HIGH_HUMIDITY_ABOVE_PERCENT,
        "corrosion_risk": humidity / 100 * (rain / 100),
        "field_work_disruption": (
            is_heavy_rain.cast("int") * thresholds.RAIN_DISRUPTION_WEIGHT
            + is_extreme_heat.cast("int") * thresholds.HEAT_DISRUPTION_WEIGHT
        ),
        "known_from": F.greatest(*(f"{part}_known_from" for part in PARTS)),
        "known_from_basis": F.when(F.greatest(*(f"{part}_is_assumed" for part in PARTS)), "assumed").otherwise(
            "measured"
        ),
    }
    names = (column.name for column in COLUMNS)
    return factors.select(*vintage, *(computed.get(name, F.col(name)).alias(name) for name in names))


PARTS = ("weather", "economy", "telecom")


def _clocks_apart(days: DataFrame, part: str) -> DataFrame:
    return days.withColumnsRenamed({clock: f"{part}_{clock}" for clock in ("known_from", "is_assumed")})


def _touches(
    rows: DataFrame, municipality: Expression, days: Expression, from_on: Expression, licence: Expression | None = None
) -> DataFrame:
    """What a change touches: one day (`date_on`) or every day from `from_on`, in one capital or in all (null); or what
    a licence did and does."""
    return rows.select(
        municipality.alias("municipality_code"),
        F.explode(days).alias("date_on"),
        from_on.cast("date").alias("from_on"),
        (F.lit(None).cast("string") if licence is None else licence).alias("license_row_id"),
    )


def _from_on(rows: DataFrame, from_on: Expression) -> DataFrame:
    here = rows.where(F.col("municipality_code").isin(*STATION))
    return _touches(here, F.col("municipality_code"), _no_day(), from_on)


def _of_capitals(rows: DataFrame) -> DataFrame:
    return rows.where(_municipality().isNotNull())


def _no_day() -> Expression:
    return F.array(F.lit(None).cast("date"))


def _municipality() -> Expression:
    return literal_map(MUNICIPALITY)[F.col("station_code")]


def _station_in(municipality_codes: Iterable[str]) -> Expression:
    return F.col("station_code").isin([STATION[code] for code in municipality_codes])


TABLE = GoldTable(
    name="external_factors_daily",
    keys=GROUP,
    group=GROUP,
    inputs=(
        Input("inmet_hourly", touched_by_hours),
        Input("inmet_stations", touched_by_stations),
        Input("openmeteo_archive", touched_by_reanalysis),
        Input("bcb_sgs", touched_by_observations),
        Input("anatel_mobile_accesses", touched_by_accesses),
        Input("anatel_broadband_accesses", touched_by_accesses),
        Input("anatel_base_stations", touched_by_licences),
    ),
    about="One state capital and day: weather, economy and telecom as they are known now.",
    columns=COLUMNS,
    expectations=(
        Expectation("coverage_is_a_share", "share_5g_percent BETWEEN 0 AND 100", "fail"),
        Expectation("humidity_is_a_share", "relative_humidity_mean_percent BETWEEN 0 AND 100", "warn"),
        # The year that ends in the newest month known cannot be newer than the day.
        Expectation("inflation_not_from_the_future", "ipca_reference_on <= date_on", "warn"),
        Expectation("dollar_is_positive", "usd_brl > 0", "warn"),
    ),
    recompute=recompute,
    widen=widen,
)

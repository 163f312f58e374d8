"""Weather and economy of the state capitals per day: the features that demand forecasts read.

Widening, in (municipality, day):

* a changed hour of a capital's station touches the civil days it can belong to, in that capital;
* a changed quotation touches, in every capital, the days whose windows hold it: 40 days on for the exchange rate (the
  30-day change looks back 30 days, and there at most ten more), ten for the Selic target;
* a changed month of IPCA touches, in every capital, every day from its own first day on: it cannot have been known
  earlier, and it is carried until a newer month is known, and is in twelve products after that;
* changed metadata of a capital's station touches every day of that capital.
"""

from collections.abc import Iterable
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold import economy, thresholds
from stream_jobs.gold.expressions import ddl, literal_map
from stream_jobs.gold.model import GoldTable, Input, Revisions, bounds
from stream_jobs.gold.reference import capitals
from stream_jobs.gold.weather import (
    DAY_COLUMNS,
    days_of_groups,
    days_of_stations,
    from_day,
    possible_days,
)

GROUP = ("date_on", "municipality_code")
BEGINNING = date(1900, 1, 1)
"""Before any observation; stands for "from the first day there is"."""

MUNICIPALITY = {capital.station_code: capital.municipality_code for capital in capitals()}
STATION = {capital.municipality_code: capital.station_code for capital in capitals()}
STATE = {capital.municipality_code: capital.uf for capital in capitals()}


def touched_by_hours(hours: DataFrame) -> DataFrame:
    """Possible civil days of the capital."""
    return _touches(_of_capitals(hours), _municipality(), possible_days(F.col("observed_at")), F.lit(None))


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
    # A version that was wrongly dated before its own month is covered as well.
    from_on = F.when(series == economy.IPCA_MONTHLY, F.least(on, F.to_date("known_from")))
    return _touches(observations.where(series.isin(*economy.SERIES)), F.lit(None).cast("string"), days, from_on)


def widen(silver: Revisions, touched: DataFrame) -> DataFrame:
    """Name the capitals where all are touched, and the days where all from one on are."""
    every = F.array(*(F.lit(code) for code in STATION))
    one = F.array("municipality_code")
    days = touched.where(F.col("date_on").isNotNull()).select(
        "date_on",
        F.explode(F.when(F.col("municipality_code").isNull(), every).otherwise(one)).alias("municipality_code"),
    )
    open_ended = touched.where(F.col("date_on").isNull()).groupBy("municipality_code").agg(F.min("from_on"))
    first = {row[0]: row[1] for row in open_ended.collect()}
    if not first:
        return days
    starts = {code: [first[scope] for scope in (code, None) if scope in first] for code in STATION}
    from_on = {code: min(dates) for code, dates in starts.items() if dates}
    within = _station_in(from_on) & from_day(F.col("observed_at"), min(from_on.values()))
    later = (
        days_of_stations(silver, within)
        .withColumn("municipality_code", _municipality())
        .where(F.col("date_on") >= literal_map(from_on)[F.col("municipality_code")])
    )
    return days.unionByName(later.select(*GROUP))


def recompute(silver: Revisions, groups: DataFrame) -> DataFrame:
    """The capital-days of the groups that have a station-day."""
    ((first_on, last_on),) = bounds(groups, "date_on")
    station_days = groups.select("date_on", literal_map(STATION)[F.col("municipality_code")].alias("station_code"))
    weather = days_of_groups(silver, station_days, first_on, last_on, _station_in(STATION))

    observations = silver.newest("bcb_sgs", within=economy.needed(first_on, last_on))
    economic = economy.by_day(observations, first_on, last_on).withColumnRenamed("known_from", "economy_known_from")
    factors = weather.join(F.broadcast(economic), "date_on", "left").withColumn("municipality_code", _municipality())
    return _features(factors)


def _features(factors: DataFrame) -> DataFrame:
    highest, rain = F.col("temperature_max_celsius"), F.col("rain_mm")
    humidity = F.col("relative_humidity_mean_percent")
    is_extreme_heat = highest > thresholds.EXTREME_HEAT_ABOVE_CELSIUS
    is_heavy_rain = rain > thresholds.HEAVY_RAIN_ABOVE_MM
    return factors.select(
        "date_on",
        "municipality_code",
        literal_map(STATE)[F.col("municipality_code")].alias("uf"),
        "station_code",
        *DAY_COLUMNS,
        is_extreme_heat.alias("is_extreme_heat"),
        (F.col("temperature_min_celsius") < thresholds.COLD_BELOW_CELSIUS).alias("is_cold"),
        is_heavy_rain.alias("is_heavy_rain"),
        (rain > thresholds.INTENSE_RAIN_ABOVE_MM).alias("is_intense_rain"),
        (humidity > thresholds.HIGH_HUMIDITY_ABOVE_PERCENT).alias("is_high_humidity"),
        (humidity / 100 * (rain / 100)).alias("corrosion_risk"),
        (
            is_heavy_rain.cast("int") * thresholds.RAIN_DISRUPTION_WEIGHT
            + is_extreme_heat.cast("int") * thresholds.HEAT_DISRUPTION_WEIGHT
        ).alias("field_work_disruption"),
        *economy.COLUMNS,
        F.greatest("known_from", "economy_known_from").alias("known_from"),
    )


def _touches(rows: DataFrame, municipality: Column, days: Column, from_on: Column) -> DataFrame:
    """What a change touches: one day (`date_on`) or every day from `from_on`; in one capital or in all (null)."""
    return rows.select(
        municipality.alias("municipality_code"), F.explode(days).alias("date_on"), from_on.cast("date").alias("from_on")
    )


def _of_capitals(rows: DataFrame) -> DataFrame:
    return rows.where(_municipality().isNotNull())


def _no_day() -> Column:
    return F.array(F.lit(None).cast("date"))


def _municipality() -> Column:
    return literal_map(MUNICIPALITY)[F.col("station_code")]


def _station_in(municipality_codes: Iterable[str]) -> Column:
    return F.col("station_code").isin([STATION[code] for code in municipality_codes])


TABLE = GoldTable(
    name="external_factors_daily",
    keys=GROUP,
    group=GROUP,
    inputs=(
        Input("inmet_hourly", touched_by_hours),
        Input("inmet_stations", touched_by_stations),
        Input("bcb_sgs", touched_by_observations),
    ),
    schema=f"""
        date_on DATE NOT NULL, municipality_code STRING NOT NULL, uf STRING NOT NULL, station_code STRING NOT NULL,
        {ddl(DAY_COLUMNS)},
        is_extreme_heat BOOLEAN, is_cold BOOLEAN, is_heavy_rain BOOLEAN, is_intense_rain BOOLEAN,
        is_high_humidity BOOLEAN, corrosion_risk DOUBLE, field_work_disruption DOUBLE,
        {ddl(economy.COLUMNS)},
        known_from TIMESTAMP NOT NULL
    """,
    recompute=recompute,
    widen=widen,
)

"""Weather, economy and telecom of the state capitals, and of places of the settings, per day: the features that demand
forecasts read.

A capital has a row for every day of its weather, and for every day that has a quotation of a daily series (the Selic
target has one for each calendar day): a day without known weather still has the other factors.

Weather is the station's where the station observed the day, else the reanalysis's: see `_is_observed`. A day of which
the reanalysis gives forecasts is shown where no station observed anything, and marked `is_forecast`.

What a change touches: `factor_changes.py`.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from sinks.expectations import Expectation
from sinks.snapshot import Filter
from stream_jobs.gold import (
    economy,
    population,
    reanalysis,
    selic_expected,
    telecom,
    thresholds,
    weather,
    weather_windows,
)
from stream_jobs.gold import factor_changes as changes
from stream_jobs.gold.expressions import literal_map
from stream_jobs.gold.factor_changes import GROUP, MODEL, municipality, point_of, station_in, station_of
from stream_jobs.gold.factor_columns import CLASSES, COLUMNS
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import GoldTable, Input, Revisions
from stream_jobs.gold.reference import factor_places


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """The capital-days of the groups that have weather or a quotation."""
    ((first_on, last_on),) = groups.bounds("date_on")
    day = [*silver.vintage, "date_on"]
    place = [*day, "municipality_code"]

    economic, expected, telecoms = _slow_factors(silver, first_on, last_on)
    looked_at = weather_windows.needed(groups, silver.vintage)
    begin = first_on - timedelta(days=thresholds.WEATHER_DAYS - 1)
    wanted = groups.frame.select(*place, F.lit(True).alias("is_wanted"))
    codes = sorted(groups.rows["municipality_code"].unique().to_pylist())
    days = wanted.join(_weather(silver, looked_at, begin, last_on, codes), place, "full_outer")
    factors = (
        weather_windows.with_windows(days, silver.vintage)
        .where("is_wanted")
        .join(F.broadcast(_clocks_apart(economic, "economy")), day, "left")
        .join(F.broadcast(_clocks_apart(expected, "expected")), day, "left")
        .join(_clocks_apart(telecoms, "telecom"), place, "left")
        .where(F.col("weather_source").isNotNull() | F.col("is_quoted"))
    )
    inhabited = population.with_population(factors, population.known(silver, station_of()), silver.vintage)
    return _features(inhabited, silver.vintage)


def _slow_factors(silver: Revisions, first_on: date, last_on: date) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Economy and expectations per day, and telecom per capital and day, of a range.

    Weather changes every hour, these once a day or once a month. So they are cached from batch to batch in whole years,
    because the next batch is mostly about days of the same year.
    """
    # For several instants there is no next batch.
    begin, end = (first_on, last_on) if silver.vintage else (date(first_on.year, 1, 1), date(last_on.year, 12, 31))

    def economic() -> DataFrame:
        observations = silver.newest("bcb_sgs", columns=["value"]).where(economy.needed(begin, end))
        return economy.by_day(observations, begin, end, silver.vintage)

    def expected() -> DataFrame:
        expectations = silver.newest("bcb_focus", within=selic_expected.needed(begin, end), columns=["median"])
        return selic_expected.by_day(expectations, begin, end, silver.vintage)

    def telecoms() -> DataFrame:
        return telecom.by_day(silver, station_of(), begin, end)

    cached = (
        silver.cached("economy by day", (economy.DATASET,), economic, of=(begin, end)),
        silver.cached("expected by day", (selic_expected.DATASET,), expected, of=(begin, end)),
        silver.cached("telecom by day", telecom.DATASETS, telecoms, of=(begin, end)),
    )
    in_range = F.col("date_on").between(F.lit(first_on), F.lit(last_on))
    economy_days, expected_days, telecom_days = (frame.where(in_range) for frame in cached)
    return economy_days, expected_days, telecom_days


def _weather(
    silver: Revisions, groups: DataFrame, first_on: date, last_on: date, municipality_codes: Sequence[str]
) -> DataFrame:
    """The chosen weather of each capital-day that has any.

    Args: first_on, last_on, municipality_codes: bounds of all groups, so that no other hour is read.
    """
    vintage = silver.vintage
    place = [*vintage, "date_on", "municipality_code"]
    station_days = groups.select(
        *vintage, "date_on", literal_map(station_of())[F.col("municipality_code")].alias("station_code")
    )
    observed = weather.days_of_groups(silver, station_days, first_on, last_on, station_in(municipality_codes))
    observed = observed.withColumn("municipality_code", municipality())
    point_ids = point_of()
    points: list[Filter] = [("point_id", "in", [point_ids[code] for code in municipality_codes]), ("model", "=", MODEL)]
    of_points = groups.withColumn("municipality_code", literal_map(point_ids)[F.col("municipality_code")])
    reanalysed = reanalysis.days_of_groups(silver, of_points, first_on, last_on, points).withColumn(
        "municipality_code", reanalysis.municipality_of(F.col("municipality_code"))
    )

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
        *place,
        F.struct(*(of_point.get(name, F.col(name)).alias(name) for name in of_station)).alias("point"),
        "forecast_hours",
    )
    both = stations.join(reanalyses, place, "full_outer")
    is_observed = _is_observed()
    chosen = F.when(is_observed, F.col("station")).otherwise(F.col("point"))
    source = F.when(is_observed, F.lit("inmet_hourly")).otherwise(F.lit(reanalysis.DATASET))
    # The choice depends on both, so both clocks count.
    clocks = {
        clock: F.greatest(f"station.{clock}", f"point.{clock}").alias(f"weather_{clock}")
        for clock in ("known_from", "is_assumed")
    }
    return both.select(
        *place,
        source.alias("weather_source"),
        (~is_observed & F.coalesce(F.col("forecast_hours") > 0, F.lit(False))).alias("is_forecast"),
        *(chosen[column.name].alias(column.name) for column in weather.DAY_COLUMNS),
        *clocks.values(),
    )


def _is_observed() -> Expression:
    """Whether the station's day is used: if it is complete, or if the reanalysis has no more hours of it. A day with
    forecasts is used only if the station observed no hour of it.
    """
    station, point = F.col("station"), F.col("point")
    observed_any = F.greatest(station["hours_observed"], station["rain_hours_observed"]) > 0
    return F.coalesce(
        station.isNotNull()
        & (
            point.isNull()
            | station["is_complete"]
            | F.when(F.col("forecast_hours") > 0, observed_any).otherwise(
                ~point["is_complete"] & (station["hours_observed"] >= point["hours_observed"])
            )
        ),
        F.lit(False),
    )


def _features(factors: DataFrame, vintage: tuple[str, ...]) -> DataFrame:
    states = {place.municipality_code: place.uf for place in factor_places()}
    highest, rain = F.col("temperature_max_celsius"), F.col("rain_mm")
    humidity = F.col("relative_humidity_mean_percent")
    is_extreme_heat = highest > thresholds.of("extreme_heat_celsius")
    is_heavy_rain = rain > thresholds.of("heavy_rain_mm")
    computed = {
        "uf": literal_map(states)[F.col("municipality_code")],
        "station_code": literal_map(station_of())[F.col("municipality_code")],
        "hours_observed": F.coalesce("hours_observed", F.lit(0)),
        "rain_hours_observed": F.coalesce("rain_hours_observed", F.lit(0)),
        "is_complete": F.coalesce("is_complete", F.lit(False)),
        "is_forecast": F.coalesce("is_forecast", F.lit(False)),
        "is_extreme_heat": is_extreme_heat,
        "is_cold": F.col("temperature_min_celsius") < thresholds.of("cold_celsius"),
        "is_no_rain": rain == 0,
        "is_heavy_rain": is_heavy_rain,
        "is_intense_rain": rain > thresholds.of("intense_rain_mm"),
        "is_high_humidity": humidity > thresholds.of("high_humidity_percent"),
        "corrosion_risk": humidity / 100 * (rain / 100),
        "field_work_disruption": (
            is_heavy_rain.cast("int") * thresholds.RAIN_DISRUPTION_WEIGHT
            + is_extreme_heat.cast("int") * thresholds.HEAT_DISRUPTION_WEIGHT
        ),
        "mobile_accesses_per_100": population.per_100("mobile_accesses"),
        "broadband_accesses_per_100": population.per_100("broadband_accesses"),
        "known_from": F.greatest(*(f"{part}_known_from" for part in PARTS)),
        "known_from_basis": F.when(F.greatest(*(f"{part}_is_assumed" for part in PARTS)), "assumed").otherwise(
            "measured"
        ),
    }
    names = (column.name for column in COLUMNS)
    return factors.select(*vintage, *(computed.get(name, F.col(name)).alias(name) for name in names))


PARTS = ("weather", "economy", "expected", "telecom", "population")


def _clocks_apart(days: DataFrame, part: str) -> DataFrame:
    return days.withColumnsRenamed({clock: f"{part}_{clock}" for clock in ("known_from", "is_assumed")})


TABLE = GoldTable(
    name="external_factors_daily",
    keys=GROUP,
    group=GROUP,
    inputs=(
        Input("inmet_hourly", changes.touched_by_hours),
        Input("inmet_stations", changes.touched_by_stations),
        Input("openmeteo_archive", changes.touched_by_reanalysis),
        Input("bcb_sgs", changes.touched_by_observations),
        Input("anatel_mobile_accesses", changes.touched_by_accesses),
        Input("anatel_broadband_accesses", changes.touched_by_accesses),
        Input("anatel_base_stations", changes.touched_by_licences),
        Input("bcb_focus", changes.touched_by_expectations),
        Input("ibge_sidra", changes.touched_by_estimates),
    ),
    about="One state capital, or place of the settings, and day: weather, economy and telecom as they are known now.",
    columns=COLUMNS,
    expectations=(
        Expectation("coverage_is_a_share", "share_5g_percent BETWEEN 0 AND 100", "fail"),
        Expectation("humidity_is_a_share", "relative_humidity_mean_percent BETWEEN 0 AND 100", "warn"),
        # The year that ends in the newest month known cannot be newer than the day.
        Expectation("inflation_not_from_the_future", "ipca_reference_on <= date_on", "warn"),
        Expectation("dollar_is_positive", "usd_brl > 0", "warn"),
        Expectation("survey_not_from_the_future", "selic_expected_next_surveyed_on <= date_on", "fail"),
    ),
    recompute=recompute,
    widen=changes.widen,
    classes=CLASSES,
)

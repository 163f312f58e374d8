"""The columns of `external_factors_daily`, in order, with their documentation."""

from schemas.classes import PUBLIC, TECHNICAL
from stream_jobs.gold import economy, population, selic_expected, telecom, thresholds, weather, weather_windows
from stream_jobs.gold.model import KNOWN_FROM, Column

_EITHER = "inmet_hourly, else openmeteo_archive"


def _of_either(column: Column) -> Column:
    """A column of the station's day, for which the reanalysis may be used instead."""
    return Column(column.name, column.type, column.meaning, column.unit, _EITHER, column.formula)


COLUMNS = (
    Column("date_on", "DATE NOT NULL", "civil day in the municipality"),
    Column("municipality_code", "STRING NOT NULL", "IBGE code of the capital or the place"),
    Column("uf", "STRING NOT NULL", "state"),
    Column(
        "station_code",
        "STRING NOT NULL",
        "the municipality's weather station; empty if a place of the settings has none",
    ),
    Column(
        "weather_source",
        "STRING",
        "source of the day's weather: inmet_hourly or openmeteo_archive; null = no weather",
        formula="the station's day if it is complete, the reanalysis has no more hours of it, or only with forecasts;"
        " else the reanalysis's",
    ),
    Column(
        "is_forecast",
        "BOOLEAN NOT NULL",
        "whether the day's weather contains forecasts: hours that were not over when they were fetched",
        source="openmeteo_archive",
        formula="the reanalysis's day is used and has forecast_hours; false without weather",
    ),
    *(_of_either(column) for column in weather.DAY_COLUMNS),
    Column(
        "is_extreme_heat",
        "BOOLEAN",
        "extreme heat",
        formula=f"temperature_max_celsius > {thresholds.said('extreme_heat_celsius')}",
    ),
    Column("is_cold", "BOOLEAN", "cold", formula=f"temperature_min_celsius < {thresholds.said('cold_celsius')}"),
    Column("is_no_rain", "BOOLEAN", "a dry day", formula="rain_mm = 0; null when no hour has a value"),
    Column(
        "is_heavy_rain",
        "BOOLEAN",
        "rain that interrupts field work",
        formula=f"rain_mm > {thresholds.said('heavy_rain_mm')}",
    ),
    Column("is_intense_rain", "BOOLEAN", "intense rain", formula=f"rain_mm > {thresholds.said('intense_rain_mm')}"),
    Column(
        "is_high_humidity",
        "BOOLEAN",
        "humid air",
        formula=f"relative_humidity_mean_percent > {thresholds.said('high_humidity_percent')}",
    ),
    Column(
        "corrosion_risk",
        "DOUBLE",
        "risk of corrosion, dimensionless",
        formula="relative_humidity_mean_percent / 100 × rain_mm / 100",
    ),
    Column(
        "field_work_disruption",
        "DOUBLE",
        "disruption of field work: 0, 0.3, 0.5 or 0.8",
        formula=f"{thresholds.RAIN_DISRUPTION_WEIGHT}·[is_heavy_rain] + {thresholds.HEAT_DISRUPTION_WEIGHT}"
        "·[is_extreme_heat]",
    ),
    *weather_windows.COLUMNS,
    *economy.COLUMNS,
    *selic_expected.COLUMNS,
    *telecom.COLUMNS,
    *population.COLUMNS,
    KNOWN_FROM,
    Column(
        "known_from_basis",
        "STRING NOT NULL",
        "measured; or assumed if one of the values has an assumed publication clock (period's end + lag)",
    ),
)

CLASSES = {
    PUBLIC: (
        "date_on",
        "municipality_code",
        "uf",
        "station_code",
        "weather_source",
        "is_forecast",
        *weather.DAY_PUBLIC,
        "is_extreme_heat",
        "is_cold",
        "is_no_rain",
        "is_heavy_rain",
        "is_intense_rain",
        "is_high_humidity",
        "corrosion_risk",
        "field_work_disruption",
        "rain_30d_mm",
        "temperature_mean_30d_celsius",
        "heavy_rain_days_30d",
        "extreme_heat_days_30d",
        "days_observed_30d",
        "rain_days_observed_30d",
        "usd_brl",
        "selic_target_percent",
        "fx_volatility_30d",
        "fx_change_30d_percent",
        "is_devaluation",
        "ipca_reference_on",
        "ipca_monthly_percent",
        "ipca_12m_percent",
        "inpc_reference_on",
        "inpc_monthly_percent",
        "inpc_12m_percent",
        "igpm_reference_on",
        "igpm_monthly_percent",
        "igpm_12m_percent",
        "ibc_br_reference_on",
        "ibc_br_index",
        "unemployment_reference_on",
        "unemployment_percent",
        "gdp_reference_on",
        "gdp_index",
        "is_high_inflation",
        "selic_expected_next_meeting_id",
        "selic_expected_next_percent",
        "selic_expected_next_surveyed_on",
        "selic_expected_year_end_meeting_id",
        "selic_expected_year_end_percent",
        "mobile_reference_on",
        "mobile_accesses",
        "mobile_accesses_5g",
        "mobile_accesses_all",
        "mobile_accesses_5g_all",
        "share_5g_percent",
        "share_5g_change_points",
        "expansion_rate_5g_percent",
        "is_5g_active",
        "is_5g_milestone",
        "stations_5g",
        "broadband_reference_on",
        "broadband_accesses",
        "broadband_growth_12m_percent",
        "population_reference_on",
        "population",
        "mobile_accesses_per_100",
        "broadband_accesses_per_100",
    ),
    TECHNICAL: ("known_from", "known_from_basis"),
}

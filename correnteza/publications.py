"""When the monitor expects each source's publications, by the lags that the source files declare."""

from datetime import timedelta

from monitoring.watch.expected import Expected, Step
from producers.sources import bcb_sgs, ibge_sidra

_FREQUENCIES: dict[str, Step] = {"D": "business_day", "M": "month", "Q": "quarter"}

_SELIC_TARGET = 432
"""It is published days ahead up to the next decision, so its newest day says nothing about delays."""

_OF_SOURCES: tuple[Expected, ...] = (
    Expected("anatel_broadband_accesses", "silver.anatel_broadband_accesses", "reference_month_on", "month",
             timedelta(days=75)),
    Expected("anatel_mobile_accesses", "silver.anatel_mobile_accesses", "reference_month_on", "month",
             timedelta(days=75)),
    Expected("bcb_ptax", "silver.bcb_ptax", "quoted_at", "business_day", timedelta(0)),
    # A survey of the week's days, published on the Monday after.
    Expected("bcb_focus", "silver.bcb_focus", "surveyed_on", "business_day", timedelta(days=7)),
    Expected("inmet_hourly", "silver.inmet_hourly", "observed_at", "month", timedelta(days=33)),
    Expected("openmeteo_archive", "silver.openmeteo_archive", "valid_at", "day", timedelta(days=7)),
    Expected("openmeteo_forecast", "silver.openmeteo_forecast", "issued_at", "day", timedelta(0)),
)  # fmt: skip
"""Sources without periods, such as a register of stations, are never missing any."""


def expected() -> tuple[Expected, ...]:
    """Every sequence of periods that is polled, by the sources' files and the settings."""
    series = (
        Expected("bcb_sgs", "silver.bcb_sgs", "reference_on", _FREQUENCIES[each.frequency],
                 timedelta(days=each.lag_days), ("series_code", each.code))
        for each in bcb_sgs.polled()
        if each.code != _SELIC_TARGET
    )  # fmt: skip
    tables = (
        Expected("ibge_sidra", "silver.ibge_sidra", "period_code", each.periodicity,
                 timedelta(days=each.lag_days), ("table_id", each.number))
        for each in ibge_sidra.polled()
    )  # fmt: skip
    return (*_OF_SOURCES, *series, *tables)

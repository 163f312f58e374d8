"""The thresholds of the feature flags. Declared are those of the legacy demand model (`unified_dataset_with_factors`).

A flag is true strictly beyond its threshold, and null if the quantity is null. docs/legacy-factors.md says where the
legacy model computed them differently, and why that was wrong.
"""

from typing import NamedTuple

from schemas import choices


class Threshold(NamedTuple):
    """A threshold that the setting `thresholds` may replace, by a number within bounds.

    Attributes:
        about: what is compared with it.
    """

    value: float
    least: float
    greatest: float
    about: str


DECLARED = {
    "extreme_heat_celsius": Threshold(35.0, 0, 60, "daily maximum of the air temperature, above"),
    "cold_celsius": Threshold(20.0, -30, 40, "daily minimum of the air temperature, below"),
    "heavy_rain_mm": Threshold(50.0, 0, 1000, "rain of the civil day that interrupts field work, above"),
    "intense_rain_mm": Threshold(100.0, 0, 1000, "rain of the civil day, above"),
    "high_humidity_percent": Threshold(80.0, 0, 100, "daily mean of the relative humidity, above"),
    "devaluation_percent": Threshold(5.0, 0, 1000, "rise of BRL per USD in 30 days, above"),
    "high_inflation_percent": Threshold(6.0, -100, 10_000, "IPCA of 12 months, above"),
    "milestone_5g_points": Threshold(5.0, 0, 100, "rise of a municipality's 5G coverage in a month, above"),
}
"""Name in the settings → threshold."""


def of(name: str) -> float:
    """The threshold in force."""
    return choices.threshold(name, DECLARED[name].value)


def said(name: str) -> str:
    """The declared threshold and its name, for the formula of a column."""
    return f"{DECLARED[name].value:g} (threshold {name})"


RAIN_DISRUPTION_WEIGHT = 0.5
HEAT_DISRUPTION_WEIGHT = 0.3
"""field_work_disruption = 0.5·[heavy rain] + 0.3·[extreme heat]: 0, 0.3, 0.5 or 0.8."""

COMPLETE_DAY_FROM_HOURS = 20
"""A station-day with at least so many hours that have a temperature counts as complete."""

FRESH_WITHIN_DAYS = 10
"""A daily quotation is carried forward over at most so many days: longer than any run of holidays, shorter than an
outage that should show."""
SURVEY_WITHIN_DAYS = 30
"""An expectation of the Selic is carried forward over at most so many days from its survey: four weekly reports."""
VOLATILITY_DAYS = 30
"""Calendar days of the window that ends on the date, the date included."""
WEATHER_DAYS = 30
"""Calendar days of the weather windows that end on the date, the date included."""
CHANGE_DAYS = 30
"""The exchange rate is compared with the one so many days before."""

CARRIED_MONTHS = 6
"""A month of ANATEL's accesses is carried until it began so many months ago: longer than any delay seen (two months),
short enough that an outage of the source shows, and that a changed hour reads few months."""

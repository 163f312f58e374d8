"""The thresholds of the feature flags, as the legacy demand model used them (`unified_dataset_with_factors`).

A flag is true strictly beyond its threshold, and null if the quantity is null. docs/legacy-factors.md says where the
legacy model computed them differently, and why that was wrong.
"""

EXTREME_HEAT_ABOVE_CELSIUS = 35.0
"""Daily maximum."""
COLD_BELOW_CELSIUS = 20.0
"""Daily minimum."""
HEAVY_RAIN_ABOVE_MM = 50.0
"""Sum of the civil day; rain that interrupts field work."""
INTENSE_RAIN_ABOVE_MM = 100.0
HIGH_HUMIDITY_ABOVE_PERCENT = 80.0
"""Daily mean."""

RAIN_DISRUPTION_WEIGHT = 0.5
HEAT_DISRUPTION_WEIGHT = 0.3
"""field_work_disruption = 0.5·[heavy rain] + 0.3·[extreme heat]: 0, 0.3, 0.5 or 0.8."""

DEVALUATION_ABOVE_PERCENT = 5.0
"""Rise of BRL per USD in 30 days."""
HIGH_INFLATION_ABOVE_PERCENT = 6.0
"""IPCA of 12 months."""

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

MILESTONE_ABOVE_POINTS = 5.0
"""Rise of a municipality's 5G coverage against the month before, percentage points."""
CARRIED_MONTHS = 6
"""A month of ANATEL's accesses is carried until it began so many months ago: longer than any delay seen (two months),
short enough that an outage of the source shows, and that a changed hour reads few months."""

"""Legacy values beside what the real sources measured on the same days: does the one say anything of the other?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from migration.views import FACTORS, SALVADOR
from monitoring.lake import Lake
from producers.legacy.mapping import Mapping

MEASURED = {
    "temperature": "temperature_mean_celsius",
    "temperatura_media": "temperature_mean_celsius",
    "temperatura_maxima": "temperature_max_celsius",
    "temperatura_minima": "temperature_min_celsius",
    "precipitation": "rain_mm",
    "precipitacao_mm": "rain_mm",
    "humidity": "relative_humidity_mean_percent",
    "umidade_percentual": "relative_humidity_mean_percent",
    "exchange_rate_brl_usd": "usd_brl",
    "taxa_cambio_brl_usd": "usd_brl",
    "inflation_rate": "ipca_12m_percent",
    "taxa_inflacao_anual": "ipca_12m_percent",
    "taxa_selic": "selic_target_percent",
}
"""Column of the legacy → the same quantity in `external_factors_daily`."""

FEW_DAYS = 20
"""With fewer days in common nothing is said of a relation."""
NO_RELATION_BELOW = 0.3
"""Correlation of two series of one quantity below which they are not the same quantity: random numbers give about 0."""


@dataclass(frozen=True)
class Beside:
    """One column beside its measured one, per day (the mean of the day's legacy rows).

    Attributes:
        days: that both have. mean_difference: legacy less measured; spread: mean of its size without sign.
        several: days on which legacy rows contradict each other, though the quantity has one value a day.
    """

    column: str
    measured: str
    days: int
    mean_difference: float | None
    spread: float | None
    correlation: float | None
    several: int
    points: Sequence[tuple[date, float, float]]

    @property
    def verdict(self) -> str:
        """What to make of it, in words."""
        if self.days < FEW_DAYS:
            return f"only {self.days} days in common: nothing to say"
        if self.correlation is None or self.correlation < NO_RELATION_BELOW:
            return "no relation to what was measured: probably filled in at random, or of another place"
        return "follows what was measured"


def beside(lake: Lake, mapping: Mapping) -> Iterator[Beside]:
    """Every column of the mapping that is measured too; of Salvador, which the legacy says that it describes."""
    if mapping.day is None or not lake.has(FACTORS, f"silver.{mapping.dataset}"):
        return
    for column in mapping.columns:
        measured = MEASURED.get(column.name)
        if measured is None or column.kind not in {"real", "decimal", "int"}:
            continue
        rows = lake.rows(
            f"""
            SELECT d.on_day, d.low, d.high, d.legacy, f.measured
            FROM (SELECT "{mapping.day}"::DATE AS on_day, avg("{column.field}"::DOUBLE) AS legacy,
                         min("{column.field}"::DOUBLE) AS low, max("{column.field}"::DOUBLE) AS high
                  FROM silver.{mapping.dataset} GROUP BY 1) d
            JOIN (SELECT date_on, "{measured}"::DOUBLE AS measured FROM {FACTORS}
                  WHERE municipality_code = '{SALVADOR}' AND NOT is_forecast) f ON f.date_on = d.on_day
            WHERE d.legacy IS NOT NULL AND f.measured IS NOT NULL ORDER BY 1"""
        )
        points = [(row["on_day"], float(str(row["legacy"])), float(str(row["measured"]))) for row in rows]
        gaps = [legacy - found for _, legacy, found in points]
        yield Beside(
            column=column.name,
            measured=measured,
            days=len(points),
            mean_difference=sum(gaps) / len(gaps) if gaps else None,
            spread=sum(map(abs, gaps)) / len(gaps) if gaps else None,
            correlation=_correlation([(a, b) for _, a, b in points]),
            several=sum(row["low"] != row["high"] for row in rows),
            points=points,  # type: ignore[arg-type]
        )


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Pearson's; None where either side never changes."""
    if len(pairs) < 2:
        return None
    mean_a, mean_b = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    above = sum((a - mean_a) * (b - mean_b) for a, b in pairs)
    spread_a, spread_b = sum((a - mean_a) ** 2 for a, _ in pairs), sum((b - mean_b) ** 2 for _, b in pairs)
    return above / (spread_a * spread_b) ** 0.5 if spread_a and spread_b else None

"""The errors of loaded forecasts: each value against what became known of its day later.

A forecast can be measured if its `series_id` is the name of a series or factor that has one value per day (`of_days` in
series.py), such as `factor:2927408:rain_mm`. A value that was known before the forecast was made measures nothing.
"""

from dataclasses import dataclass

import pyarrow as pa

from foundation.errors import UsageError
from foundation.quoting import text
from monitoring.lake import Lake
from monitoring.reading.series import of_days

TABLE = "gold.forecasts"
HORIZONS = ((1, 1), (2, 7), (8, 14), (15, 30), (31, 90), (91, None))
"""First and last day ahead of each range; None has no end."""

LATER = "v.known_from > f.generated_at"
"""Only then was the value still ahead of the forecast."""

_MEASURES = """
    count(*) AS compared,
    100 * avg(abs(error) / abs(actual)) FILTER (actual <> 0) AS mape_percent,
    avg(abs(error)) AS mae,
    avg(error) AS bias"""


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        errors: one row per dataset_id, model_version, series_id, vintage (generated_at) and range of horizons:
            horizon_days (`2-7`), compared (forecasts with a value known later), mape_percent (mean of |error| / |value|
            over the values that are not 0; null if all are), mae and bias (means of |error| and of error, in the
            series' unit). error = forecast − value, so that a positive bias is a forecast that was too high.
        by_day: one row per dataset_id, model_version, generated_at and horizon_days, with mape_percent over all series.
        waiting: forecasts of measured series whose day has no value yet.
        unmeasured: series_id → why it cannot be measured.
    """

    errors: pa.Table
    by_day: pa.Table
    waiting: int
    unmeasured: dict[str, str]


def report(lake: Lake) -> Report:
    """Measure everything that is loaded.

    Raises: UsageError when no forecast is loaded.
    """
    if not lake.has(TABLE):
        raise UsageError("no forecasts yet", hint="correnteza forecasts load FILE")
    unmeasured: dict[str, str] = {}
    values = [_NO_VALUES]
    for row in lake.rows(f"SELECT DISTINCT series_id FROM {TABLE} ORDER BY series_id"):
        name = str(row["series_id"])
        try:
            found = of_days(lake, name)
        except UsageError as error:
            unmeasured[name] = str(error)
            continue
        values.append(found.add_column(0, "series_id", pa.array([name] * found.num_rows, pa.string())))
    lake.connection.register("values_known_now", pa.concat_tables(values))
    lake.connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE measured AS
        SELECT f.*, v.value AS actual, f.value - v.value AS error
        FROM {TABLE} f JOIN values_known_now v USING (series_id, date_on)
        WHERE v.value IS NOT NULL AND {LATER}"""
    )
    run = "dataset_id, model_version"
    errors = lake.sql(
        f"""
        SELECT {run}, series_id, generated_at, {_ranges()} AS horizon_days, {_MEASURES} FROM measured
        GROUP BY ALL ORDER BY {run}, series_id, generated_at, min(measured.horizon_days)"""
    )
    by_day = lake.sql(
        f"SELECT {run}, generated_at, horizon_days, {_MEASURES} FROM measured"
        f" GROUP BY ALL ORDER BY {run}, generated_at, horizon_days"
    )
    waiting = lake.value(
        f"SELECT count(*) FROM {TABLE} f ANTI JOIN values_known_now v"
        " ON v.series_id = f.series_id AND v.date_on = f.date_on AND v.value IS NOT NULL"
        f" WHERE f.series_id NOT IN (SELECT unnest({_texts(unmeasured)}))"
    )
    return Report(errors, by_day.drop_columns(["mae", "bias"]), int(str(waiting)), unmeasured)


_NO_VALUES = pa.table(
    {
        "series_id": pa.array([], pa.string()),
        "date_on": pa.array([], pa.date32()),
        "value": pa.array([], pa.float64()),
        "known_from": pa.array([], pa.timestamp("us", "UTC")),
    }
)


def _ranges() -> str:
    texts = ((first, last, f"{first}-{last}" if last else f"{first}+") for first, last in HORIZONS)
    cases = " ".join(
        f"WHEN measured.horizon_days <= {last or 2**31 - 1} THEN '{first if first == last else text}'"
        for first, last, text in texts
    )
    return f"CASE {cases} END"


def _texts(names: dict[str, str]) -> str:
    return f"[{', '.join(map(text, names))}]::VARCHAR[]"

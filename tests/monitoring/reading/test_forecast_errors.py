"""Errors of loaded forecasts equal those that plain Python computes from the same numbers."""

import json
import statistics
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from correnteza.cli import app
from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.reading import forecast_errors
from sinks import forecasts

FIRST = date(2025, 3, 1)
VINTAGES = (datetime(2025, 2, 28, 9, tzinfo=UTC), datetime(2025, 3, 5, 9, tzinfo=UTC))
SERIES = ("sgs:1", "sgs:432")
DAYS_AHEAD = 20


def actual(series: str, on: date) -> float | None:
    """Known up to 15 March; every tenth day is zero, and sgs:432 has no value on 7 March."""
    number = (on - FIRST).days
    if number > 14 or (series == "sgs:432" and number == 6):
        return None
    return 0.0 if number % 10 == 9 else 5.0 + number / 10 + (series == "sgs:432")


def forecast(series: str, made: datetime, on: date) -> float:
    ahead = (on - made.date()).days
    return 5.0 + (on - FIRST).days / 10 + 0.05 * ahead * (-1) ** ahead + (series == "sgs:432")


def days_after(made: datetime) -> list[date]:
    return [made.date() + timedelta(days=n) for n in range(1, DAYS_AHEAD + 1)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Two drops of two series, and one series that the lake does not have."""
    monkeypatch.setenv("CORRENTEZA_HOME", str(tmp_path))
    rows = [
        {"series_code": int(series[4:]), "reference_on": on, "value": value, "known_from": moment(on)}
        for series in SERIES
        for on in (FIRST + timedelta(days=n) for n in range(15))
        if (value := actual(series, on)) is not None
    ]
    write_deltalake(str(tmp_path / "lake/silver/bcb_sgs"), pa.Table.from_pylist(rows))
    for number, made in enumerate(VINTAGES):
        drop = [
            {"series_id": series, "date_on": on, "value": forecast(series, made, on)}
            for series in SERIES
            for on in days_after(made)
        ] + [{"series_id": "BA|connector", "date_on": days_after(made)[0], "value": 3.0}]
        run = {"dataset_id": "rates", "model_version": f"v{number}", "source": "notebook", "generated_at": made}
        pq.write_table(pa.Table.from_pylist([run | each for each in drop]), tmp_path / f"{number}.parquet")
        path = str(tmp_path / "lake/gold/forecasts")
        forecasts.load(tmp_path / f"{number}.parquet", path, now=made + timedelta(hours=1))
    return tmp_path


def moment(on: date) -> datetime:
    """A day's value becomes known on the next morning."""
    return datetime(on.year, on.month, on.day, 9, tzinfo=UTC) + timedelta(days=1)


def by_hand() -> dict[tuple[str, datetime, str], tuple[int, float | None, float, float]]:
    """(series, vintage, range) → compared, percent, absolute and signed mean error."""
    found: dict[tuple[str, datetime, str], list[tuple[float, float]]] = {}
    for series in SERIES:
        for made in VINTAGES:
            for ahead, on in enumerate(days_after(made), 1):
                value = actual(series, on)
                if value is not None:
                    name = "1" if ahead == 1 else "2-7" if ahead <= 7 else "8-14" if ahead <= 14 else "15-30"
                    found.setdefault((series, made, name), []).append((forecast(series, made, on) - value, value))
    means = {}
    for key, pairs in found.items():
        percents = [100 * abs(error) / value for error, value in pairs if value]
        means[key] = (
            len(pairs),
            statistics.mean(percents) if percents else None,
            statistics.mean(abs(error) for error, _ in pairs),
            statistics.mean(error for error, _ in pairs),
        )
    return means


def unequal(home) -> list[str]:
    rows = forecast_errors.report(Lake(home / "lake")).errors.to_pylist()
    found = {
        (row["series_id"], row["generated_at"], row["horizon_days"]): tuple(
            row[name] for name in ("compared", "mape_percent", "mae", "bias")
        )
        for row in rows
    }
    expected = by_hand()
    return [
        f"{key}: {found.get(key)} instead of {expected.get(key)}"
        for key in sorted(found.keys() | expected.keys())
        if found.get(key) != pytest.approx(expected.get(key), rel=1e-9)
    ]


def test_errors_by_series_vintage_and_horizon_are_those_computed_by_hand(home):
    assert unequal(home) == []
    report = forecast_errors.report(Lake(home / "lake"))
    unknown = sum(actual(series, on) is None for series in SERIES for made in VINTAGES for on in days_after(made))
    assert report.waiting == unknown
    assert list(report.unmeasured) == ["BA|connector"]
    assert set(report.by_day["horizon_days"].to_pylist()) == set(range(1, 16))


def test_control_a_value_that_was_known_before_the_forecast_is_not_compared_with_it(home, control, monkeypatch):
    """As the target of the Selic, which is decided weeks before its day."""
    early = {"series_code": 432, "reference_on": FIRST + timedelta(days=6), "value": 9.0, "known_from": VINTAGES[0]}
    write_deltalake(str(home / "lake/silver/bcb_sgs"), pa.Table.from_pylist([early]), mode="append")
    control.holds(unequal, home)
    monkeypatch.setattr(forecast_errors, "LATER", "true")
    control.objects(unequal, home, damage="('sgs:432', datetime.datetime(2025, 2, 28")


def test_the_command_prints_the_table_says_what_it_left_out_and_draws(home):
    picture = home / "errors.svg"
    told = CliRunner().invoke(app, ["forecasts", "report", "--json", "--plot", str(picture)])
    assert {row["series_id"] for row in json.loads(told.stdout)} == set(SERIES)
    assert "not measured: BA|connector" in told.stderr
    assert "forecasts wait" in told.stderr
    drawn = picture.read_text()
    assert "days ahead" in drawn
    assert "rates v1, 2025-03-05 09:00" in drawn
    again = CliRunner().invoke(app, ["forecasts", "report", "--plot", str(picture)])
    assert isinstance(again.exception, UsageError)


def test_without_forecasts_it_says_how_to_load_some(tmp_path, monkeypatch):
    monkeypatch.setenv("CORRENTEZA_HOME", str(tmp_path))
    found = CliRunner().invoke(app, ["forecasts", "report"]).exception
    assert isinstance(found, UsageError)
    assert "forecasts load" in str(found.hint)

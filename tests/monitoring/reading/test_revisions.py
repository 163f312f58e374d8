"""Every version that a key ever had."""

from datetime import date

import pytest

from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.reading.as_of import revisions
from schemas.contracts import load
from tests.monitoring.kit import Kit, at, hour, value

MONTH = date(2025, 9, 1)


@pytest.fixture
def lake(tmp_path):
    kit = Kit(tmp_path)
    for number, day in (("0.48", "2025-10-09T12:00:00"), ("0.50", "2025-11-11T12:00:00")):
        kit.publish("bcb_sgs", value(433, MONTH, number, at(day)))
    kit.publish("bcb_sgs", value(433, date(2025, 8, 1), "0.1", at("2025-09-10T00:00:00")))
    moment = at("2024-01-01T12:00:00")
    kit.publish("inmet_hourly", hour(moment, 20.0) | {"published_at": at("2024-02-01T00:00:00")})
    kit.publish("inmet_hourly", hour(moment, 21.0, rain=0.2) | {"published_at": at("2024-03-01T00:00:00")})
    kit.write()
    return Lake(kit.lake)


def test_the_versions_of_one_key_come_in_the_order_in_which_they_were_known(lake):
    found = revisions(lake, load("bcb_sgs"), {"series_code": "433", "reference_on": "2025-09-01"}).to_pylist()
    assert [(str(row["value"])[:4], row["changed"]) for row in found] == [("0.48", None), ("0.50", ["value"])]
    assert found[0]["known_from"] < found[1]["known_from"]


def test_every_value_that_changed_is_named_and_no_other(lake):
    key = {"station_code": "A401", "observed_at": "2024-01-01 12:00:00+00"}
    found = revisions(lake, load("inmet_hourly"), key).to_pylist()
    assert found[0]["changed"] is None
    assert set(found[1]["changed"]) == {
        "rain_mm",
        "air_temperature_celsius",
        "air_temperature_max_celsius",
        "air_temperature_min_celsius",
    }


def test_a_key_that_is_not_the_datasets_is_refused_with_the_keys_columns(lake):
    with pytest.raises(UsageError, match="reference_on: missing") as refused:
        revisions(lake, load("bcb_sgs"), {"series_code": "433"})
    assert refused.value.hint == "series_code=… reference_on=…"
    with pytest.raises(UsageError, match="value: missing, or not in the key"):
        revisions(lake, load("bcb_sgs"), {"series_code": "433", "reference_on": "2025-09-01", "value": "1"})
    with pytest.raises(UsageError, match="does not exist yet"):
        revisions(lake, load("bcb_ptax"), {})

"""Gold's oracle finds nothing in a correct table and names what is wrong in a broken one: tiny Delta tables, no JVM."""

import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stream_jobs.gold import holiday_calendar, reference
from tests import gold_oracles
from tests.gold_oracles import NOT_JUDGED, RULES, content_hash, differences, gold_follows, table_follows
from tests.gold_rules import economy, places
from tests.gold_rules.known import SCHEMAS, Row, Silver
from tests.stream_jobs.gold.batch_oracle import from_scratch, keyed
from tests.stream_jobs.gold.changes import DRAW, change
from tests.stream_jobs.gold.memory_silver import MemorySilver

STATIC = ("dim_copom_meeting", "dim_date", "dim_municipality")
DERIVED = sorted(name for name in RULES if name not in STATIC)
SEEDS = (0, 1, 2, 4, 5)
"""With each of these every table has rows."""


class RandomRevisions(MemorySilver):
    """Random revisions, for tests without Spark."""

    def __init__(self, seed: int) -> None:
        self.rows = defaultdict(list)
        chance = random.Random(seed)
        for kind in [*DRAW, *chance.choices(list(DRAW), k=10 * seed)]:
            change(self, chance, kind)

    def _frame(self, *_: Any) -> Any:
        return None

    def whole(self, dataset: str) -> list[Row]:
        """Rows with every column of the contract, as a table has them."""
        names = [field["name"] for field in json.loads((SCHEMAS / f"{dataset}.avsc").read_text())["fields"]]
        return [dict.fromkeys(names) | row for row in self.rows[dataset]]


@pytest.fixture(scope="module", params=SEEDS)
def drawn(request: pytest.FixtureRequest) -> RandomRevisions:
    return RandomRevisions(request.param)


def rows_of(name: str, silver: Silver) -> list[Row]:
    """What a rule gives, without the columns that the table does not have."""
    rule = RULES[name]
    return [{column: row[column] for column in row if column not in rule.without} for row in rule.rows(silver)]


@pytest.mark.parametrize("name", DERIVED)
def test_two_readings_of_the_dictionary_give_the_same_gold(name, drawn):
    """The rules in Python, and `verify`'s definitions in SQL: neither knows the other."""
    theirs = from_scratch(name, drawn)
    assert theirs, "nothing was drawn for this table"
    assert keyed(RULES[name].key, rows_of(name, Silver(drawn.whole))) == theirs


def test_the_static_rules_and_the_pipeline_read_the_same_files_alike():
    days = {row["date_on"]: row for row in places.calendar()}
    holidays = holiday_calendar.holidays_of(range(2000, 2036))
    named = {on: (row["holiday_name"], row["is_holiday"]) for on, row in days.items() if row["holiday_name"]}
    assert named == {each.on: (each.name, each.is_national) for each in holidays}
    assert (len(days), days[date(2024, 12, 30)]["iso_week"]) == (13149, 1)
    assert [tuple(row.values()) for row in places.municipalities()] == [*map(astuple, reference.municipalities())]
    theirs = [(m.meeting_id, m.year, m.number, m.decided_on, m.previous_on) for m in reference.copom_meetings()]
    assert [tuple(row.values()) for row in economy.meetings()] == theirs


# Toy lakes

Put = Callable[[str, list[Row]], None]
HOUR = timedelta(hours=1)
KNOWN = datetime(2024, 3, 1, tzinfo=UTC)
MEASURED = (
    "air_temperature_celsius",
    "air_temperature_max_celsius",
    "air_temperature_min_celsius",
    "relative_humidity_percent",
    "rain_mm",
    "wind_speed_m_s",
    "wind_gust_m_s",
    "pressure_hpa",
    "global_radiation_kj_m2",
)


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a table of the lake, in place of what was there."""

    def write(name: str, rows: list[Row]) -> None:
        path = tmp_path / name.replace(".", "/")
        write_deltalake(path, pa.Table.from_pylist(rows), mode="overwrite", schema_mode="overwrite")

    return write


@pytest.fixture(scope="module")
def silver() -> Silver:
    return Silver(RandomRevisions(2).whole)


def other(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float() | Decimal():
            return value + 1
        case str():
            return f"{value}, or not"
        case datetime():
            return value + HOUR
        case date():
            return value + timedelta(days=1)
    raise TypeError(f"no gold table has a {type(value)}")


@pytest.mark.parametrize("name", RULES)
def test_a_right_table_gives_no_objection_and_a_wrong_value_a_missing_and_a_doubled_row_are_named(
    name, put, silver, tmp_path
):
    right, key = rows_of(name, silver)[-40:], RULES[name].key
    put(f"gold.{name}", random.Random(1).sample(right, len(right)))

    def said() -> list[str]:
        stored = gold_oracles.table(tmp_path, f"gold.{name}").to_pylist()
        return differences(f"gold.{name}", key, stored, right)

    assert said() == []
    first = str(tuple(gold_oracles._plain(right[0][column]) for column in key))
    for column in right[0]:
        if column not in key and right[0][column] is not None:
            put(f"gold.{name}", [right[0] | {column: other(right[0][column])}, *right[1:]])
            (found,) = said()
            assert found.startswith(f"gold.{name}: key {first} is not what silver gives: {column} is ")
    put(f"gold.{name}", right[1:])
    assert said() == [f"gold.{name}: key {first} is missing"]
    put(f"gold.{name}", [right[0], *right])
    assert said() == [f"gold.{name}: key {first} stands 2 times"]
    put(f"gold.{name}", right[1:])
    stored = gold_oracles.table(tmp_path, f"gold.{name}").to_pylist()
    assert differences(f"gold.{name}", key, right, stored) == [f"gold.{name}: key {first} should not be there"]


def hour(at: int, **values: Any) -> Row:
    """An hour of Salvador's station on 1 February, and what silver notes beside it."""
    return {
        "station_code": "A401",
        "observed_at": datetime(2024, 2, 1, 3, tzinfo=UTC) + at * HOUR,
        "known_from": KNOWN,
        "published_at_basis": "http_last_modified",
        "is_withdrawn": False,
        "kafka_offset": at,
        **dict.fromkeys(MEASURED),
        **values,
    }


DAY = {
    "station_code": "A401",
    "date_on": date(2024, 2, 1),
    "hours_observed": 2,
    "rain_hours_observed": 3,
    "temperature_mean_celsius": 25.5,
    "temperature_max_celsius": 31.0,
    "temperature_min_celsius": None,
    "relative_humidity_mean_percent": None,
    "rain_mm": 0.3,
    "wind_speed_mean_m_s": None,
    "wind_gust_max_m_s": None,
    "pressure_mean_hpa": None,
    "global_radiation_kj_m2": None,
    "is_complete": False,
    "known_from": KNOWN + HOUR,
}


@pytest.fixture
def lake(put: Put, tmp_path: Path) -> Path:
    """Hours of one day, one of them corrected, one withdrawn, one of the next day; and the two days they make."""
    hours = [
        hour(0, air_temperature_celsius=24.0, air_temperature_max_celsius=30.0, rain_mm=0.1),
        hour(1, air_temperature_celsius=26.0, air_temperature_max_celsius=31.0, rain_mm=0.1),
        hour(2, rain_mm=0.1),
        hour(3, rain_mm=50.0),
        hour(3, is_withdrawn=True, known_from=KNOWN + 2 * HOUR, kafka_offset=99),
        hour(0, air_temperature_celsius=25.0, air_temperature_max_celsius=30.0, rain_mm=0.1, known_from=KNOWN + HOUR),
        hour(24, rain_mm=1.0),
    ]
    put("silver.inmet_hourly_revisions", hours)
    tomorrow = DAY | {"date_on": date(2024, 2, 2), "hours_observed": 0, "rain_hours_observed": 1, "rain_mm": 1.0}
    tomorrow |= {"temperature_mean_celsius": None, "temperature_max_celsius": None, "known_from": KNOWN}
    put("gold.fact_weather_daily", [DAY, tomorrow])
    return tmp_path


def test_a_day_computed_by_hand_gives_no_objection_and_what_a_kill_may_leave_is_named(lake, put):
    """The corrected hour counts with its correction, the withdrawn one not at all, the one after midnight tomorrow."""
    assert gold_follows(lake, "fact_weather_daily") == []
    stored = gold_oracles.table(lake, "gold.fact_weather_daily").to_pylist()

    put("gold.fact_weather_daily", [stored[0] | {"temperature_mean_celsius": 25.0}, stored[1]])
    assert gold_follows(lake) == [
        "gold.fact_weather_daily: key ('A401', datetime.date(2024, 2, 1)) is not what silver gives:"
        " temperature_mean_celsius is 25.0, not 25.5"
    ]
    put("gold.fact_weather_daily", stored[:1])
    assert gold_follows(lake) == ["gold.fact_weather_daily: key ('A401', datetime.date(2024, 2, 2)) is missing"]
    put("gold.fact_weather_daily", [*stored, stored[1]])
    assert gold_follows(lake) == ["gold.fact_weather_daily: key ('A401', datetime.date(2024, 2, 2)) stands 2 times"]
    put("gold.fact_weather_daily", [{**row, "rain_inches": 1} for row in stored])
    assert gold_follows(lake) == ["gold.fact_weather_daily: the columns ['rain_inches'] stand on one side only"]


def test_an_empty_table_is_right_where_silver_has_nothing_and_wrong_where_it_has(lake):
    empty = gold_oracles.table(lake, "gold.fact_weather_daily").slice(0, 0)
    write_deltalake(lake / "gold" / "fact_weather_daily", empty, mode="overwrite")
    assert len(gold_follows(lake)) == 2
    write_deltalake(lake / "silver" / "inmet_hourly_revisions", pa.table({"a": [1]}).slice(0, 0), mode="overwrite",
                    schema_mode="overwrite")  # fmt: skip
    assert gold_follows(lake) == []


def test_a_table_without_a_rule_is_reported_unless_it_is_declared(lake, put):
    for name in NOT_JUDGED:
        put(f"gold.{name}", [{"a": 1}])
    assert gold_follows(lake) == []
    put("gold.fact_of_tomorrow", [{"a": 1}])
    assert gold_follows(lake) == ["gold.fact_of_tomorrow: no rule says what it must be, and no reason why not"]
    assert gold_follows(lake, "dim_operator")[0] == "gold.dim_operator is not there"
    assert table_follows(lake, "dim_operator") == ["gold.dim_operator is not there"]


def test_the_hash_is_of_rows_in_any_order_and_of_values_whatever_their_scale():
    one, two = {"a": 1, "b": Decimal("5.250")}, {"b": None, "a": 2}
    assert content_hash([one, two]) == content_hash([two, one | {"b": Decimal("5.25")}])
    assert content_hash([one]) != content_hash([one, one])
    assert content_hash([{"a": 0.1 + 0.2}]) == content_hash([{"a": 0.3}])
    assert content_hash([{"a": 0.3}]) != content_hash([{"a": 0.3001}])

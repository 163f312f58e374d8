"""What the monitor looks at, by settings and declarations; slots that should have had an outcome by now."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from correnteza import watching
from correnteza.settings import Settings
from correnteza.watching import overdue, watched
from foundation.errors import DependencyUnavailable
from monitoring.metrics import catalogue
from monitoring.metrics.server import Answer, Server
from producers.calendars import Calendar

HOURLY = Calendar(("0 * * * *",))
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("newest", "now", "slots"),
    [
        (NOON, NOON + timedelta(minutes=59), []),
        (NOON, NOON + timedelta(minutes=61), []),  # due for a minute: the poll is under way
        (NOON, NOON + timedelta(minutes=62), [13]),
        (NOON, NOON + timedelta(hours=2, minutes=30), [13, 14]),
        (None, NOON + timedelta(minutes=30), [12]),
        (NOON + timedelta(days=1), NOON, []),  # a clock that was set back
    ],
)
def test_slots_without_an_outcome_are_overdue_two_minutes_after_they_were_due(newest, now, slots):
    assert [slot.hour for slot in overdue(HOURLY, newest, now)] == slots


def test_slots_that_the_schedule_has_given_up_are_not_counted():
    assert overdue(HOURLY, NOON - timedelta(days=30), NOON)[0] == NOON - timedelta(days=7) + timedelta(hours=1)


def test_every_part_of_the_catalogue_is_looked_at_and_every_query_has_a_place(tmp_path):
    found = watched(Settings(home=tmp_path))
    assert tuple(found.looks) == catalogue.PARTS
    queries = [place.query for place in found.places]
    assert {"bronze.bcb_sgs", "bronze.ingest_manifests", "silver.bcb_sgs", "gold.fact_economic_observation"} <= {
        *queries
    }
    assert len(set(queries)) == len(queries)
    assert found.next_slots().keys() >= {"bcb_sgs", "inmet_hourly"}


def test_without_broker_and_lake_it_looks_and_says_what_is_away(tmp_path):
    looks = watched(Settings(home=tmp_path / "none")).looks
    for part in ("broker", "registry", "schedule"):
        with pytest.raises(DependencyUnavailable, match="no embedded stack runs"):
            looks[part]()
    assert looks["lake"]().tables == {}
    assert looks["disk"]().size > 0
    assert all(query.progress is None for query in looks["checkpoints"]().values())


def driver(tmp_path, answer):
    server = Server("127.0.0.1", 0, {"/healthz": lambda headers: answer})
    server.start()
    try:
        return watching._driver(Settings(home=tmp_path, stream_metrics_port=server.port))
    finally:
        server.shutdown()
        server.server_close()


def test_the_driver_of_this_home_answers_and_another_home_s_is_none(tmp_path):
    home = str(tmp_path.resolve())
    assert driver(tmp_path, Answer(json.dumps({"home": home}).encode()))["home"] == home
    for body in ({"home": "/another"}, {}):
        with pytest.raises(DependencyUnavailable, match="belongs to another home"):
            driver(tmp_path, Answer(json.dumps(body).encode()))
    with pytest.raises(DependencyUnavailable, match="no driver answers"):
        driver(tmp_path, Answer(b"no json"))
    with pytest.raises(DependencyUnavailable, match="serves no metrics"):
        watching._driver(Settings(home=tmp_path, stream_metrics_port=0))

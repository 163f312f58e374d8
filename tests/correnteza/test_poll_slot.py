"""`poll --slot`: another scheduler's poll of a slot. Beside `schedule`, no slot is polled twice."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from time import time

import pytest

from correnteza import topics
from producers import sources
from replay.server import serve
from schemas import queues
from schemas.contracts import load_all
from tests import oracles
from tests.helpers import UNMODIFIED, run_to_its_end, wait_for
from tests.schedule_kit import health, read, replay_clock

pytestmark = pytest.mark.integration

SOURCE = sources.load("openmeteo_forecast")  # every three hours, at minute 23
SLOT = datetime(2025, 11, 10, 9, 23, tzinfo=UTC)
FAST = 480
"""Seconds of the replay in one: a slot in 22."""

FORGETFUL = (
    "from producers.schedule import attempt, outcomes\n"
    "outcomes.is_done = lambda *_: False\n"
    "from correnteza.cli import main\n"
    "main()\n"
)

WITHOUT_BACKOFF = (
    "import stamina\nstamina.set_testing(True, attempts=100, cap=True)\nfrom correnteza.cli import main\nmain()\n"
)
"""Requests are repeated as often as ever, without the waits between them: those are what the fetch tests are about."""


@pytest.fixture
def replay(settings):
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    with serve(day=1) as running:
        yield running


@pytest.fixture
def at_slot(settings, tmp_path, replay):
    """Run `poll --slot`; by default its clock is a minute after the slot."""

    def run(slot, *start, **variables):
        given = {
            "CORRENTEZA_CLOCK": f"{(slot + timedelta(minutes=1)).isoformat()}@1",
            "CORRENTEZA_BASE_URLS": json.dumps(replay.base_urls),
        }
        arguments = ["poll", SOURCE.name, "--slot", slot.isoformat(), "--json"]
        return run_to_its_end(settings, tmp_path, start or UNMODIFIED, arguments, given | variables)

    return run


def polls(settings):
    """(slot, outcome) of every poll that was made, in order."""
    found = read(settings.bootstrap, settings.topic_prefix + queues.OUTCOMES)
    return [(each["slot_id"], each["outcome"]) for each in found if each["outcome"] != "covered"]


def polled_twice(settings) -> list[str]:
    """The oracle: slots with more than one poll."""
    counted = Counter(slot for slot, _ in polls(settings))
    return [f"{slot} was polled {times} times" for slot, times in counted.items() if times > 1]


def test_a_slot_is_polled_once_and_later_ones_end_with_99_if_nothing_is_new(at_slot, settings, replay):
    first = at_slot(SLOT)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["rows"] > 0
    asked = len(replay.requests)
    again = at_slot(SLOT)
    assert (again.returncode, again.stdout, len(replay.requests)) == (99, "", asked)
    within = at_slot(SLOT + timedelta(minutes=50))
    assert (within.returncode, len(replay.requests)) == (99, asked), "an instant after it means the slot"
    assert at_slot(SLOT + timedelta(hours=3)).returncode == 99
    assert [outcome for _, outcome in polls(settings)] == ["published", "no_news"]
    assert at_slot(SLOT, CORRENTEZA_CLOCK="2025-11-01T00:00:00Z@1").returncode == 2, "a slot that is far ahead"


def test_a_slot_that_failed_is_tried_again_until_its_circuit_opens(at_slot, settings):
    away = {"CORRENTEZA_BASE_URLS": json.dumps({SOURCE.name: "http://127.0.0.1:1"})}
    assert [at_slot(SLOT, "-c", WITHOUT_BACKOFF, **away).returncode for _ in range(4)] == [4, 4, 4, 4]
    assert [outcome for _, outcome in polls(settings)] == ["failed", "failed", "failed", "circuit_open"]
    late = SLOT + timedelta(hours=3)
    assert at_slot(late).returncode == 0
    assert polls(settings)[-1] == (f"{SOURCE.name}@{late:%Y-%m-%dT%H:%M:%SZ}", "published")


def test_control_a_slot_that_another_has_polled_is_recognised(at_slot, settings, control):
    at_slot(SLOT)
    at_slot(SLOT)
    control.holds(polled_twice, settings)
    at_slot(SLOT, "-c", FORGETFUL)
    control.objects(polled_twice, settings, damage="was polled 2 times")


@pytest.mark.slow
def test_beside_the_schedule_no_slot_is_polled_twice_and_both_poll(at_slot, cli_process, settings, replay):
    """Commands ask for the slot that is due; for a later one, as if their clock were hours ahead, whenever they have
    polled no more than the worker. If every command did, none would be left to the worker."""
    begun = time()
    at = replay_clock(SLOT - timedelta(minutes=30), FAST)
    worker = cli_process(
        "schedule", "--source", SOURCE.name,
        CORRENTEZA_CLOCK=at, CORRENTEZA_BASE_URLS=json.dumps(replay.base_urls),
    )  # fmt: skip
    wait_for(lambda: (health(worker) or {}).get("is_leader"), "a leader")

    def by_whom():
        found = read(settings.bootstrap, settings.topic_prefix + queues.OUTCOMES)
        polled = [each["worker"].endswith(f":{worker.pid}") for each in found if each["outcome"] != "covered"]
        return Counter("worker" if each else "command" for each in polled)

    codes = []
    while min((polled := by_whom())["worker"], polled["command"]) < 2:
        now = SLOT - timedelta(minutes=30) + timedelta(seconds=(time() - begun) * FAST)
        is_ahead = polled["command"] <= polled["worker"]
        slot = SOURCE.calendar.latest(now + timedelta(hours=4) if is_ahead else now)
        codes.append(at_slot(slot, CORRENTEZA_CLOCK=at).returncode)
        if len(codes) == 3:
            replay.set_day(2)
    assert worker.poll() is None
    assert set(codes) <= {0, 4, 99}, codes
    assert polled_twice(settings) == []
    assert oracles.problems(settings.bootstrap, settings.topic_prefix, sorted(SOURCE.datasets)) == []

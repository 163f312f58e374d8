"""`up --replay`: the whole pipeline on recorded publications, day after day."""

import json
import re
import urllib.request
from datetime import UTC, date, datetime, timedelta

import pytest

from correnteza.demo import FIRST_RECORDED_AT
from correnteza.replay_state import ENDED
from correnteza.replaying import duration
from foundation.errors import UsageError
from schemas.contracts import CANARY
from tests import oracles
from tests.helpers import wait_for


@pytest.mark.parametrize(
    ("text", "length"),
    [("30s", timedelta(seconds=30)), ("2m", timedelta(minutes=2)), ("24h", timedelta(days=1))],
)
def test_a_length_of_a_day_is_a_number_and_a_unit(text, length):
    assert duration(text) == length


@pytest.mark.parametrize("text", ["", "2", "m", "2 m", "-2m", "9s", "25h", "2d", "1e3s"])
def test_another_length_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="not a length of a day") as error:
        duration(text)
    assert "--day-every 2m" in str(error.value.hint)


@pytest.mark.integration
def test_the_schedule_publishes_what_each_recorded_day_brings(alone, home):
    process = alone("up", "broker", "registry", "schedule", "monitor", "--replay", "--day-every", "30s")
    endpoints = home / "replay/run/endpoints.json"

    def published_on() -> set[date]:
        """Days of the replay's clock on which records were fetched."""
        assert process.poll() is None, process.said
        if not endpoints.exists():
            return set()
        bootstrap = json.loads(endpoints.read_text())["kafka_bootstrap"]
        records = oracles.read(bootstrap, "", "anatel_mobile_accesses", settled=False)
        return {each.fields["retrieved_at"].date() for each in records}

    # Day 3 begins on the afternoon of the 12th.
    wait_for(lambda: "ready: " in process.said, "up to be ready")
    wait_for(lambda: any(day >= date(2025, 11, 12) for day in published_on()), "a record of the third day")
    assert f"export CORRENTEZA_HOME={home / 'replay'}" in process.said

    # A command in the replay's home counts by the replay's clock.
    assert process.poll() is None, process.said
    beside = alone("sources", "--json", CORRENTEZA_HOME=str(home / "replay"))
    assert beside.wait() == 0
    (said,) = re.findall(r"note: a replay runs in this home: its clock says (\S+ \S+) UTC", beside.said)
    document = json.loads(beside.said[beside.said.index("{\n") :])
    now = datetime.fromisoformat(document["at"])
    succeeded = [
        datetime.fromisoformat(each["last"]["last_success_at"]) for each in document["sources"] if each["last"]
    ]
    assert succeeded
    assert FIRST_RECORDED_AT <= datetime.fromisoformat(f"{said}+00:00") <= now
    assert all(FIRST_RECORDED_AT <= each <= now for each in succeeded)

    # The leader sends the canary from its start on, by the real clock.
    bootstrap = json.loads(endpoints.read_text())["kafka_bootstrap"]
    wait_for(lambda: oracles.read(bootstrap, "", CANARY, settled=False), "a canary")
    sent = [each.fields["sent_at"] for each in oracles.read(bootstrap, "", CANARY, settled=False)]
    assert all(timedelta(0) <= datetime.now(UTC) - each < timedelta(minutes=10) for each in sent)

    # The monitor's address is said, and it knows the slots by the replay's clock.
    (address,) = re.findall(r"^monitor=(\S+)$", process.said, re.MULTILINE)

    def told_of_polls() -> bool:
        with urllib.request.urlopen(f"{address}status.json", timeout=10) as answer:
            sources = {each["source"]: each for each in json.load(answer)["sources"]}
        return any(each["outcome"] == "published" for each in sources["anatel_mobile_accesses"]["outcomes"])

    wait_for(told_of_polls, "the monitor tells of the polls")

    # After the replay it has today's clock, and says so.
    process.terminate()
    assert process.wait() == 143
    after = alone("sources", "--json", CORRENTEZA_HOME=str(home / "replay"))
    assert after.wait() == 0
    assert f"note: {ENDED}" in after.said

"""F35: unmodified processes under steady load and a seeded random sequence of faults; and a short form of
`make crash-test`. `SEED=` in the environment gives another sequence; the seed and the timeline's path are printed.
"""

import pytest

from tests.harness import walk
from tests.harness.crash_test import Result, crash_test, judge, plan, verified
from tests.harness.load import acknowledged
from tests.harness.rig import CHUNK_ROWS, ROWS, TARGETS, Rig
from tests.harness.timeline import Timeline
from tests.harness.too_far import LOST
from tests.seeds import seed_of

pytestmark = [pytest.mark.integration, pytest.mark.fault]

FORGETFUL = """
import os
from pathlib import Path
from producers import cursor
if (Path(os.environ["CORRENTEZA_HOME"]) / "forget").exists():
    cursor.read = lambda *_: {}
from correnteza.cli import main
main()
"""
"""The command line of a producer that, once a file says so, does not read how far its predecessor came."""

LOSING = """
from pathlib import Path
from producers import cursor
from tests.harness.too_far import too_far
read = cursor.read
cursor.read = lambda *given: too_far(read(*given)) if Path("losing").exists() else read(*given)
from correnteza.cli import main
main()
"""
"""As above, of a producer whose successor, once there is a file `losing`, takes more rows for published."""


@pytest.fixture
def timeline(tmp_path):
    found = Timeline(tmp_path / "timeline.jsonl")
    print(f"SEED={seed_of()}, timeline {found.path}")
    yield found
    found.close()


def walked(tmp_path, timeline, count: int) -> Result:
    steps = walk.plan(count, seed_of())
    print(walk.summary(steps))
    result = Result(seed_of())
    with Rig(tmp_path / "rig", timeline) as rig:
        walk.walk(rig, steps, result)
    return result


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_f35_twenty_random_steps_lose_and_double_nothing(tmp_path, timeline):
    result = walked(tmp_path, timeline, 20)
    assert result.problems == []
    assert result.chunks > ROWS // CHUNK_ROWS


@pytest.mark.long
@pytest.mark.timeout(6 * 3600)
def test_f35_two_hundred_random_steps_lose_and_double_nothing(tmp_path, timeline):
    assert walked(tmp_path, timeline, 200).problems == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_f35_one_kill_of_each_loses_and_doubles_nothing(tmp_path, timeline):
    result = Result(seed_of())
    with Rig(tmp_path / "rig", timeline) as rig:
        crash_test(rig, plan(len(TARGETS), result.seed), result)
        verified(rig, result)
    assert result.problems == []
    assert sorted(result.recovery) == sorted(TARGETS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_f35_control_a_producer_that_loses_its_cursor_is_found_by_the_oracles(tmp_path, timeline, control):
    """The same kill with the cursor and without it. Both the lake's oracle and Kafka's must find the damage."""

    def killed_and_checked(rig: Rig) -> list[str]:
        """The findings of all oracles after a producer was killed in the middle of an edition."""
        result = Result(seed_of())
        kill_in_mid_edition(rig)
        judge(rig, result)
        return result.problems

    with Rig(tmp_path / "rig", timeline, producer=("-c", FORGETFUL)) as rig:
        rig.warm_up()
        control.holds(killed_and_checked, rig)
        (rig.home / "forget").touch()
        rig.go_on()
        rig.until_well("producer", "the next edition")
        control.objects(killed_and_checked, rig, damage=("row of a payload", "has 2 manifests"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_f35_control_a_producer_that_skips_rows_after_a_kill_is_found_by_the_served_bytes(tmp_path, timeline, control):
    """Chunks, manifests and ledger agree with each other: only the served bytes show what is lost."""

    def lost() -> list[str]:
        result = Result(seed_of())
        judge(rig, result)
        assert (result.doubled, result.other) == ([], [])
        return result.lost

    with Rig(tmp_path / "rig", timeline, producer=("-c", LOSING)) as rig:
        kill_in_mid_edition(rig)
        control.holds(lost)
        (rig.home / "losing").touch()
        rig.go_on()
        kill_in_mid_edition(rig)
        control.objects(lost, damage=f"Kafka lacks {LOST} of {ROWS} rows of the edition of")


def kill_in_mid_edition(rig: Rig) -> None:
    """The producer is killed among the chunks of an edition; its successor ends it, and bronze reads everything."""
    edition = ROWS // CHUNK_ROWS
    before = acknowledged(rig.ledger)
    rig.until(lambda: acknowledged(rig.ledger) > before, "a chunk")
    rig.until(lambda: 5 < acknowledged(rig.ledger) % edition < edition - 5, "the middle of an edition")
    rig.kill("producer")
    rig.drain()

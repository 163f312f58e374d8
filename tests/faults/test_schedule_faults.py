"""Faults of the schedule's workers: every slot gets its outcome, and nothing is published twice."""

import json
import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from correnteza import topics
from producers import cursor, poll, sources
from producers.model import Span
from producers.publish import Publisher
from producers.schedule import attempt, outcomes
from producers.schedule.requests import PollRequest
from replay.server import serve
from schemas.contracts import load_all
from tests import oracles, schedule_kit
from tests.helpers import Command, environment, still, wait_at_gate, wait_for
from tests.schedule_kit import WorkerPool, begun, health, replay_clock, results_by_slot, slots_between
from tests.seeds import seed_of

pytestmark = [pytest.mark.integration, pytest.mark.fault]
FAULT = 9
"""Of the tests whose names tell none."""

MIDNIGHT = datetime(2025, 11, 10, tzinfo=UTC)
DAY = timedelta(days=1)
FAST = 480
"""Seconds of the replay in one: a day in three minutes."""


@pytest.fixture
def target(settings) -> poll.Services:
    """This test's own topics, on the shared broker."""
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    ledger = settings.home / "ledger.jsonl"
    return poll.Services(settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive_root, ledger)


@pytest.fixture
def replay():
    with serve(day=1) as running:
        yield running


@pytest.fixture
def start(cli_process, replay, target):
    """Start a worker whose clock reads as told; every source unless some are named."""

    def started(at: str, *names: str, **variables: str):
        named = [part for name in names for part in ("--source", name)]
        return cli_process(
            "schedule",
            "--stall-seconds",
            "60",
            *named,
            CORRENTEZA_CLOCK=at,
            CORRENTEZA_BASE_URLS=json.dumps(replay.base_urls),
            CORRENTEZA_LEDGER=str(target.ledger),
            CORRENTEZA_CHUNK_ROWS="500",
            **variables,
        )

    return started


def problems(target, names) -> list[str]:
    datasets = {dataset for name in names for dataset in sources.load(name).datasets}
    return oracles.problems(target.bootstrap, target.prefix, sorted(datasets))


def acknowledged(target) -> list[str]:
    return [json.loads(line)["chunk_id"] for line in target.ledger.read_text().splitlines()]


def complete(target, wanted: set[str]) -> set[str]:
    """Those of the wanted slots whose poll ended well, or for which a newer slot's poll stands."""
    good = {"published", "no_news", "covered"}
    found = results_by_slot(target.bootstrap, target.prefix)
    return {slot for slot in wanted if good & set(found.get(slot, ()))}


# The show


@pytest.mark.slow
def test_a_day_polled_by_two_workers_whose_leader_is_killed_ten_times_has_every_slot_and_every_chunk_once(
    start, replay, target, record_property
):
    """Half-way through the day every source publishes again, so that there are kills during polls with new data."""
    names = [name for name in sources.load_all() if name in replay.base_urls]
    wanted = slots_between(names, MIDNIGHT, MIDNIGHT + DAY - timedelta(seconds=1))
    at = replay_clock(MIDNIGHT - timedelta(hours=4), FAST)  # so that the workers are up when the day begins
    pool = WorkerPool(lambda: start(at, *names), count=2)
    print(f"SEED={(seed := seed_of(default=20251110))}")
    chance = random.Random(seed)
    failovers = []
    for kill in range(10):
        if kill % 2:
            leader = wait_for(lambda: busy_leader(pool), "a leader in the middle of a poll")
        else:
            until = time.monotonic() + chance.uniform(0, 8)
            wait_for(lambda until=until: time.monotonic() > until, "the moment to kill")
            leader = pool.wait_for_leader()
        leader.kill_tree()
        killed = time.monotonic()
        pool.wait_for_leader()
        failovers.append(round(time.monotonic() - killed, 1))
        if kill == 4:
            replay.set_day(2)

    def all_done() -> bool:
        pool.restart_ended()
        return complete(target, wanted) == wanted

    wait_for(all_done, f"slots {sorted(wanted - complete(target, wanted))}")
    record_property("failover_seconds", failovers)
    polled = results_by_slot(target.bootstrap, target.prefix)
    asked = {request["slot_id"] for request in schedule_kit.requests(target.bootstrap, target.prefix)}
    assert {slot for slot in polled.keys() | asked if "@2025-11-10" in slot} == wanted
    assert problems(target, names) == []
    manifests = [record.fields for record in oracles.read(target.bootstrap, target.prefix, "ingest.manifests")]
    assert set(acknowledged(target)) <= {manifest["chunk_id"] for manifest in manifests}
    print(f"slots {len(wanted)}, chunks {len(manifests)}, fail-over {failovers} s")


def clock_of(setting: str) -> datetime:
    start, factor, origin = setting.split("@")
    return datetime.fromisoformat(start) + timedelta(seconds=(time.time() - float(origin)) * float(factor))


def busy_leader(pool: WorkerPool):
    leader = pool.leader()
    return leader if leader and (health(leader) or {}).get("in_flight") else None


def in_this_process(target, replay, name: str, request: PollRequest):
    """Work off one request here, where a control can take a protection away."""
    source = sources.load(name)

    def ask(now):
        return poll.poll(source, target, now=now, base_url=replay.base_urls[name], span=Span(source.history_start))

    desk = attempt.RequestStore(target.bootstrap, target.prefix)
    return attempt.attempt(source, request, desk, ask, now=lambda: MIDNIGHT)


REQUEST = PollRequest("anatel_broadband_accesses", MIDNIGHT - timedelta(minutes=30))


def test_a_request_that_comes_twice_is_worked_off_once(target, replay):
    first = in_this_process(target, replay, REQUEST.source, REQUEST)
    assert (first.outcome, first.rows > 0) == ("published", True)
    before = len(replay.requests)
    assert in_this_process(target, replay, REQUEST.source, REQUEST) is None
    assert len(replay.requests) == before


def test_control_without_the_outcomes_the_source_is_asked_again_and_without_the_cursor_rows_stand_twice(
    target, replay, monkeypatch, control
):
    """The two protections behind one another: the slot's outcome, and the cursor in the rows' own transaction."""
    in_this_process(target, replay, REQUEST.source, REQUEST)

    def asked_again() -> list[str]:
        before = len(replay.requests)
        in_this_process(target, replay, REQUEST.source, REQUEST)
        asked = len(replay.requests) - before
        return [f"the source was asked {asked} times for a slot that is done"] if asked else []

    control.holds(asked_again)
    monkeypatch.setattr(outcomes.Outcomes, "newest", lambda self: {})
    control.objects(asked_again, damage="for a slot that is done")
    control.holds(problems, target, [REQUEST.source])
    monkeypatch.setattr(cursor, "read", lambda *_: {})
    in_this_process(target, replay, REQUEST.source, REQUEST)
    control.objects(problems, target, [REQUEST.source], damage="has 2 manifests")


# F9

FORECAST = "openmeteo_forecast"
"""A slot every three hours."""
HASTE = 2880
"""A slot of the forecast in 3.75 seconds."""


def test_f9_a_leader_killed_as_it_fires_leaves_its_slots_to_the_next_leader(start, cli_process, target):
    at = replay_clock(MIDNIGHT, 1)  # no slot comes before the next leader does, however long that takes
    doomed = start(at, FORECAST, CORRENTEZA_FAILPOINT="before_emit:kill")
    assert doomed.wait() == -signal.SIGKILL
    assert schedule_kit.requests(target.bootstrap, target.prefix) == []
    start(at, FORECAST)
    latest = slots_between([FORECAST], MIDNIGHT - timedelta(hours=3), MIDNIGHT)
    wait_for(lambda: complete(target, latest) == latest, "the slot that the dead leader was about to emit")
    assert problems(target, [FORECAST]) == []


@pytest.mark.slow
def test_f9_slots_that_pass_while_all_workers_are_paused_are_polled_afterwards(start, target, replay):
    at = replay_clock(MIDNIGHT, HASTE)
    pool = WorkerPool(lambda: start(at, FORECAST), count=2)
    wait_for(lambda: results_by_slot(target.bootstrap, target.prefix), "a first poll")
    for worker in pool.workers:
        os.kill(worker.pid, signal.SIGSTOP)
    paused = clock_of(at)
    wait_for(lambda: clock_of(at) > paused + timedelta(hours=10), "three slots to pass")
    missed = slots_between([FORECAST], paused, paused + timedelta(hours=10))
    for worker in pool.workers:
        os.kill(worker.pid, signal.SIGCONT)

    def all_done() -> bool:
        pool.restart_ended()
        return complete(target, missed) == missed

    wait_for(all_done, "the missed slots")
    assert len(missed) >= 3
    assert problems(target, [FORECAST]) == []


@pytest.mark.slow
def test_f9_two_leaders_for_a_moment_emit_a_slot_twice_at_most_and_publish_it_once(start, target, replay):
    at = replay_clock(MIDNIGHT, HASTE)
    pool = WorkerPool(lambda: start(at, FORECAST), count=2)
    wait_for(lambda: results_by_slot(target.bootstrap, target.prefix), "a first poll")
    paused = pool.wait_for_leader()
    os.kill(paused.pid, signal.SIGSTOP)
    other = next(worker for worker in pool.workers if worker is not paused)
    wait_for(lambda: (health(other) or {}).get("is_leader"), "the other one to lead")
    replay.set_day(2)
    os.kill(paused.pid, signal.SIGCONT)
    since = clock_of(at)
    first = begun(target.bootstrap, target.prefix)
    wanted = slots_between([FORECAST], first, since + timedelta(hours=9))

    def all_done() -> bool:
        pool.restart_ended()
        return complete(target, wanted) == wanted

    wait_for(all_done, "the slots of before, meanwhile and after")
    assert problems(target, [FORECAST]) == []


# F10


def shares(worker) -> int | None:
    said = health(worker) or {}
    return said["partitions"] if said.get("is_progressing") else None


@pytest.mark.slow
def test_f10_a_worker_whose_broker_hangs_ends_with_75_and_its_successor_goes_on(alone, home, replay, control):
    """Control: a worker with a watchdog that waits too long stays, alive and idle, and says so on /healthz."""
    stack = alone("up", "broker", "registry")
    wait_for(lambda: "ready: " in stack.said, "the broker of this test's own")
    broker = json.loads((home / "run" / "children.json").read_text())["broker"][0]
    endpoints = json.loads((home / "run" / "endpoints.json").read_text())
    at = replay_clock(MIDNIGHT, FAST)

    def worker(stall: int):
        variables = {"CORRENTEZA_CLOCK": at, "CORRENTEZA_BASE_URLS": json.dumps(replay.base_urls)}
        return alone("schedule", "--source", FORECAST, "--stall-seconds", str(stall), **variables)

    bootstrap = endpoints["kafka_bootstrap"]
    unwatched = worker(600)
    wait_for(lambda: results_by_slot(bootstrap, ""), "a first poll")
    watched = worker(20)  # only now: a poll under way while workers join would be fenced by its partition's new owner
    wait_for(lambda: shares(watched) == shares(unwatched) == 12, "both workers to have their partitions")
    os.kill(broker, signal.SIGSTOP)
    try:
        assert watched.wait() == 75
        assert "worker_stalled" in watched.said
        said = wait_for(lambda: health(unwatched), "the other worker to answer")

        def idle(worker) -> list[str]:
            return [f"it lives, and its trouble is: {said['trouble']}"] if worker.poll() is None else []

        control.holds(idle, watched)
        control.objects(idle, unwatched, damage="it lives, and its trouble is: the queue cannot be read")
        assert (said["is_progressing"], said["trouble"]) == (False, "the queue cannot be read")
    finally:
        os.kill(broker, signal.SIGCONT)
    unwatched.kill_tree()
    successor = worker(60)
    wanted = slots_between([FORECAST], begun(bootstrap, ""), clock_of(at))
    good = {"published", "no_news", "covered"}

    def all_done() -> bool:
        found = results_by_slot(bootstrap, "")
        return all(good & set(found.get(slot, ())) for slot in wanted)

    wait_for(all_done, "the slots that passed meanwhile")
    assert successor.poll() is None
    assert oracles.problems(bootstrap, "", sources.load(FORECAST).datasets) == []


def test_f33_sigterm_lets_a_worker_s_poll_reach_the_end_of_its_chunk_and_ends_with_0(start, target, tmp_path):
    gate = tmp_path / "gate"
    held = f"after_produce@1:wait={gate}"
    # The canary is published by the same code: it would come by the failure point, too.
    no_canary = {"CORRENTEZA_CANARY_INTERVAL_SECONDS": "0"}
    worker = start(replay_clock(MIDNIGHT, FAST), "bcb_sgs", CORRENTEZA_FAILPOINT=held, **no_canary)
    wait_at_gate(gate, worker, "a poll in mid-transaction")
    worker.terminate()
    wait_for(lambda: "worker_stopping" in worker.said or worker.poll() is not None, "the worker to have heard it")
    gate.touch()
    assert worker.wait() == 0, worker.said
    assert len(acknowledged(target)) == 1
    assert problems(target, ["bcb_sgs"]) == []


# F3, of a worker of all sources

FENCED = "bcb_sgs"
"""A slot every six hours; another publisher of it begins during a transaction. The other source is FORECAST."""

HOLDING = """
import os, time
from pathlib import Path
from correnteza.cli import main
from producers import publish

gate, commit = Path(os.environ["GATE"]), publish.Publisher._commit

def held(publisher):
    if publisher._id.endswith(os.environ["HELD"]) and not gate.exists():
        gate.with_name(gate.name + ".reached").touch()
        gate.with_name(gate.name + ".of." + publisher._id).touch()
        while not gate.exists():
            time.sleep(0.02)
    commit(publisher)

publish.Publisher._commit = held
"""
"""Transactions of publishers whose ids end with HELD wait for the gate before their commit."""

ENDING = """
from foundation.errors import FencedError
from producers.schedule import attempt, worker

poll = attempt._poll

def ending(*given):
    found = poll(*given)
    if isinstance(found[2], FencedError):
        worker.end(found[2])
    return found

attempt._poll = ending
"""
"""As it was: a worker that is fenced ends, and with it the polls of all other sources."""


@pytest.fixture
def held_worker(settings, replay, tmp_path):
    """Start a worker of some sources by a program, and wait until a transaction of it is held; returns it and its
    gate."""
    started = []

    def begun(program: str, at: str, *names: str, held: str):
        gate = tmp_path / f"gate{len(started)}"
        variables = environment(
            settings,
            {
                "CORRENTEZA_CLOCK": at,
                "CORRENTEZA_BASE_URLS": json.dumps(replay.base_urls),
                "CORRENTEZA_CHUNK_ROWS": "500",
                "GATE": str(gate),
                "HELD": held,
            },
        )
        named = [part for name in names for part in ("--source", name)]
        output = tmp_path / f"held{len(started)}.out"
        worker = Command(("schedule", *named), tmp_path, variables, output, ("-c", f"{program}\nmain()"))
        started.append(worker)
        wait_at_gate(gate, worker, "a transaction that is held")
        return worker, gate

    yield begun
    for each in started:
        each.kill_tree()


@pytest.fixture
def fenced_worker(held_worker, target):
    """Start a worker by a program, at a moment of the replay; returns it and its clock, its poll of FENCED fenced."""

    def begun_and_fenced(program: str, start: datetime):
        at = replay_clock(start, 3 * FAST)
        worker, gate = held_worker(program, at, FENCED, FORECAST, held=f"correnteza.{FENCED}")
        Publisher(target.bootstrap, target.prefix, FENCED).start()
        gate.touch()
        return worker, at

    return begun_and_fenced


def missed(target, at: str, *, seconds: float = 120) -> list[str]:
    """Slots of the other source that come due from now on, by this clock, and have no outcome in the end."""
    began = clock_of(at)
    wanted = slots_between([FORECAST], began + timedelta(hours=3), began + timedelta(hours=9))
    wait_for(lambda: clock_of(at) > began + timedelta(hours=10), "two slots of the other source")
    return still(lambda: [f"{slot} has no outcome" for slot in sorted(wanted - complete(target, wanted))], seconds)


@pytest.mark.slow
def test_f3_a_worker_of_which_one_source_is_fenced_goes_on_with_the_others_and_asks_it_again_at_its_next_slot(
    fenced_worker, target, replay, control
):
    """Control: a worker that ends when it is fenced misses the other source's slots until it is started again."""
    worker, at = fenced_worker(HOLDING, MIDNIGHT)
    control.holds(missed, target, at)
    assert worker.poll() is None, worker.said
    fenced = {slot for slot, ends in results_by_slot(target.bootstrap, target.prefix).items() if "fenced" in ends}
    assert {slot.partition("@")[0] for slot in fenced} == {FENCED}
    wait_for(lambda: complete(target, fenced) == fenced, "the next slot's poll, which covers the fenced one's")
    assert worker.poll() is None, worker.said
    assert problems(target, [FENCED, FORECAST]) == []
    worker.kill_tree()

    replay.set_day(2)
    ending, at = fenced_worker(HOLDING + ENDING, clock_of(at))
    assert ending.wait() == 75, ending.said
    control.objects(missed, target, at, seconds=5, damage="has no outcome")


# F9, of a worker whose partitions another one takes over

RESTARTING = """
from mode.supervisors import OneForOneSupervisor
from producers.schedule import worker

class Restarting(OneForOneSupervisor):
    def __init__(self, *services, **limits):
        super().__init__(*services, **limits | {"max_restarts": 0.001})

worker.ForPartitions = Restarting
"""
"""As Faust would have it: what was cancelled is started again, and a second restart too soon after the first one ends
the worker. To Faust too soon is within 10 ms, which a slow machine does not always meet; here it is within 1,000 s."""


def ended(worker: Command) -> list[str]:
    return [f"it ended with {worker.returncode}"] if worker.poll() is not None else []


def test_a_worker_with_polls_under_way_stays_while_another_one_takes_half_of_its_partitions(
    held_worker, start, replay, target, tmp_path, control
):
    """Control: Faust's own strategy starts the cancelled actors again, and the second of them ends the worker."""

    def joined(program: str, moment: datetime) -> tuple[Command, Command, Path]:
        at = replay_clock(moment, 1)
        worker, gate = held_worker(program, at, held="")
        wait_for(lambda: len(list(tmp_path.glob(f"{gate.name}.of.*"))) >= 8, "polls under way")
        other = start(at)
        wait_for(lambda: (shares(other) or 0) >= 12, "the other worker to have its half")
        return worker, other, gate

    worker, other, gate = joined(HOLDING, MIDNIGHT)
    control.holds(ended, worker)
    gate.touch()
    wanted = {each["slot_id"] for each in schedule_kit.requests(target.bootstrap, target.prefix)}
    wait_for(lambda: complete(target, wanted) == wanted, "every slot's outcome")
    assert problems(target, {slot.partition("@")[0] for slot in wanted}) == []
    control.holds(ended, worker)
    for each in (worker, other):
        each.kill_tree()

    replay.set_day(2)
    worker, _, _ = joined(HOLDING + RESTARTING, MIDNIGHT + DAY)
    worker.wait()
    control.objects(ended, worker, damage="it ended with 75")

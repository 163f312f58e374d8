"""The embedded stack starts, restarts, and leaves nothing behind that the next start cannot remove."""

import json
import os
import signal

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from correnteza.embedded.processes import Program, is_alive
from correnteza.embedded.service import Service
from correnteza.embedded.stack import Stack
from correnteza.embedded.supervisor import supervise
from correnteza.settings import Settings
from foundation.errors import CorrentezaError, UnsafeState
from schemas.contracts import load
from schemas.registry import Registry
from tests.helpers import PATIENCE_SECONDS, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.fault]

TOPIC = load("bcb_sgs").topic


def endpoints_when_ready(process, home):
    """The addresses, once `up` says that it is ready."""

    def ready():
        assert process.poll() is None, process.said
        return "ready: " in process.said

    wait_for(ready, "up is ready")
    return json.loads((home / "run/endpoints.json").read_text())


def child(home, name):
    return json.loads((home / "run/children.json").read_text())[name]


def produce(bootstrap, value):
    producer = Producer(
        {"bootstrap.servers": bootstrap, "acks": "all", "reconnect.backoff.max.ms": 500, "log_level": 0}
    )
    producer.produce(TOPIC, value=value)
    assert producer.flush(PATIENCE_SECONDS) == 0


def stored(bootstrap):
    """All values of the topic's first partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "log_level": 0})
    partition = TopicPartition(TOPIC, 0, 0)
    try:
        _, end = consumer.get_watermark_offsets(partition, timeout=30)
        consumer.assign([partition])
        messages = consumer.consume(end, timeout=PATIENCE_SECONDS)
        assert [message.error() for message in messages] == [None] * end
        return [message.value() for message in messages]
    finally:
        consumer.close()


def test_up_survives_its_own_kill_and_the_next_start_clears_what_is_left(alone, home):
    first = alone("up", "broker", "registry")
    before = endpoints_when_ready(first, home)
    produce(before["kafka_bootstrap"], b"kept")
    ids = Registry(before["registry_url"]).register([load("bcb_sgs")], "")
    old = {name: child(home, name) for name in ("broker", "registry")}
    # Suspended, the two do not react to their parent's end: as without PR_SET_PDEATHSIG.
    for pid, _ in old.values():
        os.kill(pid, signal.SIGSTOP)
    first.kill()
    first.wait()
    assert all(is_alive(*each) for each in old.values())

    second = alone("up", "broker", "registry")
    after = endpoints_when_ready(second, home)

    assert not any(is_alive(*each) for each in old.values())
    assert stored(after["kafka_bootstrap"]) == [b"kept"]
    assert Registry(after["registry_url"]).register([load("bcb_sgs")], "") == ids
    assert json.loads(Registry(after["registry_url"]).schema_by_id(ids["bcb_sgs"]) or "") == load("bcb_sgs").schema


def test_control_without_the_record_of_children_a_leftover_would_stay_and_block_the_next_start(alone, home, control):
    def leftovers() -> list[str]:
        """What of a killed stack still lives when the next one has started, or has failed to."""
        first = alone("up", "broker")
        endpoints_when_ready(first, home)
        broker = child(home, "broker")
        os.kill(broker[0], signal.SIGSTOP)
        first.kill()
        first.wait()
        if not is_recorded:
            (home / "run/children.json").unlink()
        second = alone("up", "broker")
        wait_for(lambda: "ready: " in second.said or second.poll() is not None, "the next start")
        found = [f"broker {broker[0]} lives, the next start ended with {second.poll()}"] if is_alive(*broker) else []
        if is_alive(*broker):
            psutil.Process(broker[0]).kill()
        second.kill_tree()
        return found

    is_recorded = True
    control.holds(leftovers)
    is_recorded = False
    control.objects(leftovers, damage="lives, the next start ended with 4")


def test_services_end_with_a_parent_that_is_killed(alone, home):
    process = alone("up", "broker")
    endpoints_when_ready(process, home)
    broker = child(home, "broker")
    process.kill()
    if os.uname().sysname != "Linux":
        pytest.skip("only Linux tells a child that its parent died")
    wait_for(lambda: not is_alive(*broker), "the broker ends")


def test_a_killed_broker_is_started_again_on_the_same_port(alone, home):
    process = alone("up", "broker")
    bootstrap = endpoints_when_ready(process, home)["kafka_bootstrap"]
    produce(bootstrap, b"before")
    killed = child(home, "broker")
    os.kill(killed[0], signal.SIGKILL)

    produce(bootstrap, b"after")

    assert child(home, "broker") != killed
    assert stored(bootstrap) == [b"before", b"after"]
    assert "child_died" in process.said


def test_sigterm_stops_everything_in_order(alone, home):
    process = alone("up", "broker", "registry")
    endpoints_when_ready(process, home)
    children = [child(home, name) for name in ("broker", "registry")]
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert not any(is_alive(*each) for each in children)
    assert not (home / "run/endpoints.json").exists()


def test_two_stacks_cannot_have_one_home_and_down_stops_the_one_that_has_it(alone, home):
    process = alone("up", "broker")
    endpoints_when_ready(process, home)
    broker = child(home, "broker")
    with pytest.raises(UnsafeState, match=f"pid {process.pid}") as error, Stack(Settings(home=home), ("broker",)):
        pytest.fail("it started")
    assert error.value.hint == "correnteza down"
    second = alone("up", "broker")
    assert second.wait() == 3
    assert process.poll() is None

    assert alone("down").wait() == 0
    assert process.wait(PATIENCE_SECONDS) == 143
    assert not is_alive(*broker)


def test_processes_left_by_an_ended_child_are_stopped_before_its_restart(home, tmp_path):
    """As the JVM of a killed Spark driver, which still holds the locks of its tables."""
    script = f"cd {tmp_path}; test -e left && exit 3; sleep 3600 & echo $! > left; exit 1"
    with Stack(Settings(home=home), ()) as stack:
        stack.run(Service(Program("stream", ("sh", "-c", script), home / "logs/stream.log"), is_ready=lambda: True))
        with pytest.raises(UnsafeState):
            supervise(stack)
        left = int((tmp_path / "left").read_text())
        wait_for(lambda: not runs(left), "the process left behind ends")


def runs(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(("exit_code", "kind"), [(3, UnsafeState), (2, CorrentezaError)])
def test_a_child_that_is_given_up_ends_up(home, exit_code, kind):
    log = home / "logs/stream.log"
    hopeless = Program("stream", ("sh", "-c", f"exit {exit_code}"), log)
    with Stack(Settings(home=home), ()) as stack:
        stack.run(Service(hopeless, is_ready=lambda: True))
        with pytest.raises(kind, match=f"stream ended with exit code {exit_code} .* {log}"):
            supervise(stack)

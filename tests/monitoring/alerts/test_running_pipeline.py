"""One fault gives one alert, over a real `correnteza up`: processes hang, the source fails, records are broken.

Only the sources' clock and the durations of the rules are faster than in operation, by a factor that depends on the
machine: on a busy one a canary takes longer, and rules with too short durations would fire without a fault. A second
Prometheus runs without the rule for a driver that is gone. There the same fault must give other alerts.
"""

import itertools
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest

from monitoring.dashboards.panels import queries
from replay.faults import Script
from tests.helpers import wait_for
from tests.monitoring.alerts.live import Alerting, alerting
from tests.monitoring.alerts.promtool import rules
from tests.monitoring.alerts.running import Message, Running, running
from tests.monitoring.alerts.scaled import expression
from tests.monitoring.dashboards.expressions import selectors_in, values, without_finite_values

MOST_FACTOR = 20.0
"""Ten minutes are 30 s."""
PATIENCE = 4.0
"""The ten minutes after which a canary is missed are at least so many times what it takes here."""
QUIET_MINUTES = 20.0
"""By the rules' clock."""
LONG = 1200
TRICKLE = ("inmet_stations", "ibge_municipalities")
"""Datasets of which records come all the time."""
UNDECODABLE = 500
UNKNOWN = 2_000_000_000
"""A schema id that no registry of a test assigns."""
OLDER = {"anatel_mobile_accesses", "ibge_sidra", "inmet_hourly"}
"""Sources whose recordings are older than the day that is replayed."""
MAY = ("FreshnessObjectiveMissed",)
"""A ticket that rightly says so of them."""

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(7200)]


@dataclass(frozen=True)
class Monitored:
    """The pipeline, a Prometheus with all rules, and a second one without one of them."""

    up: Running
    all_: Alerting
    without: Alerting
    factor: float


@pytest.fixture(scope="module")
def monitored(tmp_path_factory) -> Iterator[Monitored]:
    folder = tmp_path_factory.mktemp("running")
    with running(folder / "up", MOST_FACTOR) as up:
        up.wait_settled()
        first, second = (up.published(each) for each in TRICKLE)
        with up.sending(TRICKLE[0], first, rate=10), up.sending(TRICKLE[1], second, rate=10):
            factor = min(MOST_FACTOR, 600 / (PATIENCE * up.worst_canary()))
            print(f"\nrules are {factor:.1f} times as fast as shipped")
            with (
                alerting(folder / "all", up.targets, factor, every="2s", group_wait="5s") as all_,
                alerting(
                    folder / "without", up.targets, factor, without=("TargetDown",), every="2s", group_wait="5s"
                ) as without,
            ):
                all_.wait_quiet(LONG, besides=MAY)
                yield Monitored(up, all_, without, factor)


# The faults, and how each ends.


def frozen(component: str) -> Callable[[Running], AbstractContextManager[None]]:
    @contextmanager
    def happens(up: Running) -> Iterator[None]:
        up.freeze(component)
        try:
            yield
        finally:
            up.thaw(component)

    return happens


@contextmanager
def source_answers_503(up: Running) -> Iterator[None]:
    """It is polled once by command; the schedule retries."""
    up.replay.add_fault("/openmeteo-forecast/", "503", times=100_000)
    try:
        assert up.attempt("poll", "openmeteo_forecast") != 0
        yield
    finally:
        up.replay.faults = Script()
        up.command("poll", "openmeteo_forecast")


@contextmanager
def retention_fills(up: Running) -> Iterator[None]:
    """Records that are almost as old as the retention arrive as fast as bronze reads them."""
    with up.sending("bcb_ptax", up.published("bcb_ptax"), rate=50, age=6.9 * 86_400):
        yield


def undecodable(
    dataset: str, broken: Callable[[Message], Message]
) -> Callable[[Running], AbstractContextManager[None]]:
    """Records that cannot be decoded, more than a hundredth of all that bronze reads in the rule's hour; then they are
    discarded."""

    @contextmanager
    def happens(up: Running) -> Iterator[None]:
        up.send(
            dataset, [broken(each) for each in itertools.islice(itertools.cycle(up.published(dataset)), UNDECODABLE)]
        )
        try:
            yield
        finally:
            listed = up.command("dead-letters", "list", "--dataset", dataset, "--csv").splitlines()[1:]
            entries = [line.partition(",")[0] for line in listed]
            up.command("dead-letters", "discard", *entries, "--note", "sent by a test", "--yes")

    return happens


def of_an_unknown_schema(message: Message) -> Message:
    key, value = message
    return key, b"\0" + struct.pack(">I", UNKNOWN) + value[5:]


def garbage(message: Message) -> Message:
    """Bytes that no schema id begins: with one, this would be the fault before."""
    return message[0], b"\xff" + os.urandom(200)


@dataclass(frozen=True)
class Fault:
    """A fault, and the alert that must be sent for it.

    Attributes:
        follow: alerts that must fire, too, and be kept back.
        labels: of the alert.
    """

    name: str
    alert: str
    happens: Callable[[Running], AbstractContextManager[None]]
    is_page: bool = False
    follow: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


DRIVER = Fault(
    "the driver hangs",
    "TargetDown",
    frozen("stream"),
    is_page=True,
    follow=("CanaryMissing", "PipelineStalled"),
    labels={"job": "stream"},
)
FAULTS = (
    Fault(
        "the broker hangs",
        "PartDown",
        frozen("broker"),
        is_page=True,
        follow=("CanaryMissing",),
        labels={"part": "broker"},
    ),
    Fault("a source answers 503", "SourceFailing", source_answers_503, labels={"source": "openmeteo_forecast"}),
    Fault("retention fills", "RetentionMarginLow", retention_fills, is_page=True, labels={"table": "bcb_ptax"}),
    Fault(
        "a schema breaks",
        "QuarantineSpike",
        undecodable("bcb_sgs", of_an_unknown_schema),
        labels={"dataset": "bcb_sgs"},
    ),
    Fault("garbage comes", "QuarantineSpike", undecodable("bcb_focus", garbage), labels={"dataset": "bcb_focus"}),
)


# Oracles.


def wrong(all_: Alerting, fault: Fault, since: float) -> list[str]:
    """Whether exactly one alert was sent for a fault, and no page for another one."""
    told = [each.labels for each in all_.receiver.fired(since) if each.name == fault.alert]
    others = sorted(all_.receiver.pages(since) - ({fault.alert} if fault.is_page else set()))
    is_told = any(fault.labels.items() <= dict(labels).items() for labels in told)
    return ([] if is_told else [f"{fault.alert} was not sent"]) + [f"{name} was sent as a page, too" for name in others]


def fired(all_: Alerting, since: float) -> list[str]:
    """Alerts that were sent while no fault was active."""
    return [f"{each.name} {dict(each.labels)} was sent" for each in all_.receiver.fired(since)]


# The tests, in the order in which they run over the same pipeline.


def test_a_quiet_time_under_load_fires_nothing(monitored):
    since = time.monotonic()
    wait_for(lambda: time.monotonic() > since + QUIET_MINUTES * 60 / monitored.factor, "a quiet time", LONG)
    assert [each for each in fired(monitored.all_, since) if not each.startswith(MAY)] == []
    missed = monitored.all_.query('ALERTS{alertname="FreshnessObjectiveMissed",alertstate="firing"}')
    assert {each["metric"]["source"] for each in missed} == OLDER


def test_control_a_driver_that_hangs_is_one_page_and_without_its_rule_its_consequence_is_a_page(monitored, control):
    since = time.monotonic()
    with sent_and_resolved(monitored, DRIVER):
        # Without an alert for the cause nothing inhibits its consequences; a stalled table inhibits CanaryMissing.
        wait_for(
            lambda: "PipelineStalled" in monitored.without.receiver.pages(since), "the alert for the consequence", LONG
        )
    control.holds(wrong, monitored.all_, DRIVER, since)
    damage = ("TargetDown was not sent", "PipelineStalled was sent as a page")
    control.objects(wrong, monitored.without, DRIVER, since, damage=damage)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_one_fault_is_one_alert(monitored, fault):
    since = time.monotonic()
    with sent_and_resolved(monitored, fault):
        pass
    assert wrong(monitored.all_, fault, since) == []


EMPTY_PANELS = {
    "time() - min by (source) (correnteza_source_oldest_overdue_slot_timestamp_seconds)": "no slot is overdue",
}
"""Expressions of panels that have no value in a healthy pipeline under load, and why."""


def test_every_expression_of_dashboards_and_alerts_finds_finite_values_in_the_running_pipeline(monitored):
    """All faults are over. No alert fires, so each selector of their expressions is queried without its comparison."""
    monitored.all_.wait_quiet(LONG, besides=MAY)
    panels = [query.expr for query in queries()]
    selectors = sorted({each for rule in rules() for each in selectors_in(rule.content["expr"])})

    def objections() -> list[str]:
        return [
            found
            for each in dict.fromkeys([*panels, *selectors])
            if each not in EMPTY_PANELS
            for found in without_finite_values(monitored.all_, each)
        ]

    try:
        wait_for(lambda: objections() == [], "finite values")
    except pytest.fail.Exception:
        pytest.fail(f"without finite values: {objections()}")
    assert {each: found for each in EMPTY_PANELS if (found := values(monitored.all_, each))} == {}
    # As this Prometheus evaluates them: an hour of the shipped rules still holds all the faults.
    speaking = {
        rule.name for rule in rules() if values(monitored.all_, expression(rule.content["expr"], monitored.factor))
    }
    assert speaking == {"Watchdog", *MAY}


@contextmanager
def sent_and_resolved(monitored: Monitored, fault: Fault) -> Iterator[None]:
    """A fault from its begin until none of its alerts fires; the block runs after all of them were sent."""
    calm(monitored.all_)
    since = time.monotonic()
    with fault.happens(monitored.up):
        told = monitored.all_.wait_told(fault.alert, "firing", since, LONG, **fault.labels).at
        wait_for(lambda: set(fault.follow) <= set(monitored.all_.firing()), f"{fault.follow} fire", LONG)
        yield
        ended = time.monotonic()
    resolved = monitored.all_.wait_told(fault.alert, "resolved", since, LONG, **fault.labels).at
    calm(monitored.all_)
    print(f"{fault.name:<22} {fault.alert:<20} {told - since:5.1f} s; {resolved - ended:5.1f} s after its end")


def calm(all_: Alerting) -> None:
    """Until no page fires or is about to."""

    def is_calm() -> bool:
        return not all_.query('ALERTS{severity="page"}')

    wait_for(is_calm, "no page fires", LONG)

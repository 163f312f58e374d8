"""A monitor over the small lake, with a broker, a registry and a schedule whose answers a test sets."""

from datetime import UTC, datetime

from foundation.errors import DependencyUnavailable
from monitoring.lag.inputs import WITHDRAWALS
from monitoring.lag.kafka import Bounds, Topic
from monitoring.lag.status import bronze_table
from monitoring.lag.waiting import Waiting
from monitoring.watch.broker import Kafka
from monitoring.watch.checkpoints import Checkpoints
from monitoring.watch.lake import LakePart
from monitoring.watch.monitor import Monitor, Watched
from monitoring.watch.view import Disk, Place, Slot, SourceState
from schemas.contracts import CANARY, load_all
from tests.monitoring.kit import BEGIN, TOPIC_ID

NEXT = datetime(2026, 11, 21, tzinfo=UTC)
CONTRACTS = [contract for contract in load_all().values() if not contract.compacted and contract.name != CANARY]
TOPICS = {each.name: each.topic for each in CONTRACTS}


class FakeParts:
    """Parts of the monitor whose answers a test sets: broker, registry, schedule. It can let one fail."""

    def __init__(self, checkpoints):
        self.checkpoints = checkpoints
        self.ends = {}
        self.first = {}
        self.oldest = {}
        self.held_back = dict.fromkeys(TOPICS.values(), 0.0)
        self.retention = dict.fromkeys(TOPICS.values(), 7 * 86400.0)
        self.failing = {}
        self.sources = {"bcb_sgs": SourceState(BEGIN, (BEGIN,), False, (Slot("published", BEGIN),))}

    def part(self, name, value):
        def look():
            if name in self.failing:
                raise self.failing[name]
            return value()

        return look

    def kafka(self):
        positions = {each.name: self.checkpoints.progress(f"bronze.{bronze_table(each)}") for each in CONTRACTS}
        topics = {
            name: Topic(name, TOPIC_ID, {0: Bounds(self.first.get(name, 0), self.ends.get(name, 0))})
            for name in TOPICS.values()
        }
        offsets = {}
        for contract, topic in TOPICS.items():
            progress = positions[contract]
            bounds = topics[topic].partitions[0]
            position = (progress.kafka if progress else {}).get((topic, 0), bounds.first)
            behind = {(topic, 0): (position, bounds.stable - position)} if bounds.stable > position else {}
            offsets[contract] = behind
        return Kafka(Waiting(topics, offsets, self.oldest), positions, self.retention, self.held_back, 0, 0)


def away():
    return DependencyUnavailable("Kafka at sasl://user:secret@somewhere does not answer", hint="correnteza up")


def monitor_of(kit, **more):
    return watching(kit, **more)[0]


def watching(kit, *, expected=(), now=lambda: BEGIN):
    """A monitor, and its parts whose answers a test sets."""
    checkpoints = Checkpoints(kit.checkpoints)
    reads = {f"silver.{each.name}": [f"bronze.{each.name}", WITHDRAWALS] for each in CONTRACTS if each.is_dataset}
    reads["gold.fact_economic_observation"] = ["silver.bcb_sgs_revisions"]
    bronze = [Place("bronze", bronze_table(each), each.topic, each.name) for each in CONTRACTS]
    places = [*bronze, *(Place(*query.split(".", 1), ", ".join(tables)) for query, tables in reads.items())]
    lake = LakePart(kit.lake, checkpoints, reads, {each.contract: each.query for each in bronze}, expected)
    parts = FakeParts(checkpoints)
    values = {
        "broker": parts.kafka,
        "registry": lambda: "there",
        "lake": lake.look,
        "checkpoints": lambda: checkpoints.look([each.query for each in places]),
        "disk": lambda: Disk(5, 10),
        "schedule": lambda: parts.sources,
        "driver": lambda: {},
    }
    looks = {name: parts.part(name, value) for name, value in values.items()}
    watched = Watched(places, TOPICS, looks, expected, lambda: {"bcb_sgs": NEXT}, now, "0", 60)
    return Monitor(watched, every=1.0), parts

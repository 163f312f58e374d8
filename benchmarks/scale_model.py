"""The arithmetic of `benchmarks.scale`: what a workload needs, and which limit it meets first."""

from dataclasses import dataclass
from math import ceil
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from benchmarks.scale_costs import COSTS, PRICE_OF_A_GB, PRICES

DAY = 86_400
BRONZE_SECONDS, SILVER_SECONDS, GOLD_SECONDS = 1, 2, 5
"""Default intervals of the layers; `interval_factor` multiplies all three."""
LAYERS = 3
"""`run bronze`, `run silver` and `run gold` divide a pipeline among three drivers at most."""
LOG_DAYS, FILES_PER_COMMIT = 2, 2
"""A Delta log keeps its entries so long; a commit writes an entry and a checksum."""
MEASURED_ROWS_PER_SECOND = 1_000
"""Of the topic behind the cost `busy_topic`."""

What = Literal["rows", "topics"]


class Workload(BaseModel):
    """What a reader gives: the load, the machine, the prices, and unit costs that replace the measured ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows_per_day: PositiveFloat = Field(1_000_000, description="published rows of all topics")
    topics: PositiveInt = Field(20, description="topics with rows")
    busy_topics: PositiveInt = Field(1, description="of them, those that get rows all the time")
    bursts_per_day: NonNegativeFloat = Field(24, description="publications a day on each of the other topics")
    largest_share: PositiveFloat = Field(0.5, le=1, description="share of the rows in the largest topic")
    peak_factor: float = Field(10, ge=1, description="rows/s in the busiest minute against the mean of the day")
    queries_per_topic: PositiveInt = Field(3, description="streaming queries of a topic: bronze's, silver's, gold's")
    gold_tables: PositiveInt = Field(2, description="gold tables that one topic feeds")
    interval_factor: float = Field(1, ge=1, description="times the default intervals of 1, 2 and 5 s")
    kafka_days: PositiveFloat = Field(7, description="retention of topics")
    kafka_replicas: PositiveInt = Field(1, description="copies of each record")
    kept_days: PositiveInt = Field(365, description="days of rows in the lake; bronze and revisions are never removed")
    machine_cores: PositiveFloat = Field(2, description="cores of a machine")
    machine_memory_gb: PositiveFloat = Field(16, description="memory of a machine, GB")
    machine_disk_gb: PositiveFloat = Field(500, description="disk of a machine, GB")
    in_store: bool = Field(False, description="whether the lake is in an object store")
    price_put: NonNegativeFloat = Field(
        round(1e6 * PRICES["PUT"], 3), description="US dollars per million PUT, POST, LIST"
    )
    price_get: NonNegativeFloat = Field(round(1e6 * PRICES["GET"], 3), description="US dollars per million GET, HEAD")
    price_gb: NonNegativeFloat = Field(PRICE_OF_A_GB, description="US dollars per GB and month in the store")
    costs: dict[str, PositiveFloat] = Field({}, description="unit costs of your own, by name")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if unknown := set(self.costs) - set(COSTS):
            raise ValueError(f"no unit cost {', '.join(sorted(unknown))}: there are {', '.join(COSTS)}")
        if self.busy_topics > self.topics:
            raise ValueError("busy_topics is greater than topics")
        if self.largest_share * self.topics < 1:
            raise ValueError("largest_share is less than an equal share of the topics")
        return self

    def times(self, what: What, factor: int) -> "Workload":
        """More rows in the same topics, or more topics with the same rows each."""
        more: dict[str, Any] = {"rows_per_day": self.rows_per_day * factor}
        if what == "topics":
            more |= {
                "topics": self.topics * factor,
                "busy_topics": self.busy_topics * factor,
                "largest_share": self.largest_share / factor,
            }
        return self.model_copy(update=more)

    def cost(self, name: str) -> float:
        """A unit cost: the reader's, else the measured one, else 0 (`not_counted` names these)."""
        return self.costs.get(name, COSTS[name].value or 0.0)

    @property
    def not_counted(self) -> list[str]:
        """Unit costs without a figure."""
        return [name for name, cost in COSTS.items() if cost.value is None and name not in self.costs]


@dataclass(frozen=True)
class Limit:
    """Something that ends, how much of it is used, and the setting that moves it."""

    name: str
    used: float
    of: float
    moved_by: str

    @property
    def share(self) -> float:
        """1 is full; 0 where it is not known how much there is."""
        return self.used / self.of if self.of else 0.0


@dataclass(frozen=True)
class Needs:
    """What a workload needs.

    Attributes:
        cores: of all drivers on the average of a day.
        largest_partitions, partitions: of the largest topic, and of all topics with rows.
        log_files: in the Delta logs of all tables.
        dollars: a month in the store, requests and storage; 0 if the lake is on a disk.
        rebuild_hours: silver of the largest topic, all kept days, with all cores of a machine.
        limits: by how full they are, the fullest first.
    """

    cores: float
    drivers: int
    pipelines: int
    queries: int
    pollers: int
    partitions: int
    largest_partitions: int
    commits_per_day: float
    requests_per_day: float
    dollars: float
    kafka_gb: float
    lake_gb_per_day: float
    lake_gb: float
    log_files: float
    rebuild_hours: float
    limits: tuple[Limit, ...]


def needs(load: Workload) -> Needs:
    """The whole sum."""
    rows_per_second = load.rows_per_day / DAY
    largest = rows_per_second * load.largest_share
    commits, cores = _commits(load), _cores(load)
    queries = load.topics * load.queries_per_topic
    drivers = max(ceil(cores / load.machine_cores), ceil(queries / load.cost("queries")))
    puts = (load.cost("append_list") + load.cost("append_put")) * commits
    gets = load.cost("append_get") * commits + load.cost("look") * DAY * (queries - load.topics) + load.cost("read_get")
    gb_per_day = load.rows_per_day * load.cost("lake_bytes") / 1e9
    kafka_gb = load.rows_per_day * load.kafka_days * load.kafka_replicas * load.cost("kafka_bytes") / 1e9
    monthly = 30 * (puts * load.price_put + gets * load.price_get) / 1e6 + load.kept_days * gb_per_day * load.price_gb
    peak_of_others = (rows_per_second - largest) * load.peak_factor / max(load.topics - 1, 1)
    largest_partitions = _partitions(load, largest * load.peak_factor)
    return Needs(
        cores=cores,
        drivers=drivers,
        pipelines=ceil(drivers / LAYERS),
        queries=queries,
        pollers=max(2, ceil(rows_per_second * load.peak_factor * load.cost("poll_cpu") / 1e6 / load.machine_cores)),
        partitions=largest_partitions + (load.topics - 1) * _partitions(load, peak_of_others),
        largest_partitions=largest_partitions,
        commits_per_day=commits,
        requests_per_day=puts + gets if load.in_store else 0.0,
        dollars=monthly if load.in_store else 0.0,
        kafka_gb=kafka_gb,
        lake_gb_per_day=gb_per_day,
        lake_gb=gb_per_day * load.kept_days,
        log_files=commits * LOG_DAYS * FILES_PER_COMMIT,
        rebuild_hours=largest * DAY * load.kept_days * load.cost("silver_cpu") / 1e6 / load.machine_cores / 3600,
        limits=_limits(load, cores=cores, queries=queries, kafka_gb=kafka_gb, lake_gb=gb_per_day * load.kept_days),
    )


def _rounds(load: Workload) -> tuple[float, float]:
    """Rounds a day of all busy topics, and batches a day and layer of all others. A round is the time of one gold
    batch; a topic that publishes more often than that is a busy one."""
    rounds = DAY / (GOLD_SECONDS * load.interval_factor)
    return load.busy_topics * rounds, (load.topics - load.busy_topics) * min(load.bursts_per_day, rounds)


def _commits(load: Workload) -> float:
    """A day: bronze one per batch, silver two (revisions and current), gold one per table."""
    rounds, bursts = _rounds(load)
    per_round = GOLD_SECONDS / BRONZE_SECONDS + 2 * GOLD_SECONDS / SILVER_SECONDS + load.gold_tables
    return rounds * per_round + bursts * (1 + 2 + load.gold_tables)


def _cores(load: Workload) -> float:
    """Of all drivers. Of the busy topic that was measured, the batches are what its rows did not cost."""
    rounds, bursts = _rounds(load)
    per_row = load.cost("layers_cpu") / 1e6
    batches = max(0.0, load.cost("busy_topic") - MEASURED_ROWS_PER_SECOND * per_row) * GOLD_SECONDS
    store = load.cost("store_cpu") * _commits(load) if load.in_store else 0.0
    return (
        load.cost("idle") + (rounds * batches + bursts * load.cost("burst") + load.rows_per_day * per_row + store) / DAY
    )


def _partitions(load: Workload, rows_per_second: float) -> int:
    """So many that each is read by less than a core."""
    return max(1, ceil(rows_per_second * load.cost("bronze_cpu") / 1e6))


def _limits(load: Workload, *, cores: float, queries: int, kafka_gb: float, lake_gb: float) -> tuple[Limit, ...]:
    peak = load.rows_per_day / DAY * load.largest_share * load.peak_factor
    disk = kafka_gb + (0.0 if load.in_store else lake_gb)
    found = [
        Limit("cores of one driver", cores, load.machine_cores,
              "`bronze_interval_seconds`, `silver_…`, `gold_…`; a driver per layer; a machine with more cores"),
        Limit("queries of one driver", queries, load.cost("queries"),
              "a driver per layer; then a pipeline of its own: `topic_prefix`, `home`, `lake`, `schedule --source`"),
        Limit("silver of the largest topic", peak * load.cost("silver_cpu") / 1e6, load.machine_cores,
              "a machine with more cores: one process computes a table. Else divide the topic into several"),
        Limit("bronze of the largest topic", peak * load.cost("bronze_cpu") / 1e6, load.machine_cores,
              "`partitions` in the contract, and cores: of the machine, or of executors (`spark_master`)"),
        Limit("poll of the largest source", peak, load.cost("poll_speed"),
              "no setting: a source is polled by one process at a time. Divide the source into several"),
        Limit("memory of one driver", load.cost("driver_memory"), load.machine_memory_gb,
              "`spark_driver_memory` and a machine with more memory"),
        Limit("disk of one machine", disk, load.machine_disk_gb,
              "`lake = \"s3://…\"`; retention of topics; a disk for the broker alone"),
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda limit: -limit.share))

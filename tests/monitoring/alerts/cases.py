"""Cases for each alert: the series of a healthy pipeline, and the differences in one case.

Series are in promtool's notation, a value a minute from minute 0: `1x9` is ten ones, `0+60x9` counts 60 a minute, `_`
is no value. The present time is `NOW`, because promtool's clock starts at 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

LENGTH = 600
NOW = f"0+60x{LENGTH}"


def steady(value: float) -> str:
    """One value all the time."""
    return f"{value}x{LENGTH}"


def during(first: int, last: int, value: float, otherwise: float = 0) -> str:
    """One value from a minute to a minute, both included, another one before and after."""
    return f"{otherwise}x{first - 1} {value}x{last - first} {otherwise}x{LENGTH}"


def gone(first: int, last: int, value: float = 1) -> str:
    """A value that is absent from a minute to a minute, both included."""
    return f"{value}x{first - 1} stale _x{last - first - 1} {value}x{LENGTH}"


UP = {job: f'up{{job="{job}",instance="127.0.0.1:{port}"}}' for job, port in
      (("monitor", 9464), ("stream", 9465), ("schedule", 9466))}  # fmt: skip
BRONZE = 'layer="bronze",table="inmet_hourly"'
STATES = ("ok", "behind", "not_started", "topic_replaced", "stopped", "stalled", "unknown")
CANARY = 'correnteza_canary_newest_timestamp_seconds{stage="gold"}'
INTERVAL = "correnteza_canary_interval_seconds"
LAG, SECONDS = f"correnteza_lag_records{{{BRONZE}}}", f"correnteza_lag_seconds{{{BRONZE}}}"
COMMIT = f"correnteza_query_last_commit_timestamp_seconds{{{BRONZE}}}"
DEAD_LETTERS = 'correnteza_dead_letters_open{dataset="bcb_sgs"}'
READ = 'correnteza_batch_rows_total{layer="bronze",outcome="read"}'
TO_LOSS, USED = (f'correnteza_retention_{each}{{table="inmet_hourly"}}' for each in ("seconds_to_loss", "used_ratio"))
FREE, SIZE = "correnteza_disk_free_bytes", "correnteza_disk_size_bytes"
LEADER = 'correnteza_leader{instance="127.0.0.1:%d"}'


def state(name: str) -> str:
    """The series of one state of one query."""
    return f'correnteza_query_state{{{BRONZE},state="{name}"}}'


def part(name: str) -> str:
    """The series of one part of the monitor."""
    return f'correnteza_up{{part="{name}"}}'


HEALTHY: Mapping[str, str] = {
    **dict.fromkeys(UP.values(), steady(1)),
    **{part(each): steady(1) for each in ("broker", "registry", "lake", "checkpoints", "disk", "schedule", "driver")},
    'correnteza_part_last_success_timestamp_seconds{part="disk"}': NOW,
    CANARY: NOW,
    INTERVAL: steady(60),
    # A query that has nothing to do: its last batch may be old.
    LAG: steady(0),
    SECONDS: steady(0),
    COMMIT: steady(0),
    **{state(each): steady(int(each == "ok")) for each in STATES},
    f"correnteza_query_restarts_total{{{BRONZE}}}": steady(2),
    "correnteza_maintenance_last_success_timestamp_seconds": NOW,
    DEAD_LETTERS: steady(3),
    READ: f"0+100x{LENGTH}",
    'correnteza_lost_records_total{dataset="bcb_sgs"}': steady(7),
    'correnteza_open_transaction_seconds{dataset="bcb_sgs"}': during(20, 21, 70),
    "correnteza_broker_offline_partitions": steady(0),
    "correnteza_broker_under_replicated_partitions": steady(0),
    'correnteza_source_circuit_open{source="bcb_sgs"}': steady(0),
    'correnteza_source_overdue_slots{source="bcb_sgs"}': during(30, 31, 1),
    'correnteza_source_periods_missing{source="bcb_sgs"}': steady(0),
    'correnteza_polls_total{source="bcb_sgs",outcome="invalid"}': steady(4),
    LEADER % 9466: steady(1),
    FREE: steady(50e9),
    SIZE: steady(100e9),
}


@dataclass(frozen=True)
class Case:
    """One alert and one sequence of events.

    Attributes:
        changes: series → values, in place of the healthy ones or beside them; None leaves a series out.
        firing: minutes at which the alert must fire. silent: at which it must not.
        others: alerts that may fire at these minutes, too; no other may.
    """

    alert: str
    course: str
    changes: Mapping[str, str | None]
    firing: tuple[int, ...] = ()
    silent: tuple[int, ...] = ()
    others: tuple[str, ...] = ()
    series: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        found = {**HEALTHY, **self.changes}
        object.__setattr__(self, "series", {name: values for name, values in found.items() if values is not None})


MISSING = {LAG: None, SECONDS: None, COMMIT: None, **{state(each): None for each in STATES}}
"""The values of one query that the monitor leaves out while they are unknown."""

CASES = (
    # pipeline.yml
    Case("PipelineStalled", "records wait and nothing is committed", {LAG: during(60, 100, 500)}, (75, 100), (65, 115)),
    Case("PipelineStalled", "records wait and batches end", {LAG: steady(500), COMMIT: NOW}, silent=(30, 120)),
    Case("PipelineStalled", "no batch has ever ended", {LAG: steady(5), COMMIT: None}, (15, 120), (5,)),
    Case("PipelineStalled", "the monitor does not know", MISSING | {state("unknown"): steady(1)}, silent=(30, 120)),
    Case("QueryStopped", "a query stops for good", {state("stopped"): during(60, 100, 1)}, (70, 104), (62, 110)),
    Case("QueryStopped", "a query stalls", {state("stalled"): during(60, 100, 1)}, (70,), (110,)),
    Case("QueryStopped", "a topic was recreated", {state("topic_replaced"): during(60, 100, 1)}, (70,), (110,)),
    Case(
        "QueryStopped",
        "it is behind, or nobody knows",
        {state("behind"): steady(1), state("unknown"): steady(1)},
        silent=(30, 120),
    ),
    Case(
        "QueryRestarting",
        "four starts in half an hour",
        {f"correnteza_query_restarts_total{{{BRONZE}}}": f"2x59 3x9 4x9 5x9 6x{LENGTH}"},
        (95,),
        (70, 200),
    ),
    Case(
        "QueryRestarting",
        "the driver starts again and counts from 0",
        {f"correnteza_query_restarts_total{{{BRONZE}}}": f"2x59 0x{LENGTH}"},
        silent=(62, 90),
    ),
    Case(
        "LagKeepsGrowing",
        "it grows for an hour, and shrinks",
        {LAG: f"0x59 0+50x59 3000-100x29 0x{LENGTH}", SECONDS: f"0x59 0+60x59 3000-100x29 0x{LENGTH}", COMMIT: NOW},
        (100, 119),
        (75, 150),
    ),
    Case(
        "LagKeepsGrowing",
        "a short wave",
        {LAG: f"0x59 0+50x9 0x{LENGTH}", SECONDS: during(60, 69, 300), COMMIT: NOW},
        silent=(65, 70, 90),
    ),
    Case("LagKeepsGrowing", "the monitor does not know", MISSING, silent=(30, 120)),
    Case(
        "CanaryMissing",
        "none in gold for half an hour",
        {CANARY: f"0+60x59 3600x39 6000+60x{LENGTH}"},
        (85, 99),
        (82, 110),
    ),
    Case("CanaryMissing", "never one in gold", {CANARY: None}, (15, 60), (3,)),
    Case(
        "CanaryMissing",
        "it is switched off, and one of former days is there",
        {CANARY: steady(0), INTERVAL: steady(0)},
        silent=(30, 120),
    ),
    Case("CanaryMissing", "it was never switched on", {CANARY: None, INTERVAL: steady(0)}, silent=(30, 120)),
    Case(
        "CanaryMissing",
        "it is switched off after it was missed",
        {CANARY: steady(0), INTERVAL: during(60, 600, 0, 60)},
        (30, 59),
        (62, 120),
    ),
    Case(
        "CanaryMissing",
        "one an hour: five are missed before it fires",
        {CANARY: steady(0), INTERVAL: steady(3600)},
        (320, 400),
        (120, 290),
    ),
    Case(
        "CanaryMissing",
        "no metric, since the monitor is away",
        {
            CANARY: f"0+60x59 stale _x29 5460+60x{LENGTH}",
            INTERVAL: gone(60, 90, 60),
            UP["monitor"]: during(60, 90, 0, 1),
        },
        silent=(80, 100),
        others=("TargetDown",),
    ),
    Case(
        "QuarantineSpike", "40 of 100 rows a minute", {DEAD_LETTERS: f"3x59 3+40x9 403x{LENGTH}"}, (75, 90), (65, 160)
    ),
    Case(
        "QuarantineSpike",
        "25 of very many rows",
        {DEAD_LETTERS: f"3x59 28x{LENGTH}", READ: f"0+10000x{LENGTH}"},
        silent=(65, 90),
    ),
    Case("QuarantineSpike", "ten of nothing else", {DEAD_LETTERS: f"3x59 13x{LENGTH}", READ: None}, silent=(75, 90)),
    Case(
        "QuarantineSpike",
        "25 while the driver's metrics are absent",
        {DEAD_LETTERS: f"3x59 28x{LENGTH}", READ: None},
        (75,),
        (160,),
    ),
    Case(
        "MaintenanceMissed",
        "none for ten hours",
        {"correnteza_maintenance_last_success_timestamp_seconds": f"0x540 32400+60x{LENGTH}"},
        (400, 500),
        (300, 370, 550),
    ),
    Case(
        "MaintenanceMissed",
        "the driver has just started",
        {"correnteza_maintenance_last_success_timestamp_seconds": None},
        silent=(30, 120),
    ),
    # kafka.yml
    Case(
        "RetentionMarginLow",
        "less than a day is left",
        {TO_LOSS: during(60, 90, 40_000, 500_000), USED: during(60, 90, 0.9, 0.1)},
        (70, 94),
        (62, 100),
    ),
    Case(
        "RetentionMarginLow",
        "a fifth of ten days is left",
        {TO_LOSS: steady(130_000), USED: during(60, 90, 0.85, 0.3)},
        (70,),
        (62, 100),
    ),
    Case("RetentionMarginLow", "records are gone already", {TO_LOSS: steady(0), USED: steady(1)}, (10,), (3,)),
    Case(
        "RetentionMarginLow",
        "a topic that keeps an hour",
        {TO_LOSS: steady(3500), USED: steady(0.02)},
        silent=(30, 120),
    ),
    Case("RetentionMarginLow", "nothing waits, or nobody knows", {TO_LOSS: None, USED: None}, silent=(30, 120)),
    Case(
        "RecordsLost",
        "nine are accepted as lost",
        {'correnteza_lost_records_total{dataset="bcb_sgs"}': f"7x59 16x{LENGTH}"},
        (61, 100),
        (59, 140),
    ),
    Case(
        "RecordsLost",
        "the monitor starts again with the same total",
        {'correnteza_lost_records_total{dataset="bcb_sgs"}': gone(60, 75, 7)},
        silent=(62, 76, 90),
    ),
    Case(
        "TransactionHanging",
        "nobody ends one",
        {'correnteza_open_transaction_seconds{dataset="bcb_sgs"}': "0x59 0+60x40 0x140"},
        (78, 100, 103),
        (75, 108),
    ),
    Case(
        "TransactionHanging",
        "one is ended at the last moment",
        {'correnteza_open_transaction_seconds{dataset="bcb_sgs"}': "0x59 0+60x15 0x140"},
        silent=(75, 77),
    ),
    Case(
        "BrokerOfflinePartitions",
        "two without a leader",
        {"correnteza_broker_offline_partitions": during(60, 70, 2)},
        (65, 74),
        (62, 84),
    ),
    Case("BrokerOfflinePartitions", "the broker is away", {"correnteza_broker_offline_partitions": None}, silent=(65,)),
    Case(
        "BrokerUnderReplicated",
        "two lack a replica",
        {"correnteza_broker_under_replicated_partitions": during(60, 70, 2)},
        (66, 74),
        (63, 84),
    ),
    Case(
        "BrokerUnderReplicated",
        "a broker restarts",
        {"correnteza_broker_under_replicated_partitions": during(60, 63, 2)},
        silent=(62, 66, 70),
    ),
    # sources.yml
    Case(
        "SourceFailing",
        "its circuit opens",
        {'correnteza_source_circuit_open{source="bcb_sgs"}': during(60, 80, 1)},
        (60, 80),
        (59, 82),
    ),
    Case(
        "SourceFailing",
        "the schedule is not known",
        {'correnteza_source_circuit_open{source="bcb_sgs"}': None},
        silent=(65,),
    ),
    Case(
        "SlotsOverdue",
        "three slots without an outcome",
        {'correnteza_source_overdue_slots{source="bcb_sgs"}': during(60, 90, 3)},
        (76, 90),
        (70, 92),
    ),
    Case(
        "SlotsOverdue",
        "it catches up",
        {'correnteza_source_overdue_slots{source="bcb_sgs"}': during(60, 70, 30)},
        silent=(65, 76),
    ),
    Case(
        "SourceContentChanged",
        "two answers are none",
        {'correnteza_polls_total{source="bcb_sgs",outcome="invalid"}': f"4x59 6x{LENGTH}"},
        (62, 110),
        (58, 200),
    ),
    Case(
        "SourceContentChanged",
        "the worker starts again and counts from 0",
        {'correnteza_polls_total{source="bcb_sgs",outcome="invalid"}': f"4x59 0x{LENGTH}"},
        silent=(62, 90),
    ),
    Case(
        "FreshnessObjectiveMissed",
        "two months have not come",
        {'correnteza_source_periods_missing{source="bcb_sgs"}': during(60, 90, 2)},
        (76, 90),
        (70, 92),
    ),
    Case(
        "FreshnessObjectiveMissed",
        "a source without a calendar",
        {'correnteza_source_periods_missing{source="bcb_sgs"}': None},
        silent=(65, 90),
    ),
    Case(
        "NoLeader",
        "none of two leads",
        {LEADER % 9466: during(60, 80, 0, 1), LEADER % 9467: steady(0)},
        (66, 80),
        (63, 82),
    ),
    Case("NoLeader", "leadership moves", {LEADER % 9466: during(60, 62, 0, 1)}, silent=(61, 66)),
    Case(
        "NoLeader",
        "no worker answers",
        {LEADER % 9466: None, UP["schedule"]: steady(0)},
        silent=(30,),
        others=("TargetDown",),
    ),
    Case("TwoLeaders", "two lead", {LEADER % 9467: during(60, 80, 1)}, (66, 80), (63, 82)),
    Case("TwoLeaders", "both for a moment", {LEADER % 9467: during(60, 62, 1)}, silent=(61, 66)),
    # machine.yml
    *(Case("TargetDown", f"{job} is gone", {UP[job]: during(60, 70, 0, 1)}, (64, 75), (62, 84)) for job in UP),
    Case(
        "TargetDown",
        "one of two workers is gone",
        {UP["schedule"].replace("9466", "9467"): steady(0)},
        silent=(30, 120),
    ),
    Case("TargetDown", "a restart", {UP["stream"]: during(60, 61, 0, 1)}, silent=(60, 62, 66)),
    *(Case("TargetAbsent", f"{job} is not scraped", {UP[job]: gone(60, 70)}, (64, 74), (62, 84)) for job in UP),
    Case("TargetAbsent", "down is not absent", {UP["monitor"]: steady(0)}, silent=(2, 30), others=("TargetDown",)),
    *(
        Case("PartDown", f"{each} does not answer", {part(each): during(60, 70, 0, 1)}, (63, 80), (61, 90))
        for each in ("broker", "registry", "lake", "checkpoints", "disk", "schedule")
    ),
    Case("PartDown", "the driver, which has its own alert", {part("driver"): steady(0)}, silent=(30, 120)),
    Case("PartDown", "the monitor is away", {part("broker"): gone(60, 70)}, silent=(65, 75)),
    Case(
        "MonitorStalled",
        "it looks at nothing",
        {'correnteza_part_last_success_timestamp_seconds{part="disk"}': f"0+60x59 3600x29 5400+60x{LENGTH}"},
        (70, 88),
        (65, 104),
    ),
    Case(
        "MonitorStalled",
        "one part of two fails",
        {'correnteza_part_last_success_timestamp_seconds{part="lake"}': steady(0)},
        silent=(30, 120),
    ),
    Case("DiskAlmostFull", "5 % are free", {FREE: during(60, 70, 5e9, 50e9)}, (66, 75), (63, 84)),
    Case("DiskAlmostFull", "the disk is not known", {FREE: None, SIZE: None}, silent=(30, 120)),
    Case(
        "DiskWillFill", "20 GB and 2 GB less an hour", {FREE: f"40000000000-33000000x{LENGTH}"}, (540, 590), (120, 300)
    ),
    Case(
        "DiskWillFill",
        "it filled, and then was cleaned",
        {FREE: f"40000000000-33000000x{550} 60000000000x{LENGTH}"},
        (545,),
        (570,),
    ),
    Case("DiskWillFill", "much is left", {FREE: f"90000000000-33000000x{LENGTH}"}, silent=(300, 590)),
    Case("Watchdog", "always", {}, (0, 60, 590)),
)

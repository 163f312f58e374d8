"""Documents as a monitor serves them, and a day of history: as of the demo, in trouble, hostile, huge."""

import math
import random
from datetime import UTC, datetime

from monitoring.lag.status import bronze_table
from monitoring.proof.checks.gold_sql import DEFINITIONS
from schemas.contracts import load_all

NOW = datetime(2026, 11, 28, 17, 5, 40, tzinfo=UTC).timestamp()
PARTS = ("broker", "registry", "lake", "checkpoints", "disk", "schedule", "driver")
HOSTILE = """<script>alert(1)</script><img src=x onerror=alert(2)>"'&{{ 7*7 }}{% raw %}</style>]]>"""


def text(at):
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def line(layer, table, state="ok", records=0, seconds=0.0, newest=120.0, reason=None, hint=None):
    return {
        "layer": layer, "table": table, "source": f"{table}.v1", "state": state, "records_behind": records,
        "seconds_behind": seconds, "newest_event_at": None if newest is None else text(NOW - newest),
        "committed_batch": 41, "reason": reason, "hint": hint,
    }  # fmt: skip


def part(name, up=True, reason=None, hint=None, ago=4.0):
    return {"part": name, "up": up, "last_success_at": text(NOW - ago), "reason": reason, "hint": hint}


def source(name, outcomes, every=3600.0, state="known", **more):
    last = NOW - every * 0.4
    slots = [
        {"outcome": each, "slot_at": text(last - every * (len(outcomes) - 1 - index))}
        for index, each in enumerate(outcomes)
    ]
    return {
        "source": name, "state": state, "last_success_at": text(last), "next_slot_at": text(last + every),
        "overdue_slots": 0, "circuit_open": False, "periods_missing": 0, "outcomes": slots,
    } | more  # fmt: skip


def empty():
    """What a monitor serves before its first look."""
    return {"schema": 6, "at": text(NOW), "layers": [], "unreachable": [], "tables": [], "parts": [], "sources": [],
            "retention": [], "canary": {}}  # fmt: skip


def well(seed=7):
    """A pipeline with the demo's sources and tables, in which everything is fresh."""
    draw = random.Random(seed)
    contracts = [each for each in load_all().values() if not each.compacted]
    datasets = sorted(each.name for each in contracts if each.is_dataset)
    bronze = sorted(map(bronze_table, contracts))
    gold = sorted(definition.table for definition in DEFINITIONS)
    every = (
        [("bronze", name) for name in bronze] + [("silver", name) for name in datasets] + [("gold", n) for n in gold]
    )
    lines = [line(layer, table, newest=draw.uniform(60, 4000)) for layer, table in every]
    lines[len(bronze)] |= {"state": "behind", "records_behind": 214, "seconds_behind": 11.4}
    outcomes = [
        source(
            name,
            draw.choices(["no_news", "published"], [5, 1 + index % 3], k=24),
            every=draw.choice([900, 3600, 86400]),
        )
        for index, name in enumerate(datasets)
    ]
    outcomes[3]["outcomes"][9]["outcome"] = "throttled"
    outcomes[3]["outcomes"][10]["outcome"] = "covered"
    tables = [
        {"table": f"{layer}.{table}", "files": draw.randint(2, 60), "bytes": draw.randint(20_000, 90_000_000),
         "log_files": draw.randint(8, 160)}
        for layer, table in every
    ]  # fmt: skip
    kept = [{"table": name, "seconds_to_loss": None, "used_ratio": None} for name in bronze]
    kept[2] |= {"seconds_to_loss": 6.7 * 86400, "used_ratio": 0.04}
    return empty() | {
        "layers": lines, "tables": tables, "parts": [part(name) for name in PARTS], "sources": outcomes,
        "retention": kept,
        "canary_interval_seconds": 60,
        "canary": {stage: {"newest_at": text(NOW - age), "seconds": age}
                   for stage, age in (("bronze", 34.0), ("silver", 41.0), ("gold", 55.0))},
    }  # fmt: skip


def in_trouble():
    """The same with a table that is stopped, late ones, a failing source, and a registry that does not answer."""
    document = well()
    by_name = {f"{each['layer']}.{each['table']}": each for each in document["layers"]}
    by_name["silver.inmet_hourly"] |= {
        "state": "stopped", "records_behind": 8_785, "seconds_behind": 5_460.0,
        "reason": "its checkpoint names a table that is no more: bronze.inmet_hourly was recreated at 15:31",
        "hint": "correnteza checkpoint adopt silver.inmet_hourly",
    }  # fmt: skip
    for name in ("gold.external_factors_daily", "gold.fact_weather_observation"):
        if name in by_name:
            by_name[name] |= {"state": "behind", "records_behind": 1_204, "seconds_behind": 1_310.0}
    by_name["bronze.openmeteo_forecast"] |= {"state": "behind", "records_behind": 24, "seconds_behind": 40.0}
    document["parts"][1] |= {
        "up": False, "last_success_at": text(NOW - 372), "hint": "correnteza up",
        "reason": "http://127.0.0.1:8081 refused the connection",
    }  # fmt: skip
    sgs = next(each for each in document["sources"] if each["source"] == "bcb_sgs")
    sgs |= {"circuit_open": True, "last_success_at": text(NOW - 11_000)}
    for slot, outcome in zip(sgs["outcomes"][-6:], ["failed"] * 4 + ["circuit_open"] * 2, strict=True):
        slot["outcome"] = outcome
    next(each for each in document["sources"] if each["source"] == "ibge_sidra")["periods_missing"] = 1
    return document


def huge(tables=60):
    """So many tables in each layer, all of them late, and as many sources."""
    document = well()
    lines = [
        line(layer, f"dataset_of_some_publisher_{number:02}", "behind", 1000 + number, 700.0 + number)
        for layer in ("bronze", "silver", "gold")
        for number in range(tables)
    ]
    return document | {
        "layers": lines,
        "sources": [source(f"source_of_some_publisher_{number:02}", ["no_news"] * 24) for number in range(tables)],
        "tables": [{"table": f"{each['layer']}.{each['table']}", "files": 3, "bytes": 10**7, "log_files": 9}
                   for each in lines],
        "retention": [{"table": each["table"], "seconds_to_loss": 3600.0, "used_ratio": 0.5}
                      for each in lines[:tables]],
    }  # fmt: skip


def hostile():
    """Every text is an attempt at an injection."""

    def spoilt(found, key=None):
        if isinstance(found, dict):
            return {name: spoilt(value, name) for name, value in found.items()}
        if isinstance(found, list):
            return [spoilt(each, key) for each in found]
        kept = key in ("layer", "state", "stage") or (key or "").endswith("at")
        return HOSTILE + found if isinstance(found, str) and not kept else found

    document = spoilt(in_trouble())
    document["layers"][3] |= {"layer": HOSTILE, "state": HOSTILE, "newest_event_at": HOSTILE}
    document["sources"][2] |= {"state": HOSTILE, "next_slot_at": HOSTILE}
    document["canary"] = {HOSTILE: {"newest_at": HOSTILE, "seconds": 1.0}}
    return document


def history(document, seed=7, every=60.0):
    """A day: little lag with a few waits, an hour and a half without measurements, and events that arrive and age."""
    draw = random.Random(seed)
    start, gap = NOW - 86_400, (NOW - 8.5 * 3600, NOW - 7 * 3600)
    found = {"lag_seconds": {}, "freshness_seconds": {}}
    for each in document["layers"]:
        name = f"{each['layer']}.{each['table']}"
        now, period = each["seconds_behind"] or 0.0, draw.uniform(2, 9) * 3600
        peaks = [(draw.uniform(start, NOW - 7200), draw.expovariate(1 / 90), draw.uniform(600, 2400)) for _ in range(5)]
        lag, fresh = [], []
        for index in range(int(86_400 / every) + 1):
            at = start + index * every
            if gap[0] < at < gap[1]:
                continue
            value = sum(height * math.exp(-(((at - middle) / wide) ** 2)) for middle, height, wide in peaks)
            if now:  # it has grown to what it is
                value += max(0.0, now - (NOW - at))
            lag.append([at, value if value > 1 else 0.0])
            fresh.append([at, (at - start + 0.7 * period) % period])
        found["lag_seconds"][name], found["freshness_seconds"][name] = lag, fresh
    return found

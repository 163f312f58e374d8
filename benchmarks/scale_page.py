"""docs/scale.md, and the tables of any workload: `make scale`."""

from collections.abc import Callable, Iterator

from benchmarks.scale_costs import COSTS
from benchmarks.scale_model import Needs, What, Workload, needs

FACTORS = (1, 10, 100, 1_000)

_TOP = """# What more rows and more topics need

Written by `make scale` from `benchmarks/scale_costs.py` and `benchmarks/scale_model.py`; a test compares both. It is a
calculation: nothing here was run at 10, 100 or 1,000 times the load. It multiplies unit costs that were measured, each
on the machine that is named beside it. Give it your own numbers:

```sh
.venv/bin/python -m benchmarks.scale --help     # every number, and what it means
.venv/bin/python -m benchmarks.scale --rows-per-day 5e7 --topics 40 --in-store
make scale FILE=mine.toml                       # the same from a file, with unit costs of your own
```

## What was measured
A cost without a figure counts as nothing, so the sums are too small without it. Measure it, and give it in `[costs]`.
Each figure is of one run on a busy machine: take them as magnitudes.
"""

_HOW = """## How to read the tables
* **cores** are those of all drivers, on the average of a day. Most go into batches: in the sum a batch costs the
  same, whether it has ten rows or thousands, and beside it each row costs what it costs in large batches. So quiet
  topics and longer intervals save cores, and few rows per batch do not.
* **drivers** and **pipelines**: a table has one writer ([ADR 1](adr/0001-one-driver-owns-a-table.md)). `correnteza run`
  takes all layers or one, so a pipeline has three drivers at most; how evenly layers divide the work was not measured.
  More than three drivers mean more pipelines. Each has its own `topic_prefix`, `home`, `lake` and sources
  (`schedule --source`), and gold joins only what one pipeline has.
* **partitions** of the largest topic are those that its peak needs. They cannot be added to a topic with rows, since
  keys would move: declare them in the contract before the topic is made.
* **requests** and **dollars** are those of commits, and of what is stored after `kept_days`. Reads come on
  top: `read_get` was not measured.
* **rebuild** is silver of the largest topic, of all kept days, with all cores of one machine.
* **first limit** is the one that is used up most. Above 100% the load does not fit before it is moved.

## What was not measured
More than one broker, machine or driver; a network between them; executors of a cluster; queries that read while rows
arrive; more queries in a driver than the table says. The figures come from one machine with two cores that others used
too: measure your own before you buy.
"""

_COLUMNS: dict[str, Callable[[Needs], float]] = {
    "cores": lambda need: need.cores,
    "drivers": lambda need: need.drivers,
    "pipelines": lambda need: need.pipelines,
    "queries": lambda need: need.queries,
    "pollers": lambda need: need.pollers,
    "largest topic, partitions": lambda need: need.largest_partitions,
    "all partitions": lambda need: need.partitions,
    "commits a day": lambda need: need.commits_per_day,
    "files in Delta logs": lambda need: need.log_files,
    "Kafka, GB": lambda need: need.kafka_gb,
    "lake, GB a day": lambda need: need.lake_gb_per_day,
    "lake, GB in all": lambda need: need.lake_gb,
    "rebuild, hours": lambda need: need.rebuild_hours,
    "store requests a day": lambda need: need.requests_per_day,
    "dollars a month": lambda need: need.dollars,
}


def page() -> str:
    """The whole page, of the default workload."""
    load = Workload()
    steady = Workload(rows_per_day=86_400_000, topics=1, busy_topics=1, largest_share=1, peak_factor=1)
    return "\n".join(
        [
            _TOP,
            *_costs(),
            "## The example",
            "",
            *_given(load),
            tables(load),
            "### The same with the lake in an object store",
            "",
            tables(load.model_copy(update={"in_store": True})),
            "### The same in a store, with ten times longer intervals",
            "",
            tables(load.model_copy(update={"in_store": True, "interval_factor": 10})),
            "### A check: the load that was measured",
            "",
            f"1,000 rows a second on one topic were measured at {COSTS['busy_topic'].value} cores; the sum gives "
            f"{needs(steady).cores:.2f}, the idle driver's among them.",
            "",
            "## The limits",
            "",
            limits(load),
            _HOW,
        ]
    )


def tables(load: Workload) -> str:
    """What a workload and its multiples need, as Markdown."""
    return "\n".join([*_multiples(load, "rows"), *_multiples(load, "topics"), *_left_out(load)])


def limits(load: Workload) -> str:
    """Each limit, and the setting that moves it."""
    rows = [f"| {each.name} | {each.moved_by} |" for each in sorted(needs(load).limits, key=lambda each: each.name)]
    return "\n".join(["| limit | what moves it |", "|---|---|", *rows, ""])


def _multiples(load: Workload, what: What) -> Iterator[str]:
    found = [needs(load.times(what, factor)) for factor in FACTORS]
    more = "rows in the same topics" if what == "rows" else "topics with the same rows each"
    yield f"| {more} | " + " | ".join(f"{factor:,} ×" for factor in FACTORS) + " |"
    yield "|---|" + "---|" * len(FACTORS)
    for name, value in _COLUMNS.items():
        if load.in_store or name not in ("store requests a day", "dollars a month"):
            yield f"| {name} | " + " | ".join(_amount(value(need)) for need in found) + " |"
    yield (
        "| **first limit** | "
        + " | ".join(f"{need.limits[0].name}: {need.limits[0].share:,.0%}" for need in found)
        + " |"
    )
    full = [", ".join(each.name for each in need.limits[1:] if each.share > 1) or "-" for need in found]
    yield "| also beyond 100% | " + " | ".join(full) + " |"
    yield ""


def _left_out(load: Workload) -> Iterator[str]:
    if load.not_counted:
        yield f"Not counted, because not measured: {', '.join(f'`{name}`' for name in load.not_counted)}."
        yield ""


def _costs() -> Iterator[str]:
    yield "| name | cost | unit | of what | source | machine |"
    yield "|---|---|---|---|---|---|"
    for name, cost in COSTS.items():
        value = "**not measured**" if cost.value is None else f"{cost.value:,g}"
        source = "-" if cost.value is None else cost.source
        yield f"| `{name}` | {value} | {cost.unit} | {cost.what} | {source} | {cost.machine if cost.value else '-'} |"
    yield ""


def _given(load: Workload) -> Iterator[str]:
    yield "| given | value | |"
    yield "|---|---|---|"
    for name, field in Workload.model_fields.items():
        if name != "costs":
            value = getattr(load, name)
            yield f"| `{name}` | {value if isinstance(value, bool) else f'{value:,}'} | {field.description} |"
    yield ""


def _amount(value: float) -> str:
    """Three digits, so that a table shows no precision that the costs do not have."""
    if isinstance(value, int) and value < 1_000_000:
        return f"{value:,}"
    if value >= 1_000_000:
        return f"{value / 1e6:,.3g} million" if value < 1e9 else f"{value / 1e9:,.3g} billion"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

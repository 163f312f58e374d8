"""What the dashboards show: rows of panels, each with its question in words and its PromQL.

The dashboard for Grafana and the console page of Prometheus are both written from this list.
"""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["short", "s", "bytes", "percentunit", "Bps"]
Kind = Literal["stat", "timeseries", "table"]


@dataclass(frozen=True)
class Query:
    """One expression.

    Attributes:
        legend: Grafana's form; labels stand as `{{label}}`.
        empty_when: why a healthy pipeline may have no value for it; empty where it always has one.
        unit: where it differs from its panel's.
    """

    expr: str
    legend: str = ""
    empty_when: str = ""
    unit: Unit | None = None


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        says: what a person reads from it, and what is bad.
        labels: of its series, in the order of a table's columns.
        bad_above: a threshold from which on a value is marked; None where there is none.
    """

    title: str
    says: str
    kind: Kind
    unit: Unit
    labels: tuple[str, ...]
    queries: tuple[Query, ...]
    width: int = 12
    bad_above: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels under one title; `name` is where alerts' `dashboard_url` leads to."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def _quantile(metric: str, by: str, window: str) -> str:
    """The 95th percentile; nothing instead of NaN where nothing was measured within the window."""
    return f"histogram_quantile(0.95, sum by ({by}, le) (rate({metric}_bucket[{window}]))) >= 0"


_TABLE = "{{layer}}.{{table}}"
_NOTHING_WAITS = "nothing waits"
_NO_BATCH = "no batch within the window"

ANSWER = Row(
    "answer",
    "Is everything there and fresh?",
    (
        Panel("Alerts that fire", "By name; 0 when there is none. Each has a heading in the runbook.", "stat", "short",
              ("alertname", "severity"), width=6, bad_above=1, queries=(
              Query('count by (alertname, severity) (ALERTS{alertstate="firing",alertname!="Watchdog"}) or vector(0)',
                    "{{alertname}}"),)),
        Panel("Queries that stand still", "Stopped, stalled, or their topic was made anew: `correnteza status` says why.",
              "stat", "short", (), width=6, bad_above=1, queries=(
              Query('count(correnteza_query_state{state=~"stopped|stalled|topic_replaced"} == 1) or vector(0)', "queries"),)),
        Panel("Seconds behind, by layer", "Age of the oldest record that a layer has not read yet; the worst table of each layer.",
              "stat", "s", ("layer",), width=6, bad_above=900, queries=(
              Query("max by (layer) (correnteza_lag_seconds)", "{{layer}}"),)),
        Panel("Age of the newest event, by layer", "How long ago the newest thing happened that a layer knows of.",
              "stat", "s", ("layer",), width=6, queries=(
              Query("time() - max by (layer) (correnteza_newest_event_timestamp_seconds)", "{{layer}}",
                    empty_when="before the first row"),)),
        Panel("From publication to the layer", "Canary records: 95 of 100 took at most so long.", "timeseries", "s", ("stage",),
              width=8, queries=(Query(_quantile("correnteza_canary_latency_seconds", "stage", "15m"), "{{stage}}",
                                      empty_when="no canary within the window"),)),
        Panel("Age of the newest canary record", "A layer that it does not reach is broken.", "timeseries", "s", ("stage",),
              width=8, bad_above=600, queries=(
              Query("time() - max by (stage) (correnteza_canary_newest_timestamp_seconds)", "{{stage}}",
                    empty_when="before the first canary"),)),
        Panel("Processes and parts", "1 answers, 0 does not. Parts are what the monitor looks at.", "table", "short",
              ("job", "instance", "part"), width=8, queries=(
              Query('up{job=~"monitor|stream|schedule"}', "{{job}} {{instance}}"),
              Query("correnteza_up", "{{part}}"))),
        Panel("Release", "What runs.", "table", "short", ("version", "python"), width=24, queries=(
              Query("correnteza_build_info", "{{version}}"),)),
    ),
)  # fmt: skip

SOURCES = Row(
    "sources",
    "Sources",
    (
        Panel("Last success", "How long ago a poll of the source last ended well, with news or without.", "table", "s",
              ("source",), queries=(
              Query("time() - max by (source) (correnteza_source_last_success_timestamp_seconds)", "{{source}}",
                    empty_when="before the first poll"),)),
        Panel("Next slot", "How long until the source is due again.", "table", "s", ("source",), queries=(
              Query("max by (source) (correnteza_source_next_slot_timestamp_seconds) - time()", "{{source}}"),)),
        Panel("Slots overdue", "Due, and without an outcome.", "timeseries", "short", ("source",), width=8, bad_above=3,
              queries=(Query("max by (source) (correnteza_source_overdue_slots)", "{{source}}"),)),
        Panel("Oldest overdue slot", "How long it has been due.", "timeseries", "s", ("source",), width=8, queries=(
              Query("time() - min by (source) (correnteza_source_oldest_overdue_slot_timestamp_seconds)", "{{source}}",
                    empty_when="no slot is overdue"),)),
        Panel("Periods missing", "Expected by the publication calendar, and not arrived.", "timeseries", "short", ("source",),
              width=8, bad_above=1, queries=(
              Query("max by (source) (correnteza_source_periods_missing)", "{{source}}",
                    empty_when="no source with a calendar has rows yet"),)),
        Panel("Circuits open", "1: the source failed again and again, and is left alone for a while.", "timeseries", "short",
              ("source",), bad_above=1, queries=(
              Query("max by (source) (correnteza_source_circuit_open)", "{{source}}"),)),
        Panel("Polls an hour, by outcome", "failed, throttled and invalid are bad.", "timeseries", "short",
              ("source", "outcome"), queries=(
              Query("sum by (source, outcome) (increase(correnteza_polls_total[1h])) > 0", "{{source}} {{outcome}}",
                    empty_when="no poll within the window"),)),
        Panel("Poll duration", "95 of 100 polls took at most so long.", "timeseries", "s", ("source",), queries=(
              Query(_quantile("correnteza_poll_duration_seconds", "source", "1h"), "{{source}}",
                    empty_when="no poll within the window"),)),
        Panel("Bytes fetched", "Bodies of answers.", "timeseries", "Bps", ("source",), queries=(
              Query("sum by (source) (rate(correnteza_fetched_bytes_total[15m]))", "{{source}}"),)),
        Panel("Records published", "A second, over a quarter of an hour.", "timeseries", "short", ("source",), queries=(
              Query("sum by (source) (rate(correnteza_published_records_total[15m]))", "{{source}}"),)),
        Panel("Leaders", "Of all schedule workers exactly one leads.", "timeseries", "short", (), queries=(
              Query("sum(correnteza_leader)", "leaders"),)),
    ),
)  # fmt: skip

KAFKA = Row(
    "kafka",
    "Kafka",
    (
        Panel("Seconds behind, bronze", "Age of the oldest record that bronze has not read.", "timeseries", "s", ("table",),
              queries=(Query('max by (table) (correnteza_lag_seconds{layer="bronze"})', "{{table}}"),)),
        Panel("Records behind, bronze", "Offsets that wait, markers of transactions included.", "timeseries", "short", ("table",),
              queries=(Query('max by (table) (correnteza_lag_records{layer="bronze"})', "{{table}}"),)),
        Panel("Seconds to loss", "How long Kafka keeps the oldest unread record at least. Below a day somebody must act.",
              "timeseries", "s", ("table",), width=8, queries=(
              Query("min by (table) (correnteza_retention_seconds_to_loss)", "{{table}}", empty_when=_NOTHING_WAITS),)),
        Panel("Share of retention used", "1 is loss.", "timeseries", "percentunit", ("table",), width=8, bad_above=0.8, queries=(
              Query("max by (table) (correnteza_retention_used_ratio)", "{{table}}", empty_when=_NOTHING_WAITS),)),
        Panel("Records lost", "Accepted as lost since the beginning: `ops.gaps`.", "timeseries", "short", ("dataset",), width=8,
              bad_above=1, queries=(Query("max by (dataset) (correnteza_lost_records_total)", "{{dataset}}"),)),
        Panel("Age of the oldest unread record", "Of every layer.", "timeseries", "s", ("layer", "table"), queries=(
              Query("time() - min by (layer, table) (correnteza_oldest_unread_timestamp_seconds)", _TABLE,
                    empty_when=_NOTHING_WAITS),)),
        Panel("Partitions in trouble", "Without a leader; with replicas that do not keep up.", "timeseries", "short", (),
              bad_above=1, queries=(
              Query("max(correnteza_broker_offline_partitions)", "offline"),
              Query("max(correnteza_broker_under_replicated_partitions)", "under-replicated"))),
    ),
)  # fmt: skip

LAYERS = Row(
    "layers",
    "Layers",
    (
        Panel("State of each query", "ok and behind are well; not_started is well before the first record.", "table", "short",
              ("layer", "table", "state"), queries=(
              Query("max by (layer, table, state) (correnteza_query_state) == 1", "{{layer}}.{{table}} {{state}}"),)),
        Panel("Seconds behind, silver and gold", "Age of the oldest row that the table has not taken up.", "timeseries", "s",
              ("layer", "table"), queries=(
              Query('max by (layer, table) (correnteza_lag_seconds{layer=~"silver|gold"})', _TABLE),)),
        Panel("Batch duration, by phase", "95 of 100 batches with rows took at most so long.", "timeseries", "s",
              ("layer", "phase"), queries=(
              Query(_quantile("correnteza_batch_duration_seconds", "layer, phase", "15m"), "{{layer}} {{phase}}",
                    empty_when=_NO_BATCH),)),
        Panel("Rows a second, by outcome", "What became of rows. quarantined and conflicting want a look.", "timeseries", "short",
              ("layer", "outcome"), queries=(
              Query("sum by (layer, outcome) (rate(correnteza_batch_rows_total[5m]))", "{{layer}} {{outcome}}"),)),
        Panel("Since the last commit", "Long ago is well where nothing waits.", "table", "s", ("layer", "table"), queries=(
              Query("time() - max by (layer, table) (correnteza_query_last_commit_timestamp_seconds)", _TABLE,
                    empty_when="before the first batch"),)),
        Panel("Since the query last ended a batch or found nothing", "By the driver itself.", "table", "s", ("layer", "table"),
              queries=(Query("time() - max by (layer, table) (correnteza_query_last_success_timestamp_seconds)", _TABLE),)),
        Panel("Batches an hour", "Committed.", "timeseries", "short", ("layer", "table"), queries=(
              Query("max by (layer, table) (delta(correnteza_query_committed_batch[1h]))", _TABLE,
                    empty_when="before the first batch"),)),
        Panel("Restarts an hour", "After a failure or a stall.", "timeseries", "short", ("layer", "table"), bad_above=3, queries=(
              Query("sum by (layer, table) (increase(correnteza_query_restarts_total[1h]))", _TABLE),)),
    ),
)  # fmt: skip

LAKE = Row(
    "lake",
    "Lake and maintenance",
    (
        Panel("Data files", "Many small ones make reading slow.", "timeseries", "short", ("layer", "table"), width=8, queries=(
              Query("max by (layer, table) (correnteza_table_files)", _TABLE, empty_when="before the first table"),)),
        Panel("Bytes", "Of the present versions.", "timeseries", "bytes", ("layer", "table"), width=8, queries=(
              Query("max by (layer, table) (correnteza_table_bytes)", _TABLE, empty_when="before the first table"),)),
        Panel("Log files", "Of the Delta logs.", "timeseries", "short", ("layer", "table"), width=8, queries=(
              Query("max by (layer, table) (correnteza_table_log_files)", _TABLE, empty_when="before the first table"),)),
        Panel("Versions an hour", "Commits to a table, maintenance included.", "timeseries", "short", ("layer", "table"), queries=(
              Query("max by (layer, table) (delta(correnteza_table_version[1h]))", _TABLE,
                    empty_when="before the first table"),)),
        Panel("Dead letters open", "Records that wait for a person: `correnteza dead-letters list`.", "timeseries", "short",
              ("dataset",), queries=(Query("max by (dataset) (correnteza_dead_letters_open)", "{{dataset}}"),)),
        Panel("Expectations broken, an hour", "Rows that broke a rule.", "timeseries", "short", ("dataset",), width=8, queries=(
              Query("sum by (dataset) (increase(correnteza_expectations_broken_total[1h]))", "{{dataset}}"),)),
        Panel("Since the last round of maintenance", "In which every table was looked after.", "timeseries", "s", (), width=8,
              queries=(Query("time() - max(correnteza_maintenance_last_success_timestamp_seconds)", "maintenance",
                             empty_when="before the first round"),)),
        Panel("Files removed, an hour", "By maintenance.", "timeseries", "short", (), width=8, queries=(
              Query("sum(increase(correnteza_maintenance_files_removed_total[1h]))", "files"),)),
    ),
)  # fmt: skip

MACHINE = Row(
    "machine",
    "Machine",
    (
        Panel("Processor", "Cores that each Python process uses; the driver's JVM is not in it.", "timeseries", "short", ("job",),
              width=8, queries=(
              Query('sum by (job) (rate(process_cpu_seconds_total{job=~"monitor|stream|schedule"}[5m]))', "{{job}}"),)),
        Panel("Memory", "Resident, of each Python process.", "timeseries", "bytes", ("job",), width=8, queries=(
              Query('sum by (job) (process_resident_memory_bytes{job=~"monitor|stream|schedule"})', "{{job}}"),)),
        Panel("Open files", "Share of those that a process may have open.", "timeseries", "percentunit", ("job",), width=8,
              bad_above=0.8, queries=(
              Query('max by (job) (process_open_fds{job=~"monitor|stream|schedule"} / process_max_fds)', "{{job}}"),)),
        Panel("Disk of the lake, free", "Now, and in a day as the last six hours went.", "timeseries", "bytes", (), queries=(
              Query("min(correnteza_disk_free_bytes)", "free"),
              Query("min(predict_linear(correnteza_disk_free_bytes[6h], 24 * 3600))", "in a day"),
              Query("max(correnteza_disk_size_bytes)", "size"))),
        Panel("Disk of the lake, share free", "Below 10 % somebody must act.", "timeseries", "percentunit", (), queries=(
              Query("min(correnteza_disk_free_bytes / correnteza_disk_size_bytes)", "free"),)),
        Panel("How long the monitor's looks take", "By part.", "timeseries", "s", ("part",), queries=(
              Query("max by (part) (correnteza_sample_duration_seconds)", "{{part}}"),)),
        Panel("Since a part last answered", "By part.", "timeseries", "s", ("part",), queries=(
              Query("time() - max by (part) (correnteza_part_last_success_timestamp_seconds)", "{{part}}"),)),
    ),
)  # fmt: skip

ROWS = (ANSWER, SOURCES, KAFKA, LAYERS, LAKE, MACHINE)


def panels() -> tuple[Panel, ...]:
    """All of them, in their order."""
    return tuple(panel for row in ROWS for panel in row.panels)


def queries() -> tuple[Query, ...]:
    """Every expression."""
    return tuple(query for panel in panels() for query in panel.queries)

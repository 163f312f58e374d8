"""Panels of the inputs: the sources and Kafka."""

from monitoring.dashboards.model import NOTHING_WAITS, TABLE, Panel, Query, Row, quantile

SOURCES = Row(
    "sources",
    "Sources",
    (
        Panel(
            "Last success",
            "Time since a poll of the source last succeeded, with new rows or without.",
            "table",
            "s",
            ("source",),
            queries=(
                Query(
                    "time() - max by (source) (correnteza_source_last_success_timestamp_seconds)",
                    "{{source}}",
                    empty_when="before the first poll",
                ),
            ),
        ),
        Panel(
            "Next slot",
            "Time until the source is due again.",
            "table",
            "s",
            ("source",),
            queries=(Query("max by (source) (correnteza_source_next_slot_timestamp_seconds) - time()", "{{source}}"),),
        ),
        Panel(
            "Slots overdue",
            "Slots that are due and have no outcome.",
            "timeseries",
            "short",
            ("source",),
            width=8,
            bad_above=3,
            queries=(Query("max by (source) (correnteza_source_overdue_slots)", "{{source}}"),),
        ),
        Panel(
            "Oldest overdue slot",
            "Time since it was due.",
            "timeseries",
            "s",
            ("source",),
            width=8,
            queries=(
                Query(
                    "time() - min by (source) (correnteza_source_oldest_overdue_slot_timestamp_seconds)",
                    "{{source}}",
                    empty_when="no slot is overdue",
                ),
            ),
        ),
        Panel(
            "Periods missing",
            "Periods that the publication calendar expected and that have not arrived.",
            "timeseries",
            "short",
            ("source",),
            width=8,
            bad_above=1,
            queries=(
                Query(
                    "max by (source) (correnteza_source_periods_missing)",
                    "{{source}}",
                    empty_when="no source with a calendar has rows yet",
                ),
            ),
        ),
        Panel(
            "Circuits open",
            "1: the source failed repeatedly and is not polled for a while.",
            "timeseries",
            "short",
            ("source",),
            bad_above=1,
            queries=(Query("max by (source) (correnteza_source_circuit_open)", "{{source}}"),),
        ),
        Panel(
            "Polls an hour, by outcome",
            "failed, throttled and invalid are bad.",
            "timeseries",
            "short",
            ("source", "outcome"),
            queries=(
                Query(
                    "sum by (source, outcome) (increase(correnteza_polls_total[1h])) > 0",
                    "{{source}} {{outcome}}",
                    empty_when="no poll within the window",
                ),
            ),
        ),
        Panel(
            "Poll duration",
            "95th percentile of the polls.",
            "timeseries",
            "s",
            ("source",),
            queries=(
                Query(
                    quantile("correnteza_poll_duration_seconds", "source", "1h"),
                    "{{source}}",
                    empty_when="no poll within the window",
                ),
            ),
        ),
        Panel(
            "Bytes fetched",
            "Bytes of answers per second.",
            "timeseries",
            "Bps",
            ("source",),
            queries=(Query("sum by (source) (rate(correnteza_fetched_bytes_total[15m]))", "{{source}}"),),
        ),
        Panel(
            "Records published",
            "Per second, averaged over 15 minutes.",
            "timeseries",
            "short",
            ("source",),
            queries=(Query("sum by (source) (rate(correnteza_published_records_total[15m]))", "{{source}}"),),
        ),
        Panel(
            "Leaders",
            "Exactly one of the schedule workers must be the leader.",
            "timeseries",
            "short",
            (),
            queries=(Query("sum(correnteza_leader)", "leaders"),),
        ),
    ),
)

KAFKA = Row(
    "kafka",
    "Kafka",
    (
        Panel(
            "Seconds behind, bronze",
            "Age of the oldest record that bronze has not read.",
            "timeseries",
            "s",
            ("table",),
            queries=(Query('max by (table) (correnteza_lag_seconds{layer="bronze"})', "{{table}}"),),
        ),
        Panel(
            "Records behind, bronze",
            "Offsets that wait, including transaction markers.",
            "timeseries",
            "short",
            ("table",),
            queries=(Query('max by (table) (correnteza_lag_records{layer="bronze"})', "{{table}}"),),
        ),
        Panel(
            "Seconds to loss",
            "Least time until Kafka removes the oldest unread record. Act if it is below a day.",
            "timeseries",
            "s",
            ("table",),
            width=8,
            queries=(
                Query("min by (table) (correnteza_retention_seconds_to_loss)", "{{table}}", empty_when=NOTHING_WAITS),
            ),
        ),
        Panel(
            "Share of retention used",
            "At 1 records are lost.",
            "timeseries",
            "percentunit",
            ("table",),
            width=8,
            bad_above=0.8,
            queries=(Query("max by (table) (correnteza_retention_used_ratio)", "{{table}}", empty_when=NOTHING_WAITS),),
        ),
        Panel(
            "Records lost",
            "Records that were accepted as lost so far: `ops.gaps`.",
            "timeseries",
            "short",
            ("dataset",),
            width=8,
            bad_above=1,
            queries=(Query("max by (dataset) (correnteza_lost_records_total)", "{{dataset}}"),),
        ),
        Panel(
            "Age of the oldest unread record",
            "In each layer.",
            "timeseries",
            "s",
            ("layer", "table"),
            queries=(
                Query(
                    "time() - min by (layer, table) (correnteza_oldest_unread_timestamp_seconds)",
                    TABLE,
                    empty_when=NOTHING_WAITS,
                ),
            ),
        ),
        Panel(
            "Open transactions",
            "How long one has kept the newest records of a topic from readers. A broker ends it after 15 minutes.",
            "timeseries",
            "s",
            ("dataset",),
            bad_above=900,
            queries=(Query("max by (dataset) (correnteza_open_transaction_seconds)", "{{dataset}}"),),
        ),
        Panel(
            "Partitions in trouble",
            "Partitions without a leader (offline), or with replicas that lag (under-replicated).",
            "timeseries",
            "short",
            (),
            bad_above=1,
            queries=(
                Query("max(correnteza_broker_offline_partitions)", "offline"),
                Query("max(correnteza_broker_under_replicated_partitions)", "under-replicated"),
            ),
        ),
    ),
)

"""Panels of the inputs: the sources and Kafka."""

from monitoring.dashboards.model import NOTHING_WAITS, TABLE, Panel, Query, Row, quantile

SOURCES = Row(
    "sources",
    "Sources",
    (
        Panel(
            "Last success",
            "How long ago a poll of the source last ended well, with news or without.",
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
            "How long until the source is due again.",
            "table",
            "s",
            ("source",),
            queries=(Query("max by (source) (correnteza_source_next_slot_timestamp_seconds) - time()", "{{source}}"),),
        ),
        Panel(
            "Slots overdue",
            "Due, and without an outcome.",
            "timeseries",
            "short",
            ("source",),
            width=8,
            bad_above=3,
            queries=(Query("max by (source) (correnteza_source_overdue_slots)", "{{source}}"),),
        ),
        Panel(
            "Oldest overdue slot",
            "How long it has been due.",
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
            "Expected by the publication calendar, and not arrived.",
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
            "1: the source failed again and again, and is left alone for a while.",
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
            "95 of 100 polls took at most so long.",
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
            "Bodies of answers.",
            "timeseries",
            "Bps",
            ("source",),
            queries=(Query("sum by (source) (rate(correnteza_fetched_bytes_total[15m]))", "{{source}}"),),
        ),
        Panel(
            "Records published",
            "A second, over a quarter of an hour.",
            "timeseries",
            "short",
            ("source",),
            queries=(Query("sum by (source) (rate(correnteza_published_records_total[15m]))", "{{source}}"),),
        ),
        Panel(
            "Leaders",
            "Of all schedule workers exactly one leads.",
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
            "Offsets that wait, markers of transactions included.",
            "timeseries",
            "short",
            ("table",),
            queries=(Query('max by (table) (correnteza_lag_records{layer="bronze"})', "{{table}}"),),
        ),
        Panel(
            "Seconds to loss",
            "How long Kafka keeps the oldest unread record at least. Below a day somebody must act.",
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
            "1 is loss.",
            "timeseries",
            "percentunit",
            ("table",),
            width=8,
            bad_above=0.8,
            queries=(Query("max by (table) (correnteza_retention_used_ratio)", "{{table}}", empty_when=NOTHING_WAITS),),
        ),
        Panel(
            "Records lost",
            "Accepted as lost since the beginning: `ops.gaps`.",
            "timeseries",
            "short",
            ("dataset",),
            width=8,
            bad_above=1,
            queries=(Query("max by (dataset) (correnteza_lost_records_total)", "{{dataset}}"),),
        ),
        Panel(
            "Age of the oldest unread record",
            "Of every layer.",
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
            "Partitions in trouble",
            "Without a leader; with replicas that do not keep up.",
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

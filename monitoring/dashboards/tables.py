"""Panels of the layers, the lake and the machine."""

from monitoring.dashboards.model import NO_BATCH, TABLE, Panel, Query, Row, quantile

LAYERS = Row(
    "layers",
    "Layers",
    (
        Panel(
            "State of each query",
            "ok and behind are good; not_started is good before the first record.",
            "table",
            "short",
            ("layer", "table", "state"),
            queries=(
                Query("max by (layer, table, state) (correnteza_query_state) == 1", "{{layer}}.{{table}} {{state}}"),
            ),
        ),
        Panel(
            "Seconds behind, silver and gold",
            "Age of the oldest row that the query has not read.",
            "timeseries",
            "s",
            ("layer", "table"),
            queries=(Query('max by (layer, table) (correnteza_lag_seconds{layer=~"silver|gold"})', TABLE),),
        ),
        Panel(
            "Batch duration, by phase",
            "95th percentile of batches with rows.",
            "timeseries",
            "s",
            ("layer", "phase"),
            queries=(
                Query(
                    quantile("correnteza_batch_duration_seconds", "layer, phase", "15m"),
                    "{{layer}} {{phase}}",
                    empty_when=NO_BATCH,
                ),
            ),
        ),
        Panel(
            "Rows a second, by outcome",
            "Outcomes of rows. Look at quarantined and conflicting ones.",
            "timeseries",
            "short",
            ("layer", "outcome"),
            queries=(
                Query("sum by (layer, outcome) (rate(correnteza_batch_rows_total[5m]))", "{{layer}} {{outcome}}"),
            ),
        ),
        Panel(
            "Since the last commit",
            "A long time is good if nothing waits.",
            "table",
            "s",
            ("layer", "table"),
            queries=(
                Query(
                    "time() - max by (layer, table) (correnteza_query_last_commit_timestamp_seconds)",
                    TABLE,
                    empty_when="before the first batch",
                ),
            ),
        ),
        Panel(
            "Since the query last ended a batch or found nothing",
            "As the driver reports it.",
            "table",
            "s",
            ("layer", "table"),
            queries=(Query("time() - max by (layer, table) (correnteza_query_last_success_timestamp_seconds)", TABLE),),
        ),
        Panel(
            "Batches an hour",
            "Committed batches.",
            "timeseries",
            "short",
            ("layer", "table"),
            queries=(
                Query(
                    "max by (layer, table) (delta(correnteza_query_committed_batch[1h]))",
                    TABLE,
                    empty_when="before the first batch",
                ),
            ),
        ),
        Panel(
            "Restarts an hour",
            "After a failure or a stall.",
            "timeseries",
            "short",
            ("layer", "table"),
            bad_above=3,
            queries=(Query("sum by (layer, table) (increase(correnteza_query_restarts_total[1h]))", TABLE),),
        ),
    ),
)

LAKE = Row(
    "lake",
    "Lake and maintenance",
    (
        Panel(
            "Data files",
            "Many small files make reading slow.",
            "timeseries",
            "short",
            ("layer", "table"),
            width=8,
            queries=(
                Query("max by (layer, table) (correnteza_table_files)", TABLE, empty_when="before the first table"),
            ),
        ),
        Panel(
            "Bytes",
            "Size of the present versions.",
            "timeseries",
            "bytes",
            ("layer", "table"),
            width=8,
            queries=(
                Query("max by (layer, table) (correnteza_table_bytes)", TABLE, empty_when="before the first table"),
            ),
        ),
        Panel(
            "Log files",
            "Files in the Delta logs.",
            "timeseries",
            "short",
            ("layer", "table"),
            width=8,
            queries=(
                Query("max by (layer, table) (correnteza_table_log_files)", TABLE, empty_when="before the first table"),
            ),
        ),
        Panel(
            "Versions an hour",
            "Commits to a table, maintenance included.",
            "timeseries",
            "short",
            ("layer", "table"),
            queries=(
                Query(
                    "max by (layer, table) (delta(correnteza_table_version[1h]))",
                    TABLE,
                    empty_when="before the first table",
                ),
            ),
        ),
        Panel(
            "Dead letters open",
            "Records that a person must decide on: `correnteza dead-letters list`.",
            "timeseries",
            "short",
            ("dataset",),
            queries=(Query("max by (dataset) (correnteza_dead_letters_open)", "{{dataset}}"),),
        ),
        Panel(
            "Expectations broken, an hour",
            "Rows that broke a rule.",
            "timeseries",
            "short",
            ("dataset",),
            width=8,
            queries=(Query("sum by (dataset) (increase(correnteza_expectations_broken_total[1h]))", "{{dataset}}"),),
        ),
        Panel(
            "Since the last round of maintenance",
            "Only rounds without a failed table count.",
            "timeseries",
            "s",
            (),
            width=8,
            queries=(
                Query(
                    "time() - max(correnteza_maintenance_last_success_timestamp_seconds)",
                    "maintenance",
                    empty_when="before the first round",
                ),
            ),
        ),
        Panel(
            "Files removed, an hour",
            "Files that maintenance removed.",
            "timeseries",
            "short",
            (),
            width=8,
            queries=(Query("sum(increase(correnteza_maintenance_files_removed_total[1h]))", "files"),),
        ),
    ),
)

MACHINE = Row(
    "machine",
    "Machine",
    (
        Panel(
            "Processor",
            "Cores that each Python process uses, without the driver's JVM.",
            "timeseries",
            "short",
            ("job",),
            width=6,
            queries=(
                Query('sum by (job) (rate(process_cpu_seconds_total{job=~"monitor|stream|schedule"}[5m]))', "{{job}}"),
            ),
        ),
        Panel(
            "Memory",
            "Resident memory of each Python process, without the driver's JVM.",
            "timeseries",
            "bytes",
            ("job",),
            width=6,
            queries=(Query('sum by (job) (process_resident_memory_bytes{job=~"monitor|stream|schedule"})', "{{job}}"),),
        ),
        Panel(
            "Memory of the driver's JVM",
            "The used memory falls with each garbage collection; a heap that stays near its maximum is too small.",
            "timeseries",
            "bytes",
            ("area",),
            width=6,
            queries=(
                Query("sum by (area) (correnteza_jvm_memory_used_bytes)", "{{area}} used"),
                Query("sum by (area) (correnteza_jvm_memory_committed_bytes)", "{{area}} committed"),
                Query("sum by (area) (correnteza_jvm_memory_max_bytes)", "{{area}} most"),
            ),
        ),
        Panel(
            "Open files",
            "Share of the open files that a process may have.",
            "timeseries",
            "percentunit",
            ("job",),
            width=6,
            bad_above=0.8,
            queries=(
                Query('max by (job) (process_open_fds{job=~"monitor|stream|schedule"} / process_max_fds)', "{{job}}"),
            ),
        ),
        Panel(
            "Disk of the lake, free",
            "Now, and in a day by the trend of the last six hours.",
            "timeseries",
            "bytes",
            (),
            queries=(
                Query("min(correnteza_disk_free_bytes)", "free"),
                Query("min(predict_linear(correnteza_disk_free_bytes[6h], 24 * 3600))", "in a day"),
                Query("max(correnteza_disk_size_bytes)", "size"),
            ),
        ),
        Panel(
            "Disk of the lake, share free",
            "Act if it is below 10 %.",
            "timeseries",
            "percentunit",
            (),
            queries=(Query("min(correnteza_disk_free_bytes / correnteza_disk_size_bytes)", "free"),),
        ),
        Panel(
            "Time to read each part",
            "Per part of the monitor.",
            "timeseries",
            "s",
            ("part",),
            queries=(Query("max by (part) (correnteza_sample_duration_seconds)", "{{part}}"),),
        ),
        Panel(
            "Since a part last answered",
            "Per part of the monitor.",
            "timeseries",
            "s",
            ("part",),
            queries=(Query("time() - max by (part) (correnteza_part_last_success_timestamp_seconds)", "{{part}}"),),
        ),
    ),
)

"""The catalogue and what the processes export are the same, both ways; its closed sets are those of the code."""

import typing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.lag import status
from monitoring.metrics import catalogue, page
from monitoring.metrics.catalogue import CATALOGUE, PROCESS_METRICS
from monitoring.metrics.families import SampledMetrics
from monitoring.metrics.schedule import ScheduleMetrics
from monitoring.metrics.server import metrics_of
from monitoring.metrics.stream import StreamMetrics
from producers.schedule.outcomes import Result
from sinks import versions
from tests.monitoring.watch.kit import monitor_of

ROOT = Path(__file__).parents[3]


def exported(of):
    """Name → family, as a scrape gives it."""
    text = metrics_of(of)({}).body.decode()
    return {found.name: found for found in text_string_to_metric_families(text)}


def stream():
    metrics = StreamMetrics(["bronze.bcb_sgs"], ["bcb_sgs"])
    metrics.started("bronze.bcb_sgs")
    metrics.batch_ended("bronze.bcb_sgs", 5, {"triggerExecution": 900, "addBatch": 700, "walCommit": 50, "newer": 1})
    metrics.rows_judged("silver", {"new": 3, "duplicate": 2})
    metrics.restarted("bronze.bcb_sgs")
    metrics.broken("bcb_sgs", 1)
    metrics.maintained()
    metrics.files_removed(4)
    metrics.memory("heap", 3, 4, 5)
    metrics.memory("nonheap", 1, 2, None)
    return metrics.registry


def schedule():
    metrics = ScheduleMetrics(["bcb_sgs"])
    metrics.polled("bcb_sgs", 1.5, 1000, 7)
    metrics.recorded("bcb_sgs", "published")
    metrics.leads(True)
    return metrics.registry


def disagreements(process, families):
    """How what a process exports and the catalogue differ, in words."""
    declared = {metric.full_name.removesuffix("_total"): metric for metric in catalogue.of(process)}
    found = [f"{name} is not exported" for name in declared.keys() - families.keys()]
    own = {name.removesuffix("_total") for name in PROCESS_METRICS}
    found += [f"{name} is not in the catalogue" for name in families.keys() - declared.keys() - own]
    for name in declared.keys() & families.keys():
        metric, family = declared[name], families[name]
        if (family.type, family.documentation) != (metric.kind, metric.help):
            found.append(f"{name} is exported as {family.type}: {family.documentation}")
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if key != "le"}
            if set(labels) != set(metric.label_names):
                found.append(f"{name} has the labels {sorted(labels)}")
            found += [
                f"{name}: {label.name}={labels.get(label.name)!r} is in no closed set"
                for label in metric.labels
                if label.values is not None and labels.get(label.name) not in label.values
            ]
    return found


@pytest.mark.parametrize(("process", "made"), [("stream", stream), ("schedule", schedule)])
def test_a_process_exports_its_part_of_the_catalogue_and_nothing_else(process, made):
    assert disagreements(process, exported(made())) == []


def test_the_monitor_exports_its_part_of_the_catalogue_and_nothing_else(kit):
    monitor = monitor_of(kit)
    monitor.parts.look_at_all()
    assert disagreements("monitor", exported(monitor.registry)) == []


def test_control_the_comparison_sees_what_is_missing_what_is_new_and_a_label_of_no_set(control):
    families = exported(stream())
    control.holds(disagreements, "stream", families)
    less = {name: each for name, each in families.items() if name != "correnteza_query_restarts"}
    control.objects(disagreements, "stream", less, damage="correnteza_query_restarts is not exported")
    more = families | {"correnteza_news": families["correnteza_query_restarts"]}
    control.objects(disagreements, "stream", more, damage="correnteza_news is not in the catalogue")
    metrics = StreamMetrics([], [])
    metrics._made._made["batch_rows_total"].labels("bronze", "vanished").inc()  # past the check of the instruments
    damaged = families | {"correnteza_batch_rows": exported(metrics.registry)["correnteza_batch_rows"]}
    control.objects(disagreements, "stream", damaged, damage="'vanished' is in no closed set")


def test_what_the_catalogue_does_not_know_is_refused_where_it_is_set():
    with pytest.raises(ValueError, match="outcome='vanished' is none of"):
        StreamMetrics([], []).rows_judged("silver", {"vanished": 1})


@pytest.mark.parametrize(("samples", "error"), [({"news": {(): 1}}, KeyError), ({"up": {("moon",): 1}}, ValueError)])
def test_samples_that_the_catalogue_does_not_know_are_refused(samples, error):
    sampled = SampledMetrics(catalogue.of("monitor"), lambda: samples)
    with pytest.raises(error):
        sampled.collect()


def test_the_closed_sets_are_those_of_the_code():
    assert set(catalogue.STATES) == set(typing.get_args(status.State))
    assert set(catalogue.POLL_OUTCOMES) == {each.value for each in Result} - {Result.COVERED}
    assert set(catalogue.ROW_OUTCOMES) == {*versions.OUTCOMES, "read", "recomputed"}


def test_names_keep_prometheus_conventions():
    for metric in CATALOGUE:
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
        assert (metric.unit == "seconds since 1970") == metric.name.endswith("_timestamp_seconds"), metric.name
        assert (metric.kind == "histogram") == bool(metric.buckets), metric.name
        assert metric.help.endswith("."), metric.name
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)


def test_a_phase_is_the_sum_of_spark_s_own_words_for_it():
    found = exported(stream())["correnteza_batch_duration_seconds"]
    sums = {each.labels["phase"]: each.value for each in found.samples if each.name.endswith("_sum")}
    assert sums == {"total": 0.9, "offsets": 0.0, "planning": 0.0, "write": 0.7, "commit": 0.05}


def test_the_page_of_metrics_is_that_of_the_catalogue():
    assert (ROOT / "docs/metrics.md").read_text(encoding="utf-8") == page.page(), "run: make metrics"


def test_prometheus_scrapes_every_process_at_its_port():
    told = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    for process, (_, port) in catalogue.PROCESSES.items():
        assert f"job_name: {process}\n" in told
        assert f"127.0.0.1:{port}" in told

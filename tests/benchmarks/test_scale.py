"""The formulas of docs/scale.md: known results, monotony, the limit that is named, and the page."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks import scale, scale_page
from benchmarks.scale_costs import COSTS, PRICES
from benchmarks.scale_model import Workload, needs
from stream_jobs.running.supervisor import WATCH_SECONDS
from tests.controls import differs
from tests.helpers import ROOT

COSTS_OF_TEN = {
    "poll_cpu": 10, "poll_speed": 1_000, "bronze_cpu": 1_000, "layers_cpu": 10_000, "busy_topic": 2, "burst": 3,
    "idle": 0.5, "queries": 10, "driver_memory": 4, "silver_cpu": 5_000, "kafka_bytes": 100, "lake_bytes": 50,
    "append_get": 40, "append_list": 4, "append_put": 6, "store_cpu": 0.1, "look": 2, "read_get": 1_000,
}  # fmt: skip
"""Plain numbers, so that each answer can be had by hand."""

PLAIN = Workload(
    rows_per_day=864_000, topics=3, busy_topics=1, bursts_per_day=24, largest_share=0.5, peak_factor=10,
    queries_per_topic=3, gold_tables=2, interval_factor=1, kafka_days=7, kafka_replicas=2, kept_days=100,
    machine_cores=2, machine_memory_gb=8, machine_disk_gb=10, price_put=5, price_get=0.4, price_gb=0.02,
    costs=COSTS_OF_TEN,
)  # fmt: skip
"""10 rows a second, 5 of them in one topic, 50 a second at its peak."""


def test_the_plain_workload_needs_what_one_works_out_by_hand():
    found = needs(PLAIN)
    # The busy topic's batches: 2 cores less the 10 s that a thousand rows take, so none are left: max(0, …).
    # 864,000 rows at 10,000 s a million: 8,640 s. Bursts: 2 topics × 24 × 3 s = 144 s. Idle: half a core.
    assert found.cores == pytest.approx(0.5 + (8_640 + 144) / 86_400)
    # A round of 5 s: 5 of bronze, 2 × 2.5 of silver, 2 of gold; 17,280 rounds. Bursts: 48 × (1 + 2 + 2).
    assert found.commits_per_day == 17_280 * 12 + 48 * 5
    assert found.queries == 9
    assert (found.drivers, found.pipelines, found.pollers) == (1, 1, 2)
    # 50 rows/s × 0.001 s = 0.05 core for the largest, 25 rows/s for each other.
    assert (found.largest_partitions, found.partitions) == (1, 3)
    assert found.kafka_gb == pytest.approx(864_000 * 100 * 7 * 2 / 1e9)
    assert found.lake_gb_per_day == pytest.approx(0.0432)
    assert found.lake_gb == pytest.approx(4.32)
    assert found.log_files == found.commits_per_day * 2 * 2
    # 432,000 rows a day × 100 days × 0.005 s on 2 cores.
    assert found.rebuild_hours == pytest.approx(30)
    assert (found.requests_per_day, found.dollars) == (0, 0)


def test_batches_are_what_the_rows_of_the_measured_topic_did_not_cost():
    load = PLAIN.model_copy(update={"costs": COSTS_OF_TEN | {"layers_cpu": 500, "bronze_cpu": 100}})
    # 2 cores - 1,000 × 0.0005 = 1.5 for the batches; the rows of the day 432 s, the bursts 144 s.
    assert needs(load).cores == pytest.approx(0.5 + 1.5 + (432 + 144) / 86_400)
    slower = needs(load.model_copy(update={"interval_factor": 10}))
    assert slower.cores == pytest.approx(0.5 + 0.15 + (432 + 144) / 86_400)


def test_a_store_is_paid_by_requests_and_by_what_lies_in_it():
    found, on_disk = needs(PLAIN.model_copy(update={"in_store": True})), needs(PLAIN)
    commits = 17_280 * 12 + 48 * 5
    looks = 2 * 86_400 * 6 + 1_000  # of six queries of silver and gold; and reads
    assert found.requests_per_day == commits * 50 + looks
    puts, gets = commits * 10, commits * 40 + looks
    assert found.dollars == pytest.approx(30 * (puts * 5 + gets * 0.4) / 1e6 + 4.32 * 0.02)
    assert found.cores == pytest.approx(on_disk.cores + 0.1 * commits / 86_400)


def test_an_append_every_five_seconds_costs_what_bench_store_printed():
    """docs/object-store.md: 30 US dollars a month for one table."""
    per_append = (4.1 * PRICES["LIST"] + 5.3 * PRICES["PUT"]) + 27 * PRICES["GET"]
    assert round(per_append * 86_400 * 30 / 5) == 30
    costs = {name: COSTS[name].value for name in ("append_list", "append_put", "append_get")}
    assert costs == {"append_list": 4.1, "append_put": 5.3, "append_get": 27}


def test_the_measured_load_gives_the_measured_needs():
    steady = Workload(rows_per_day=86_400_000, topics=1, busy_topics=1, largest_share=1, peak_factor=1)
    assert needs(steady).cores == pytest.approx(COSTS["busy_topic"].value + COSTS["idle"].value)


def test_queries_look_as_often_as_the_supervisor_does():
    assert COSTS["look"].value == 1 / WATCH_SECONDS


LARGE = {"rows_per_day": 864_000 * 5, "largest_share": 1, "machine_disk_gb": 1e6}


def of(**costs):
    return {"costs": COSTS_OF_TEN | {"layers_cpu": 1, "silver_cpu": 1, "busy_topic": 1e-6} | costs}


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ({"machine_cores": 0.1}, "cores of one driver"),
        ({"topics": 20}, "queries of one driver"),
        ({"machine_memory_gb": 2}, "memory of one driver"),
        ({"machine_disk_gb": 1}, "disk of one machine"),
        (LARGE | of(poll_speed=10), "poll of the largest source"),
        (LARGE | of(silver_cpu=90_000), "silver of the largest topic"),
        (LARGE | of(bronze_cpu=90_000), "bronze of the largest topic"),
    ],
)
def test_the_limit_that_is_met_first_is_named(given, first):
    limit = needs(PLAIN.model_copy(update=given)).limits[0]
    assert (limit.name, limit.share > 1, bool(limit.moved_by)) == (first, True, True)


def test_a_lake_in_a_store_leaves_the_disk_to_the_broker():
    def disk(in_store):
        found = needs(PLAIN.model_copy(update={"in_store": in_store}))
        return next(each.used for each in found.limits if each.name == "disk of one machine")

    assert disk(False) - disk(True) == pytest.approx(4.32)


FIELDS = ("cores", "drivers", "pipelines", "queries", "pollers", "partitions", "commits_per_day", "requests_per_day",
          "dollars", "kafka_gb", "lake_gb", "log_files", "rebuild_hours")  # fmt: skip


@given(
    st.floats(1, 1e10),
    st.integers(1, 500),
    st.floats(0, 1e5),
    st.floats(1, 100),
    st.sampled_from(["rows", "topics"]),
    st.integers(2, 1000),
    st.booleans(),
)
def test_more_never_needs_less(rows, topics, bursts, factor, what, times, in_store):
    load = Workload(rows_per_day=rows, topics=topics, bursts_per_day=bursts, interval_factor=factor, in_store=in_store,
                    largest_share=1, costs={"layers_cpu": 100, "silver_cpu": 50, "lake_bytes": 80})  # fmt: skip
    less, more = needs(load), needs(load.times(what, times))
    for name in FIELDS:
        assert getattr(more, name) >= getattr(less, name) * (1 - 1e-9), name


@given(st.floats(1, 100), st.floats(1, 100))
def test_longer_intervals_never_need_more(factor, more):
    short, long = (needs(PLAIN.model_copy(update={"interval_factor": each})) for each in (factor, factor * more))
    assert long.cores <= short.cores * (1 + 1e-9)
    assert long.commits_per_day <= short.commits_per_day * (1 + 1e-9)


def test_a_wrong_number_is_refused_by_its_name(capsys, tmp_path):
    with pytest.raises(ValidationError, match="busy_topics is greater than topics"):
        Workload(topics=2, busy_topics=3)
    with pytest.raises(ValidationError, match="no unit cost gold_cpu"):
        Workload(costs={"gold_cpu": 1})
    file = tmp_path / "mine.toml"
    file.write_text("rows = 5\n")
    with pytest.raises(SystemExit, match="rows: Extra inputs are not permitted"):
        scale.main(["--file", str(file)])
    with pytest.raises(SystemExit, match="machine_cores: Input should be greater than 0"):
        scale.main(["--machine-cores", "0"])


def test_an_option_stands_above_the_file(capsys, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("topics = 7\nqueries_per_topic = 2\n[costs]\nlake_bytes = 90\n")
    scale.main(["--file", str(file), "--queries-per-topic", "4"])
    assert "| queries | 28 | 28 | 28 | 28 |" in capsys.readouterr().out


def test_help_explains_each_number(capsys):
    with pytest.raises(SystemExit):
        scale.main(["--help"])
    said = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in said for name in Workload.model_fields if name != "costs")


def test_an_unmeasured_cost_is_named_until_the_reader_gives_it(capsys, tmp_path):
    scale.main([])
    assert "Not counted, because not measured: `read_get`." in capsys.readouterr().out
    file = tmp_path / "mine.toml"
    file.write_text("[costs]\nread_get = 100_000\n")
    scale.main(["--file", str(file)])
    assert "Not counted" not in capsys.readouterr().out


def test_each_cost_says_where_it_was_measured():
    for name, cost in COSTS.items():
        assert cost.value is None or cost.source != "not measured", name
        assert cost.value is None or name == "look" or cost.machine != "-", name


def test_control_the_page_is_what_the_program_writes(monkeypatch, control):
    page = (ROOT / "docs/scale.md").read_text(encoding="utf-8")

    def differences():
        return [f"run: make scale; {each[:80]}" for each in differs(scale_page.page() == page, True)]

    control.holds(differences)
    monkeypatch.setitem(COSTS, "bronze_cpu", replace(COSTS["bronze_cpu"], value=97.0))
    control.objects(differences, damage="run: make scale; False instead of True")

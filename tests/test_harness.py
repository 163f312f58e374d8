"""What the crash rig observes: how far queries are, which transactions are open, and what a run writes."""

import json
import sys
import time
from contextlib import closing, nullcontext
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from deltalake import DeltaTable, write_deltalake

from correnteza import topics
from schemas.contracts import load
from tests import oracles
from tests.harness import crash_test, progress
from tests.harness.restarted import RestartedCommand, Restarter
from tests.harness.timeline import Timeline
from tests.helpers import wait_for

QUERY, TABLE = "silver.inmet_hourly", "bronze.inmet_hourly"


def checkpoint(folder: Path, batch: int, *sources: dict[str, object] | str, done: bool = True) -> None:
    """A batch's files, as Spark writes them."""
    for log in ("offsets", "commits"):
        (folder / log).mkdir(parents=True, exist_ok=True)
    lines = [each if isinstance(each, str) else json.dumps(each) for each in sources]
    (folder / "offsets" / str(batch)).write_text("\n".join(["v1", "{}", *lines]))
    if done:
        (folder / "commits" / str(batch)).write_text("v1\n{}")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Bronze of two appends."""
    table = tmp_path / "lake" / "bronze" / "inmet_hourly"
    for value in (1, 2):
        write_deltalake(table, pa.table({"value": [value]}), mode="append")
    return tmp_path / "lake"


def test_the_last_change_of_a_table_is_no_rewriting_of_the_same_rows(lake):
    table = DeltaTable(lake / "bronze" / "inmet_hourly")
    table.optimize.compact()
    assert (table.version(), progress.last_change(lake / "bronze" / "inmet_hourly")) == (2, (table.metadata().id, 1))
    assert progress.last_change(lake / "bronze" / "no_table") is None


def test_a_query_is_behind_until_a_batch_that_read_the_last_change_is_done(lake, tmp_path):
    wanted = {QUERY: progress.below(lake, "silver")[QUERY]}
    (table_id,) = wanted[QUERY]
    folder = tmp_path / "checkpoints"
    assert progress.behind(folder, wanted) == [QUERY]
    checkpoint(folder / QUERY / "g0", 0, {"reservoirId": table_id, "reservoirVersion": 1, "index": -100}, "-")
    assert progress.behind(folder, wanted) == [QUERY]
    first_state = {"reservoirId": table_id, "reservoirVersion": 2, "index": 0, "isStartingVersion": True}
    checkpoint(folder / QUERY / "g0", 0, first_state, "-")
    assert progress.behind(folder, wanted) == [QUERY]
    checkpoint(
        folder / QUERY / "g0", 1, {"reservoirId": table_id, "reservoirVersion": 2, "index": -100}, "-", done=False
    )
    assert progress.behind(folder, wanted) == [QUERY]
    assert progress.under_way(folder) == [QUERY]
    (folder / QUERY / "g0" / "commits" / "1").touch()
    assert progress.behind(folder, wanted) == []
    assert progress.under_way(folder) == []


def test_bronze_has_read_a_topic_when_each_partition_is_read_to_its_end(tmp_path):
    checkpoint(tmp_path / TABLE / "g0", 0, {"inmet_hourly.v1": {"0": 7, "1": 3}})
    read, more = ("inmet_hourly.v1", 0), ("inmet_hourly.v1", 1)
    assert progress.unread(tmp_path, {read: 7, more: 3}) == []
    assert progress.unread(tmp_path, {read: 7, more: 4}) == ["inmet_hourly.v1"]


def test_an_open_transaction_is_seen_until_it_is_decided(services, prefix):
    """As the rig looks for it after a kill of the producer."""
    contract = load("inmet_hourly")
    topics.apply(services.bootstrap, [contract], prefix)
    oracles.end_offsets(services.bootstrap, [prefix + contract.topic])  # its leader is known a moment later
    producer = Producer({"bootstrap.servers": services.bootstrap, "transactional.id": f"{prefix}open", "log_level": 0})
    producer.init_transactions()

    def undecided() -> list[str]:
        return progress.undecided(services.bootstrap, ["inmet_hourly"], prefix=prefix)

    assert undecided() == []
    for decide in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce(prefix + contract.topic, value=b"half a chunk")
        producer.flush(30)
        assert undecided() == [prefix + contract.topic]
        decide()
        wait_for(lambda: not undecided(), "the transaction's markers")


def test_a_process_held_at_the_moment_stays_stopped_until_it_is_killed_and_else_continues(tmp_path):
    ticks = tmp_path / "ticks"
    said = f"import time\nwhile True:\n open({str(ticks)!r}, 'a').write('.'); time.sleep(0.01)"
    with closing(Timeline(tmp_path / "timeline.jsonl")) as timeline, Restarter() as restarter:
        kept = restarter.add(RestartedCommand("ticker", ("-c", said), tmp_path, {}, timeline))

        def goes_on() -> bool:
            before = ticks.stat().st_size
            time.sleep(0.3)
            return ticks.stat().st_size > before

        wait_for(ticks.exists, "the first tick")
        assert not kept.hold(lambda: False)
        wait_for(goes_on, "more ticks")
        assert kept.hold(lambda: True)
        wait_for(lambda: not goes_on(), "the last tick")
        assert kept.starts == 1
        kept.kill()
        wait_for(lambda: kept.starts == 2 and goes_on(), "the next one")


def test_many_kills_without_an_open_transaction_are_reported():
    assert crash_test.too_few_in_transactions(crash_test.MANY_KILLS - 1, 0) == []
    assert crash_test.too_few_in_transactions(crash_test.MANY_KILLS, 1) == []
    assert "none of 4 kills" in crash_test.too_few_in_transactions(crash_test.MANY_KILLS, 0)[0]


@pytest.mark.parametrize(("asked", "is_written"), [((), False), (("--page",), True)])
def test_a_run_writes_the_page_only_when_asked(monkeypatch, tmp_path, capsys, asked, is_written):
    page = tmp_path / "guarantees.md"
    page.write_text(f"before\n{crash_test.BEGIN}\nolder\n{crash_test.END}\nafter\n")

    def run(_rig: object, steps: list[crash_test.Kill], result: crash_test.Result) -> None:
        result.recovery["producer"] += [1.0] * len(steps)
        result.met_open = 2

    monkeypatch.setattr(crash_test, "PAGE", page)
    monkeypatch.setattr(crash_test, "Timeline", lambda _: Timeline(tmp_path / "timeline.jsonl"))
    monkeypatch.setattr(crash_test, "Rig", lambda *_: nullcontext())
    monkeypatch.setattr(crash_test, "crash_test", run)
    monkeypatch.setattr(crash_test, "verified", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["crash_test", "--kills", "3", "--seed", "1", *asked])
    with pytest.raises(SystemExit, match="0"):
        crash_test.main()
    said = capsys.readouterr().out
    assert "Of 3 kills of the producer 2 met an open transaction;" in said
    assert ("2 met an open transaction" in page.read_text()) == is_written
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("after\n")

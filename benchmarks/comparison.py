"""`python -m benchmarks.comparison`: one topic under a steady load, into Delta by several programs, with kills.

Each program has a topic of its own with the same load: transactions of a hundred records, one in ten rolled back. It
is killed with SIGKILL a drawn moment after it has committed to its table, again and again, and then runs until its
table stays as it is. What it has lost, doubled, and taken from rolled back transactions is counted by the records'
numbers. Then it reads the whole topic into a new table, without a kill: rows per second, CPU, memory, files.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from deltalake import DeltaTable

from benchmarks.comparison_peers import RECORD, framed
from benchmarks.driving import environment, wait
from benchmarks.harness import Cost, TreeMeter, machine, report
from correnteza import topics
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from schemas.contracts import load_all

ROWS_PER_SECOND, OF_TRANSACTION, ABORTED_OF = 1000, 100, 10
RECORDS = 200_000
LONGEST_AFTER_COMMIT = 12.0
"""Seconds from a commit to the kill, at most: the client commits offsets by itself every five."""
START_SECONDS, SETTLED_SECONDS, END_SECONDS = 240, 25, 900
PARTITIONS = 4
KINDS = {
    "deltalake, offsets after the write": "after",
    "deltalake, offsets by the client": "auto",
    "plain Spark": "spark",
    "correnteza": "ours",
}


@dataclass
class Load:
    """Records with ascending numbers in transactions; those of a rolled back one are negative.

    Attributes:
        committed: how many were committed.
    """

    settings: Settings
    topic: str
    schema_id: int
    committed: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Load":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def go_on(self, records: int) -> None:
        """Wait until so many were committed."""
        while self.committed < records:
            time.sleep(0.1)

    def _run(self) -> None:
        producer = Producer({"bootstrap.servers": self.settings.bootstrap, "transactional.id": self.topic})
        producer.init_transactions(60)
        began, count = time.monotonic(), 0
        while not self._stop.is_set():
            is_aborted = count % ABORTED_OF == ABORTED_OF - 1
            producer.begin_transaction()
            for number in range(self.committed + 1, self.committed + 1 + OF_TRANSACTION):
                value = framed(-number if is_aborted else number, self.schema_id)
                producer.produce(self.topic, value, str(number), number % PARTITIONS)
            producer.flush(60)
            if is_aborted:
                producer.abort_transaction(60)
            else:
                producer.commit_transaction(60)
                self.committed += OF_TRANSACTION
            count += 1
            time.sleep(max(0.0, began + self.committed / ROWS_PER_SECOND - time.monotonic()))


@dataclass
class Candidate:
    """One program and its table."""

    name: str
    settings: Settings
    topic: str
    log: Path

    @property
    def table(self) -> str:
        """Its folder."""
        ours = self.settings.lake_root / "bronze" / "shop_orders"
        return str(ours) if KINDS[self.name] == "ours" else str(self.settings.home / "table")

    @contextlib.contextmanager
    def running(self) -> "Iterator[subprocess.Popen[bytes]]":
        """The process and all below it, killed after the block."""
        command = [sys.executable, "-m", "correnteza", "run", "bronze"]
        if (kind := KINDS[self.name]) != "ours":
            places = ["--bootstrap", self.settings.bootstrap, "--topic", self.topic, "--table", self.table]
            command = [sys.executable, "-m", "benchmarks.comparison_peers", kind, *places]
        with self.log.open("ab") as said:
            process = subprocess.Popen(
                command, env=environment(self.settings), stdout=said, stderr=said, start_new_session=True
            )
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @property
    def version(self) -> int:
        """Of its table; -1 before the first."""
        return DeltaTable(self.table).version() if DeltaTable.is_deltatable(self.table) else -1

    def numbers(self) -> pa.ChunkedArray:
        """Of all records in its table."""
        rows = DeltaTable(self.table).to_pyarrow_dataset()
        if KINDS[self.name] != "ours":
            return rows.to_table(columns=["number"])["number"]
        return pc.struct_field(rows.to_table(columns=["record"])["record"], "number").drop_null()

    def count(self) -> int:
        """Rows of its table."""
        return DeltaTable(self.table).to_pyarrow_dataset().count_rows() if self.version >= 0 else 0


def main() -> None:
    """Run each program, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--records", type=int, default=RECORDS, help="in each topic, at least")
    parser.add_argument("--only", choices=tuple(KINDS.values()), action="append", help="Repeat it. By default all.")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    before, rows = machine(), []
    drawn = random.Random(arguments.seed)
    moments = [drawn.uniform(0, LONGEST_AFTER_COMMIT) for _ in range(arguments.kills)]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with Stack(Settings(home=home / "services")) as stack:
            for name, kind in KINDS.items():
                if not arguments.only or kind in arguments.only:
                    rows.append(_of(name, home / kind, stack.endpoints, moments, arguments.records))
    notes = (
        f"{ROWS_PER_SECOND} records/s in transactions of {OF_TRANSACTION}, one in {ABORTED_OF} rolled back",
        f"{arguments.kills} × SIGKILL, each up to {LONGEST_AFTER_COMMIT:.0f} s after a commit, seed {arguments.seed}",
        "rows/s, CPU, memory and files: the whole topic into a new table, from the start of the process",
        f"machine: {before}",
    )
    report("comparison", "one topic into Delta, under the same kills", rows, notes)


def _of(name: str, home: Path, endpoints: dict[str, Any], moments: list[float], records: int) -> dict[str, Any]:
    """One row. Args: moments: seconds from a commit to each kill."""
    settings = Settings(home=home).model_copy(update=endpoints)
    candidate = Candidate(name, settings, f"shop.{KINDS[name]}", home / "said.log")
    home.mkdir(parents=True)
    schema_id = _declared(settings, candidate.topic, is_ours=KINDS[name] == "ours")
    with Load(settings, candidate.topic, schema_id) as load:
        for after in moments:
            _killed(candidate, after)
        load.go_on(records)
    with candidate.running():
        _settled(candidate)
    told = judged(candidate.numbers(), load.committed)
    candidate = Candidate(name, _fresh(settings), candidate.topic, candidate.log)
    _declared(candidate.settings, None, is_ours=KINDS[name] == "ours", topic=candidate.topic)
    seconds, cost = _read_whole(candidate, load.committed)
    table = DeltaTable(candidate.table)
    sizes = table.get_add_actions(flatten=True)
    return {
        "candidate": name,
        "records": load.committed,
        **told,
        "rows_per_s": load.committed / seconds,
        "cpu_seconds": cost.cpu_seconds,
        "peak_mb": cost.peak_bytes / 1e6,
        "files": len(table.file_uris()),
        "mb": sum(pa.table(sizes)["size_bytes"].to_pylist()) / 1e6,
    }


def _fresh(settings: Settings) -> Settings:
    """The same services, and a home in which nothing was read."""
    home = settings.home / "fresh"
    home.mkdir()
    return settings.model_copy(update={"home": home})


def _declared(settings: Settings, create: str | None, *, is_ours: bool, topic: str = "") -> int:
    """The topic and its schema's id; for ours the contract too. Args: create: None for a topic that is there."""
    if create:
        admin = AdminClient({"bootstrap.servers": settings.bootstrap})
        for made in admin.create_topics([NewTopic(create, PARTITIONS, 1)]).values():
            made.result()
    name = create or topic
    if is_ours:
        words = {"origin": "external", "topic": name, "key": ["number"], "known_from": "kafka", "prune_by": "number"}
        contract = {**RECORD, **words, "classes": {"public": ["number", "customer"]}}
        settings.contracts.mkdir(parents=True, exist_ok=True)
        (settings.contracts / "shop_orders.avsc").write_text(json.dumps(contract), encoding="utf-8")
        topics.apply(settings.bootstrap, load_all().values(), "")
    client = SchemaRegistryClient({"url": settings.registry})
    return int(client.register_schema(f"{name}-value", Schema(json.dumps(RECORD), "AVRO")))


def _killed(candidate: Candidate, after: float) -> None:
    """Start it, and kill it so many seconds after its next commit."""
    before = candidate.version
    with candidate.running() as process:
        wait(lambda: candidate.version > before or process.poll() is not None, "a commit", START_SECONDS)
        time.sleep(after)


def _settled(candidate: Candidate) -> None:
    """Wait until its table has not changed for a while."""
    since, count, end = time.monotonic(), candidate.count(), time.monotonic() + END_SECONDS
    begun = candidate.version
    while time.monotonic() < since + SETTLED_SECONDS or (candidate.version == begun and time.monotonic() < since + 90):
        if time.monotonic() > end:
            raise TimeoutError(f"{candidate.name} does not come to an end")
        time.sleep(1)
        if (now := candidate.count()) != count:
            since, count = time.monotonic(), now


def judged(numbers: pa.ChunkedArray, committed: int) -> dict[str, int]:
    """What is lost, doubled, and of rolled back transactions."""
    found: Counter[int] = Counter(numbers.to_pylist())
    return {
        "lost": sum(number not in found for number in range(1, committed + 1)),
        "doubled": sum(count - 1 for number, count in found.items() if number > 0),
        "rolled_back": sum(count for number, count in found.items() if number < 0),
    }


def _read_whole(candidate: Candidate, committed: int) -> tuple[float, Cost]:
    """Seconds, CPU and memory of reading the topic once."""
    began = time.monotonic()
    with candidate.running() as process, TreeMeter(process.pid) as meter:
        enough: Callable[[], bool] = lambda: candidate.count() >= committed  # noqa: E731
        wait(enough, f"{candidate.name} to read the topic", END_SECONDS)
        seconds = time.monotonic() - began
    return seconds, meter.cost


if __name__ == "__main__":
    main()

"""Silver on disk: revisions that a test appends to Delta tables, followed by the real queries of gold."""

import json
import random
from collections import Counter, defaultdict
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from schemas.contracts import load
from stream_jobs.gold.job import GoldJob
from stream_jobs.gold.model import GoldTable
from stream_jobs.silver.job import ensure_tables
from stream_jobs.silver.tables.model import discover
from tests.lakes import Lake
from tests.stream_jobs.gold.batch_oracle import arrow, from_scratch, keyed
from tests.stream_jobs.gold.memory_silver import Row, instant

SHOWN = 5


class LakeSilver(Lake):
    """Silver as a test writes it, followed by the queries of gold.

    Attributes:
        rows: the revisions that silver holds, as the test wrote them down: what scratch is computed from.
    """

    def __init__(self, spark: SparkSession, root: Path) -> None:
        super().__init__(spark, root)
        self.rows: dict[str, list[Row]] = defaultdict(list)

    def copy_to(self, root: Path) -> Self:
        """With the rows that are written down."""
        other = super().copy_to(root)
        other.rows = deepcopy(self.rows)
        return other

    def add(self, dataset: str, *rows: Row) -> None:
        """Append revisions, in one commit; later ones have greater offsets."""
        stored, new = self.rows[dataset], []
        # Not their number: of those that make_void removed, offsets are missing.
        first = 1 + max((row["kafka_offset"] for row in stored), default=-1)
        for offset, row in enumerate(rows, first):
            place = {"published_at_basis": "http_last_modified", "kafka_partition": 0, "kafka_offset": offset}
            stored.append({"known_from": instant("2025-01-10"), "is_withdrawn": False, **place, **row})
            new.append(stored[-1])
        self._append(dataset, new)

    def make_void(self, dataset: str, choose: random.Random) -> None:
        """As silver does when a version of a key turns out to be none: it is deleted, and in a commit of its own the
        key's newest version is appended again, because gold skips commits that delete.
        """
        versions: dict[Any, list[Row]] = defaultdict(list)
        for row in self.rows[dataset]:
            versions[tuple(row.get(name) for name in load(dataset).key)].append(row)
        several = [each for each in versions.values() if len({row["known_from"] for row in each}) > 1]
        if not several:
            return
        held = choose.choice(several)
        newest = max(held, key=lambda row: (row["known_from"], row["kafka_offset"]))
        void = choose.choice([row for row in held if row["known_from"] != newest["known_from"]])
        places = sorted({void["kafka_offset"], newest["kafka_offset"]})
        self.rows[dataset] = [row for row in self.rows[dataset] if row["kafka_offset"] not in places]
        path = self.places.table(f"silver.{dataset}_revisions")
        DeltaTable(path).delete(f"kafka_offset in ({', '.join(map(str, places))})")
        self.rows[dataset].append(newest)
        self._append(dataset, [newest])

    def _append(self, dataset: str, rows: list[Row]) -> None:
        path = self.places.table(f"silver.{dataset}_revisions")
        if not DeltaTable.is_deltatable(path):
            ensure_tables(self.driver, discover()[dataset])
        write_deltalake(path, arrow(dataset, rows), mode="append", schema_mode="merge")

    def follow(self, table: GoldTable) -> None:
        """Let the table's query run from where it stands to the present."""
        self.run(GoldJob(table, self.driver))

    def stored(self, name: str) -> list[Row]:
        """The rows of any table, read without Spark; none where there is no table."""
        path = self.places.table(name)
        return DeltaTable(path).to_pyarrow_table().to_pylist() if DeltaTable.is_deltatable(path) else []


def not_as_from_scratch(lake: LakeSilver, table: GoldTable) -> list[str]:
    """The keys of a gold table whose rows are not what another engine computes from all of silver at once."""
    rows = lake.stored(f"gold.{table.name}")
    found = [
        f"gold.{table.name}: key {key} stands {times} times"
        for key, times in Counter(tuple(row[name] for name in table.keys) for row in rows).items()
        if times > 1
    ]
    if found:
        return found
    held, expected = keyed(table.keys, rows), from_scratch(table.name, lake)
    wrong = [(key, held.get(key), expected.get(key)) for key in held | expected if held.get(key) != expected.get(key)]
    return [f"gold.{table.name}: key {key} is {own}, from scratch {other}" for key, own, other in wrong[:SHOWN]]


def not_counted_once(lake: Path, query: str, table: str) -> list[str]:
    """Batches of a query that committed rows to a table, and whose counts do not stand once in `ops.expectations`."""
    log = sorted((lake / table.replace(".", "/") / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for file in log for line in file.read_text().splitlines()]
    written = set()
    for action in actions:
        app_id, _, generation = action.get("txn", {}).get("appId", "").rpartition(".g")
        if app_id.startswith(f"{query}."):
            written.add((int(generation), action["txn"]["version"]))
    rows = DeltaTable(str(lake / "ops" / "expectations")).to_pyarrow_table().to_pylist()
    counted = Counter((row["generation"], row["batch_id"], row["expectation"]) for row in rows if row["query"] == query)
    missing = written - {(generation, batch_id) for generation, batch_id, _ in counted}
    return [f"{query}: batch {batch_id} of life {life} wrote and has no counts" for life, batch_id in missing] + [
        f"{query}: {name} of batch {batch_id} of life {life} is counted {times} times"
        for (life, batch_id, name), times in counted.items()
        if times > 1
    ]

"""The gold groups that a key touched are recomputed from what remains, by the code of the gold jobs.

Which groups those are is asked before the key leaves silver, and kept in files until the erasure ends: afterwards
nothing tells it any more.
"""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from correnteza.erasing.key import Key
from sinks import sql, tables
from sinks.arrow_frames import struct_of
from sinks.erasing import held
from sinks.snapshot import FILE, Snapshot
from sinks.transactions import Batch
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.job import groups_touched, refill, target_of
from stream_jobs.gold.model import GoldTable, discover
from stream_jobs.places import Places
from stream_jobs.silver.asof import Known, Snapshots, local_frame


def tables_of(places: Places, key: Key) -> list[GoldTable]:
    """The gold tables that are there and read the dataset."""
    return [
        table
        for table in discover().values()
        if isinstance(table, GoldTable)
        and key.contract.name in {each.dataset for each in table.inputs}
        and tables.exists(places.table(f"gold.{table.name}"))
    ]


def note_groups(places: Places, key: Key, folder: Path, spark: Callable[[], SparkSession]) -> None:
    """Keep the groups of every gold table that the key's revisions touch, a file per table, with those kept before."""
    rows = _revisions(places, key)
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables_of(places, key) if rows.num_rows else ():
        session = spark()
        frame = local_frame(session, rows)
        touched: list[DataFrame] = []
        for each in table.inputs:
            if each.dataset == key.contract.name:
                found = each.groups(frame)
                touched.append(found if table.widen else found.select(*table.group))
        groups = groups_touched(table, Known(session, Snapshots(places)), reduce(DataFrame.unionByName, touched))
        file, partial = folder / f"{table.name}.parquet", folder / f".{table.name}.partial"
        before = pq.read_table(file) if file.exists() else groups.rows.slice(0, 0)
        all_of_them = sql.table("FROM groups UNION FROM before", groups=groups.rows, before=before)
        pq.write_table(all_of_them, partial)
        partial.replace(file)


def refill_groups(places: Places, key: Key, folder: Path, spark: Callable[[], SparkSession]) -> dict[str, int]:
    """Recompute them; returns how many groups of each table that was. Raises: UnsafeState as a gold batch does."""
    done = {}
    for table in tables_of(places, key):
        file = folder / f"{table.name}.parquet"
        if not file.exists():
            continue
        groups = pq.read_table(file)
        session, name = spark(), f"gold.{table.name}"
        schema = struct_of(table.schema)
        silver = Known(session, Snapshots(places))
        # Never the same one twice: what was recomputed before is found right, and commits nothing.
        batch = Batch(f"erase.{uuid4().hex}.{name}", 0, 0)
        refill(table, silver, Groups(session, groups), target_of(table, places.table(name), schema), batch)
        done[name] = groups.num_rows
    return done


def _revisions(places: Places, key: Key) -> pa.Table:
    """Every revision of the key, all columns."""
    name = f"silver.{key.contract.name}_revisions"
    path = places.table(name)
    if not tables.exists(path):
        return pa.table({})
    snapshot, matching = Snapshot.of(path), key.tables[name]
    columns = snapshot.arrow_schema.names
    found = [
        rows.filter(matching.of(rows))
        for file in held(path, matching).live
        for batch in snapshot.scan(columns, files=[file])
        if (rows := pa.Table.from_batches([batch]).drop_columns(FILE)).num_rows
    ]
    return pa.concat_tables([snapshot.arrow_schema.empty_table(), *found], promote_options="permissive")

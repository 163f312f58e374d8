"""A lake as months of small batches leave it: the same rows, in thousands of files that came in a commit each."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

HOURLY = (
    "bronze.inmet_hourly",
    "silver.inmet_hourly_revisions",
    "silver.inmet_hourly",
    "gold.fact_weather_daily",
    "gold.external_factors_daily",
)
"""What gets commits all day long, and so grows old first."""

COMMITS = 2_000
PIECE = "_piece"


def age(lake: Path, tables: Sequence[str], commits: int) -> str:
    """Age these tables (`<layer>.<table>`) of a lake; returns what they are now, in words."""
    found = []
    for name in tables:
        path = lake.joinpath(*name.split("."))
        age_table(path, commits)
        found.append(f"{name} {len(DeltaTable(path).file_uris()):,}")
    return f"files of a few rows, a commit for each: {', '.join(found)}"


def age_table(path: Path, commits: int) -> None:
    """Cut a table's rows into about so many files, each with a commit of its own.

    The commits say that they change no data, as a compaction's do: no query that follows the table reads them again.
    """
    table = DeltaTable(path)
    most = max(1, -(-table.count() // commits))
    version = table.version()
    rows = table.to_pyarrow_dataset()
    added = {unquote(each["path"]): each for each in _added(path)}
    for file in list(rows.get_fragments()):
        old = added[unquote(file.path)]
        pieces = _pieces(file.to_table(schema=rows.schema), most, path)
        for number, add in enumerate(pieces, 1):
            version += 1
            _commit(path, version, [{"add": add}, *([_removal(old)] if number == len(pieces) else [])])
    # As the pipeline's own commits leave one after every fifty.
    DeltaTable(path).create_checkpoint()


def _pieces(rows: pa.Table, most: int, path: Path) -> list[dict[str, Any]]:
    """The rows in files of at most so many, as their commits will name them, with delta-rs's own statistics.

    One write, of a table beside that has a partition for each piece: a write for each takes a tenth of a second.
    """
    beside = path.with_name(f".{path.name}.pieces")
    numbers = pc.divide(pa.array(range(len(rows)), pa.int64()), most)
    metadata = DeltaTable(path).metadata()
    write_deltalake(
        beside,
        rows.append_column(PIECE, numbers),
        partition_by=[*metadata.partition_columns, PIECE],
        configuration=metadata.configuration,
    )
    adds = []
    for add in _added(beside):
        where = Path(unquote(add["path"]))
        number = add["partitionValues"].pop(PIECE)
        file = where.parent.parent / f"{number}-{where.name}"
        (beside / where).rename(path / file)
        adds.append({**add, "path": quote(file.as_posix(), safe="/="), "dataChange": False})
    shutil.rmtree(beside)
    return adds


def _added(path: Path) -> Iterator[dict[str, Any]]:
    """Every file that a version of the table added, as its log has it."""
    for version in sorted((path / "_delta_log").glob("*[0-9].json")):
        actions = (json.loads(line) for line in version.read_text(encoding="utf-8").splitlines())
        yield from (each["add"] for each in actions if "add" in each)


def _removal(old: dict[str, Any]) -> dict[str, Any]:
    same = {name: old[name] for name in ("path", "partitionValues", "size")}
    return {
        "remove": {
            **same,
            "extendedFileMetadata": True,
            "deletionTimestamp": old["modificationTime"],
            "dataChange": False,
        }
    }


def _commit(path: Path, version: int, actions: Sequence[dict[str, Any]]) -> None:
    about = {"commitInfo": {"timestamp": actions[0]["add"]["modificationTime"], "operation": "OPTIMIZE"}}
    text = "\n".join(json.dumps(each) for each in (about, *actions))
    (path / "_delta_log" / f"{version:020}.json").write_text(text, encoding="utf-8")

"""Compare silver with bronze: O4, O6 and O9 of the lake, recomputed in plain Python over all rows at once.

Nothing here is shared with the pipeline or with `verify`. Each oracle returns the contradictions as texts; an empty
list means that all is right.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from storage import files
from storage.location import Location
from tests import oracles
from tests.lake_oracles import order_free_hash, table, utc

Row = dict[str, Any]
PROVENANCE = ("published_at", "published_at_basis", "retrieved_at", "chunk_id", "row_number")


def silver_keys(lake: Location, dataset: str) -> list[str]:
    """O4: a key stands once in silver, and its row is the newest of its revisions by (clock, offset)."""
    key = _contract(lake, dataset)["key"]
    rows, revisions = _silver(lake, dataset), _silver(lake, f"{dataset}_revisions")
    found = [f"silver.{dataset}: key {each} stands {n} times" for each, n in _counted(rows, key).items() if n > 1]
    of_version = [*key, "known_from"]
    found += [
        f"silver.{dataset}_revisions: version {each} stands {n} times"
        for each, n in _counted(revisions, of_version).items()
        if n > 1
    ]
    newest: dict[Any, Row] = {}
    for row in revisions:
        newest[_of(row, key)] = max(newest.get(_of(row, key), row), row, key=_sequence)
    newest = {
        each: {name: value for name, value in row.items() if name != "is_withdrawn"}
        for each, row in newest.items()
        if not row.get("is_withdrawn")
    }
    stored = {_of(row, key): row for row in rows}
    found += [
        f"silver.{dataset}: key {each} is not the newest of its revisions"
        for each in newest.keys() | stored.keys()
        if newest.get(each) != stored.get(each)
    ]
    return sorted(found)


def silver_follows(lake: Location, dataset: str) -> list[str]:
    """O6: revisions are what one pass over all of bronze gives, by an order-free hash; the keys that differ are named.

    A row equal to the version before it is no version; nor is a withdrawal of a key without a value. Records in
    quarantine do not count.
    """
    contract = _contract(lake, dataset)
    key, values = contract["key"], _values(contract)
    expected = _histories([*_eligible(lake, dataset), *_withdrawals(lake, dataset, contract)], key, values)
    stored = {
        each: [(_utc(row["known_from"]), _said(row, values)) for row in sorted(rows, key=lambda row: row["known_from"])]
        for each, rows in _grouped(_silver(lake, f"{dataset}_revisions"), key).items()
    }
    if _hash(expected) == _hash(stored):
        return []
    different = sorted(str(each) for each in expected.keys() | stored.keys() if expected.get(each) != stored.get(each))
    return [f"silver.{dataset}_revisions: key {each} is not what bronze gives" for each in different]


def conserved(lake: Location, dataset: str) -> list[str]:
    """O9: every record of bronze became a version, repeats one, or stands in quarantine; none is in two of these.

    One that did not decode keeps its bytes and says why. Quarantine holds each of its records once, and only bronze's.
    """
    contract = _contract(lake, dataset)
    key, values = contract["key"], _values(contract)
    found = []
    rows = table(lake, f"bronze.{dataset}", ["partition", "offset", "decode_status", "value"])
    if rows is not None:
        bare = "decode_status IS NULL OR (decode_status NOT IN ('ok', 'tombstone') AND value IS NULL)"
        for partition, offset in duckdb.sql(f'SELECT "partition", "offset" FROM rows WHERE {bare}').fetchall():
            found.append(f"bronze.{dataset}: {partition}/{offset} did not decode and has lost its bytes or its reason")
    decoded = {_place(row) for row in _decoded(lake, dataset)}
    aside = _quarantined(lake, dataset)
    found += [f"quarantine: {dataset} {place} stands {n} times" for place, n in Counter(aside).items() if n > 1]
    found += [f"quarantine: {dataset} {place} is no decoded record of bronze" for place in set(aside) - decoded]
    versions = {_place(row) for row in _silver(lake, f"{dataset}_revisions") if not row.get("is_withdrawn")}
    found += [f"{dataset} {place} is a version and in quarantine too" for place in versions & set(aside)]
    said = {
        each: {_of(row, values) for row in history}
        for each, history in _grouped(_silver(lake, f"{dataset}_revisions"), key).items()
    }
    found += [
        f"{dataset} {_place(row)} is neither a version, nor repeats one, nor in quarantine"
        for row in _eligible(lake, dataset)
        if _of(row, values) not in said.get(_of(row, key), set())
    ]
    return sorted(found)


def _contract(lake: Location, dataset: str) -> dict[str, Any]:
    """One that is shipped, or of a file that was migrated into this lake's home."""
    own = lake.parent / "contracts" / f"{dataset}.avsc"
    file = own if files.exists(own) else oracles.SCHEMAS / f"{dataset}.avsc"
    found: dict[str, Any] = json.loads(files.read(file))
    return found


def _values(contract: dict[str, Any]) -> list[str]:
    names = [field["name"] for field in contract["fields"]]
    return [name for name in names if name not in contract["key"] and name not in PROVENANCE]


def _decoded(lake: Location, dataset: str) -> list[Row]:
    """The records of bronze that decoded, with their place and their clock."""
    rows = table(lake, f"bronze.{dataset}", ["partition", "offset", "decode_status", "record"])
    if rows is None:
        return []
    found: list[Row] = (
        duckdb.sql(
            """SELECT record.*, "partition" AS kafka_partition, "offset" AS kafka_offset,
               coalesce(record.published_at, record.retrieved_at) AS known_from FROM rows WHERE decode_status = 'ok'"""
        )
        .to_arrow_table()
        .to_pylist()
    )
    return found


def _eligible(lake: Location, dataset: str) -> list[Row]:
    aside = set(_quarantined(lake, dataset))
    return [row for row in _decoded(lake, dataset) if _place(row) not in aside]


def _silver(lake: Location, name: str) -> list[Row]:
    rows = table(lake, f"silver.{name}")
    return [] if rows is None else rows.to_pylist()


def _quarantined(lake: Location, dataset: str) -> list[tuple[int, int]]:
    rows = table(lake, "silver.quarantine", ["dataset", "kafka_partition", "kafka_offset"])
    return [] if rows is None else [_place(row) for row in rows.to_pylist() if row["dataset"] == dataset]


def _withdrawals(lake: Location, dataset: str, contract: dict[str, Any]) -> list[Row]:
    """The withdrawals of a dataset as rows of it: the fields of the key as Python values, and nothing else."""
    rows = table(lake, "bronze.ingest_withdrawals", ["partition", "offset", "decode_status", "record"])
    if rows is None:
        return []
    types = {field["name"]: field["type"] for field in contract["fields"]}
    found = []
    for row in rows.to_pylist():
        record = row["record"]
        if row["decode_status"] == "ok" and record["dataset"] == dataset:
            texts = dict(record["key_fields"])
            found.append(
                {name: _typed(texts.get(name), types[name]) for name in contract["key"]}
                | {
                    "is_withdrawn": True,
                    "known_from": record["published_at"] or record["retrieved_at"],
                    "kafka_partition": row["partition"],
                    "kafka_offset": row["offset"],
                }
            )
    return found


def _typed(text: str | None, avro: Any) -> Any:
    kinds = [each if isinstance(each, str) else each.get("logicalType") for each in _branches(avro)]
    if text is None or "string" in kinds:
        return text
    if "date" in kinds:
        return date.fromisoformat(text)
    if "timestamp-micros" in kinds:
        return datetime.fromisoformat(text)
    return Decimal(text) if "decimal" in kinds else int(text)


def _branches(avro: Any) -> list[Any]:
    return avro if isinstance(avro, list) else [avro]


def _said(row: Row, values: list[str]) -> tuple[Any, ...] | None:
    """The values of a row; None for a withdrawal."""
    return None if row.get("is_withdrawn") else _of(row, values)


def _histories(rows: Iterable[Row], key: list[str], values: list[str]) -> dict[Any, list[Any]]:
    """Key → its versions in time, (clock, what it says): of one clock the first stands, values before withdrawals."""
    found = {}
    for each, group in _grouped(rows, key).items():
        standing: dict[Any, Row] = {}
        for row in sorted(group, key=lambda row: (bool(row.get("is_withdrawn")), row["kafka_offset"])):
            standing.setdefault(_utc(row["known_from"]), row)
        history: list[Any] = []
        for clock in sorted(standing):
            said = _said(standing[clock], values)
            if (history[-1][1] if history else None) != said:
                history.append((clock, said))
        if history:
            found[each] = history
    return found


def _hash(histories: dict[Any, list[Any]]) -> tuple[int, int]:
    """Of all versions, whatever the order."""
    return order_free_hash((each, *version) for each, history in histories.items() for version in history)


def _grouped(rows: Iterable[Row], key: list[str]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[_of(row, key)].append(row)
    return found


def _counted(rows: Iterable[Row], columns: list[str]) -> dict[Any, int]:
    return Counter(_of(row, columns) for row in rows)


def _of(row: Row, columns: list[str]) -> tuple[Any, ...]:
    return tuple(_utc(row[name]) for name in columns)


def _utc(value: Any) -> Any:
    """An instant in UTC, whatever zone a reader has put on it, and a map in order: equal values must look equal."""
    if isinstance(value, list):
        return tuple(sorted(value))
    return utc(value)


def _place(row: Row) -> tuple[int, int]:
    return (row["kafka_partition"], row["kafka_offset"])


def _sequence(row: Row) -> tuple[Any, int]:
    return (row["known_from"], row["kafka_offset"])

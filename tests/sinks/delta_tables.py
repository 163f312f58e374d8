"""Delta tables made of single rows, without a JVM, for tests of their files."""

import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, write_deltalake
from deltalake.schema import PrimitiveType, StructType

from sinks.tables import PROPERTIES

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
TODAY = date(2025, 1, 9)
DAY_SECONDS = 86_400

SCHEMA = Schema(
    [
        Field("number", PrimitiveType("long"), nullable=False),
        Field("name", PrimitiveType("string")),
        Field("at", PrimitiveType("timestamp")),
        Field("price", PrimitiveType("decimal(20,6)")),
        Field("value", PrimitiveType("binary")),
        Field(
            "record", StructType([Field("seen", PrimitiveType("timestamp")), Field("count", PrimitiveType("integer"))])
        ),
        Field("year", PrimitiveType("integer")),
        Field("month", PrimitiveType("integer")),
        Field("day", PrimitiveType("integer")),
    ]
)


def made(path: str) -> str:
    """An empty table with a partition per day."""
    DeltaTable.create(
        path,
        SCHEMA,
        partition_by=["year", "month", "day"],
        configuration={**PROPERTIES, "delta.dataSkippingStatsColumns": "number,at"},
    )
    return path


def row(number: int, day: int = 1) -> dict[str, Any]:
    at = NOON + timedelta(days=day - 1, microseconds=number)
    return {
        "number": number,
        "name": None if number % 3 == 0 else f"name {number}",
        "at": at,
        "price": Decimal(number) / 8,
        "value": bytes([number % 256, 0]),
        "record": {"seen": at, "count": None if number % 2 else number},
        "year": 2025,
        "month": 1,
        "day": day,
    }


def add(path: str, *numbers: int, day: int = 1, once: Transaction | None = None) -> None:
    """A commit with one file of these rows."""
    rows = pa.Table.from_pylist([row(number, day) for number in numbers], schema=pa.schema(SCHEMA.to_arrow()))
    properties = CommitProperties(app_transactions=[once] if once else [])
    write_deltalake(path, rows, mode="append", commit_properties=properties)


def held(path: str) -> list[dict[str, Any]]:
    """All rows, by number."""
    return sorted(DeltaTable(path).to_pyarrow_table().to_pylist(), key=lambda each: each["number"])


def numbers(path: str) -> list[int]:
    return [each["number"] for each in held(path)]


def commit(path: str, version: int | None = None) -> list[dict[str, Any]]:
    """The actions of a version, the newest by default."""
    found = DeltaTable(path).version() if version is None else version
    text = (Path(path) / "_delta_log" / f"{found:020}.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


def age(path: str | Path, days: float) -> None:
    """Make every file below a folder that old."""
    then = time.time() - days * DAY_SECONDS
    for file in Path(path).rglob("*"):
        if file.is_file():
            os.utime(file, (then, then))


def log_versions(path: str) -> list[int]:
    """Versions whose commits are there."""
    return sorted(int(file.stem) for file in (Path(path) / "_delta_log").glob("*.json") if file.stem.isdecimal())

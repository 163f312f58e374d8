"""Append facts that somebody declared to a small table about the pipeline, which is made for the first of them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from deltalake import Schema

from sinks import tables
from sinks.arrow_commit import append
from storage import delta


def declare(path: str, facts: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Add rows in one commit and without a Spark job. Args: schema: all columns of the table."""
    if not facts:
        return
    if not tables.exists(path):
        delta.create(path, Schema.from_arrow(schema), configuration=tables.properties_of(path))
    append(pa.Table.from_pylist(list(facts), schema=schema), path)

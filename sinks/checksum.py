"""The checksum file of a table's version: what Spark needs to know of a version without reading the log.

Spark writes one beside each of its commits, and delta-rs writes none. Without it, Spark plans and runs a query over the
log for every version that a stream reads, only to find the protocol and the columns, and compiles a class for each,
because the version's number is in the generated code. A commit is valid without it, so a failure to write it is no
failure of the commit.

The form is Delta's: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#version-checksum-file
"""

import contextlib
import json
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from foundation.errors import CorrentezaError
from storage import delta, files
from storage.errors import errors_of
from storage.location import Location, location

KEPT = 100
"""Versions whose file stays. A stream looks at new versions; more files would only make the log's folder longer."""


_described: dict[str, DeltaTable] = {}
"""Table → itself at the version that this process described last."""


def write_checksum(path: str, before: DeltaTable) -> None:
    """Describe the table's newest version, unless a file describes it already, and remove the file of an old one.

    Args: before: the table as it was opened for the commit.
    """
    with contextlib.suppress(OSError, DeltaError, CorrentezaError):
        table = _newest(path, before)
        # Spark may have written one, with a check of its own beside it.
        files.create(_file(path, table.version()), json.dumps(checksum_of(table)).encode())
        if table.version() >= KEPT:
            files.remove(_file(path, table.version() - KEPT))
        _described[path] = table


def _newest(path: str, before: DeltaTable) -> DeltaTable:
    """The newest version. To open the table would read its log since the last checkpoint again; here as a rule one
    commit is read. A table that was made again, or restored from a copy, is opened.
    """
    known = _described.pop(path, None)  # taken out: two threads that commit to a table never share it
    if known is None or known.version() > before.version() or known.metadata().id != before.metadata().id:
        return delta.table(path)
    with errors_of(path):
        known.update_incremental()
    return known


def checksum_of(table: DeltaTable) -> dict[str, Any]:
    """What the file says about the version that is open: bytes and number of its files, its protocol and metadata."""
    metadata, protocol = table.metadata(), table.protocol()
    sizes = pa.table(table.get_add_actions())["size_bytes"].to_pylist()
    features = {"readerFeatures": protocol.reader_features, "writerFeatures": protocol.writer_features}
    return {
        "tableSizeBytes": sum(sizes),
        "numFiles": len(sizes),
        "numMetadata": 1,
        "numProtocol": 1,
        "metadata": {
            "id": metadata.id,
            "name": metadata.name,
            "description": metadata.description,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": table.schema().to_json(),
            "partitionColumns": metadata.partition_columns,
            "configuration": metadata.configuration,
            "createdTime": metadata.created_time,
        },
        "protocol": {
            "minReaderVersion": protocol.min_reader_version,
            "minWriterVersion": protocol.min_writer_version,
            **{name: value for name, value in features.items() if value is not None},
        },
    }


def _file(path: str, version: int) -> Location:
    return location(path) / "_delta_log" / f"{version:020}.crc"

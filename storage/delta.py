"""Delta tables by delta-rs, wherever they stand: the only place that opens or makes one by its address."""

from collections.abc import Mapping, Sequence
from typing import Any

from deltalake import DeltaTable, Schema

from storage import files
from storage.errors import errors_of
from storage.location import Address, Remote, location


def table(address: Address, version: int | None = None) -> DeltaTable:
    """A table at its newest version, or at another one. Raises: deltalake's TableNotFoundError; TransientError."""
    with errors_of(address):
        return DeltaTable(str(address), version=version, storage_options=_options(address))


def exists(address: Address) -> bool:
    """Whether a Delta table stands there. Raises: TransientError."""
    place = location(address)
    if isinstance(place, Remote):  # delta-rs repeats this one question for 40 s while a store is away
        return files.is_folder(place / "_delta_log")
    return bool(DeltaTable.is_deltatable(str(address)))


def create(
    address: Address, schema: Schema, *, partition_by: Sequence[str] = (), configuration: Mapping[str, str | None]
) -> DeltaTable:
    """Make a table; one that is there stays as it is. Raises: TransientError."""
    with errors_of(address):
        return DeltaTable.create(
            str(address),
            schema,
            mode="ignore",
            partition_by=list(partition_by),
            configuration=dict(configuration),
            storage_options=_options(address),
        )


def filesystem(address: Address) -> Any:
    """Arrow's file system whose root is the table's folder, for `to_pyarrow_dataset`; None leaves it to delta-rs."""
    place = location(address)
    if not isinstance(place, Remote):
        return None
    from pyarrow import fs

    return fs.SubTreeFileSystem(f"{place.bucket}/{place.key}", place.s3.arrow())


def _options(address: Address) -> dict[str, str] | None:
    place = location(address)
    return place.s3.delta if isinstance(place, Remote) else None

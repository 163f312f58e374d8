"""Publish one file of the legacy system: archived first, then chunk by chunk, as every other payload."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from producers.archive import Archive, read_blocks
from producers.fetch.http import Client
from producers.legacy import copy_text, sqlite_file
from producers.legacy.declared import scope
from producers.legacy.mapping import ROW, Mapping
from producers.model import Part, Resource, Source
from producers.payloads import MEDIA_BODY
from producers.poll import Services, open_session
from producers.publication_clock import NONE
from producers.schedule import slots
from producers.session import Tally

RESOURCE = "file"
"""The resource of every migrated file: its cursor holds one part per file."""


def payload_blocks(mapping: Mapping, file: Path) -> Iterable[bytes]:
    """What is archived of a file: a CSV file's own bytes, or a SQLite table in COPY format.

    Raises: UsageError, UnsafeState: the file cannot be read as the mapping says.
    """
    if mapping.kind == "csv":
        yield from read_blocks(file)
        return
    assert mapping.table is not None
    with sqlite_file.opened(file) as connection:
        yield from sqlite_file.extract(connection, sqlite_file.shape(connection, mapping.table))


def without_rows(mapping: Mapping) -> bytes:
    """A payload with the mapping's columns and no row: published after a file, it withdraws all rows of that."""
    names = [column.name for column in mapping.columns]
    if mapping.kind == "sqlite":
        return ("\t".join(map(copy_text.cell, [ROW, *names])) + "\n").encode()
    quoted = mapping.delimiter.join('"' + name.replace('"', '""') + '"' for name in names)
    return (quoted + "\n").encode(mapping.encoding)


def publish(
    source: Source,
    mapping: Mapping,
    services: Services,
    *,
    part_key: str,
    blocks: Iterable[bytes],
    at: datetime,
    chunk_rows: int,
    confirm: Callable[[], None] = lambda: None,
    may_withdraw_all: bool = False,
    on_chunk: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Archive the blocks and publish them as one edition of a part; the same bytes again publish nothing.

    A run that was killed is finished first, from the archive.

    Args:
        part_key: name of the file.
        confirm: called once the blocks are archived; raises when they are not to be published.
        may_withdraw_all: of a rollback: rows that the edition lacks are withdrawn without asking a person.

    Raises: InvalidContent when the header is not the mapping's; UnsafeState when earlier rows of the file wait for a
    decision; what the publisher raises.
    """
    if may_withdraw_all:
        source = replace(source, most_withdrawn=1.0)
    with Client.for_source(source, None, None) as client:
        slot_id = slots.slot_id(source.name, at)
        session = open_session(source, services, client, owner=source.name, slot_id=slot_id, at=at)
        session.chunk_rows, session.on_chunk = chunk_rows, on_chunk
        session.finish_started()
        about = {"source": source.name, "resource": RESOURCE, "part": part_key, "media": MEDIA_BODY, "retrieved_at": at}
        payload = Archive(services.archive, services.spool).put(blocks, about)
        failpoint("after_archive_legacy")
        confirm()
        cursor = session.cursor(Resource(RESOURCE, ""))
        edition = session.begin_edition(
            cursor,
            Part(RESOURCE, part_key, part_key, at),
            payload,
            published=(None, NONE),
            crc32=None,
            size=payload.size,
            scope=scope(mapping, part_key),
        )
        if edition is None:
            session.tally.unchanged_parts += 1
        else:
            session.publish(cursor, edition, None)
        if may_withdraw_all and cursor.held(part_key):
            session.accept(cursor, part_key)
        if session.tally.problems:
            raise UnsafeState(f"{part_key}: {session.tally.problems[0]}", hint="correnteza migrate plan")
        return session.tally

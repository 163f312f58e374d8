"""Run a source's parser on local files: what `correnteza parse` prints, without Kafka and without a network."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath

import pyarrow as pa

from foundation.errors import InvalidContent, UsageError
from producers import encode, zips
from producers.archive import read_blocks
from producers.chunk import chunk_id
from producers.clock import NONE
from producers.model import Json, Part, Source, Span
from schemas.contracts import load

ROWS_AT_ONCE = 2_000
EVERYTHING = Span(date(1900, 1, 1))


@dataclass
class Counts:
    """What was printed."""

    rows: int = 0
    rejects: int = 0


def parse_file(source: Source, dataset: str, file: Path, series: str | None, counts: Counts) -> Iterator[Json]:
    """Every row of a dataset, then the rejects, chunk by chunk, as JSON objects.

    A part that holds only other datasets of the source (ANATEL's totals) is given as those.

    Raises: InvalidContent; UsageError when the file cannot be read.
    """
    try:
        retrieved_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        for part, blocks in _parts(source, file, series, retrieved_at):
            yield from _parse_part(source, dataset, part, blocks, retrieved_at=retrieved_at, counts=counts)
    except InvalidContent as error:
        raise InvalidContent(f"{file}: {error}") from error
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _parts(
    source: Source, file: Path, series: str | None, retrieved_at: datetime
) -> Iterator[tuple[Part, Iterator[bytes]]]:
    resource = series or file.stem
    if source.select is None or not zipfile.is_zipfile(file):
        yield Part(resource, file.name, file.name, retrieved_at), read_blocks(file)
        return
    with file.open("rb", buffering=0) as handle:
        members = {member.name: member for member in zips.directory(handle)}
    declared = source.resources(retrieved_at.date(), EVERYTHING)[0]
    for key, name in source.select(declared, list(members), EVERYTHING).items():
        member = members[name]
        zips.check(member)
        span = read_blocks(file, member.start, member.end - member.start)
        yield Part(resource, key, PurePosixPath(name).name, retrieved_at), zips.inflate(span, member)


def _parse_part(
    source: Source, dataset: str, part: Part, blocks: Iterator[bytes], *, retrieved_at: datetime, counts: Counts
) -> Iterator[Json]:
    for parsed in source.parse(blocks, part, chunk_rows=ROWS_AT_ONCE):
        # Nothing was published from a local file: the id names the file's chunk, and no payload or edition.
        name = chunk_id(source.name, part, "", 0, parsed.first_row)
        wanted = [dataset] if dataset in parsed.records else list(parsed.records)
        for each in wanted:
            for row in _rows(each, parsed.records[each], name, retrieved_at):
                counts.rows += 1
                yield row
        for reject in parsed.rejects:
            if reject.dataset in wanted:
                counts.rejects += 1
                yield {
                    "rejected": True,
                    "source": source.name,
                    "dataset": reject.dataset,
                    "chunk_id": name,
                    "row_number": reject.row_number,
                    "reason": reject.reason.value,
                    "detail": reject.detail,
                    "raw": reject.raw.decode("utf-8", errors="backslashreplace"),
                    "retrieved_at": encode.key_text(retrieved_at),
                }


def _rows(dataset: str, records: pa.RecordBatch, name: str, retrieved_at: datetime) -> Iterator[Json]:
    constant: Json = {
        "published_at": None,
        "published_at_basis": NONE,
        "retrieved_at": encode.key_text(retrieved_at),
        "chunk_id": name,
    }
    columns = {column: _plain(records.column(column)) for column in records.schema.names}
    fields = load(dataset).fields
    for number in range(records.num_rows):
        row: Json = {"dataset": dataset}
        for field in fields:
            row[field] = constant[field] if field in constant else columns[field][number]
        yield row


def _plain(column: pa.Array) -> list[object]:
    """Dates, instants and decimals as text; the rest as it is."""
    kind = column.type
    if not (pa.types.is_temporal(kind) or pa.types.is_decimal(kind)):
        return list(column.to_pylist())
    encoded = column.dictionary_encode()
    texts = [None if value is None else encode.key_text(value) for value in encoded.dictionary.to_pylist()]
    return list(pa.array(texts, pa.string()).take(encoded.indices).to_pylist())

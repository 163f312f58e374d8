"""Run a source's parser on local files: for `correnteza parse`, without Kafka and without a network."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath

import pyarrow as pa

from foundation.errors import InvalidContent, UsageError
from producers import encode
from producers.archive import read_blocks
from producers.chunk import chunk_id
from producers.formats import zips
from producers.model import Json, Part, Source, Span
from producers.publication_clock import NONE
from schemas.contracts import load

ROWS_AT_ONCE = 2_000
EVERYTHING = Span(date(1900, 1, 1))


# Option → a field of the contract that is not in the body but in the address of the request.
_RESOURCE_FIELDS = {"series": "series_code", "table": "table_id", "currency": "currency_code", "point": "point_id"}
_FIELDS = {**_RESOURCE_FIELDS, "model": "model"}

_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass
class Counts:
    """The numbers of printed rows and rejects."""

    rows: int = 0
    rejects: int = 0


@dataclass(frozen=True)
class Context:
    """The information that a parser takes from the address of a request.

    Attributes:
        resource: the series, table, currency or point; None uses the file's name.
        model: of a weather body; None uses the source's default.
    """

    resource: str | None = None
    model: str | None = None


def context(dataset: str, options: Mapping[str, str | None]) -> Context:
    """The context from the options of the command line.

    Args:
        options: `series`, `table`, `currency`, `point` and `model`; None where not given.

    Raises: UsageError for an option that this dataset does not have, naming its options.
    """
    fields = load(dataset).fields
    given = {name: value for name, value in options.items() if value is not None}
    known = [f"--{name}" for name, field in _FIELDS.items() if field in fields]
    for name in given:
        if _FIELDS[name] not in fields:
            hint = f"{dataset} takes {' and '.join(known)}" if known else f"{dataset} takes no such option"
            raise UsageError(f"--{name} is not an option of {dataset}", hint=hint)
    resource = next((given[name] for name in _RESOURCE_FIELDS if name in given), None)
    return Context(resource, given.get("model"))


def lines(source: Source, dataset: str, file: Path, about: Context, counts: Counts) -> Iterator[str]:
    """As `parse_file`, each object as one line of JSON without its line end."""
    return map(_dump, parse_file(source, dataset, file, about, counts))


def parse_file(source: Source, dataset: str, file: Path, about: Context, counts: Counts) -> Iterator[Json]:
    """Every row of a dataset, then the rejects, chunk by chunk, as JSON objects.

    If a part holds only other datasets of the source (ANATEL's totals), those are returned.

    Raises: InvalidContent; UsageError when the file cannot be read.
    """
    try:
        retrieved_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        for part, blocks in _parts(source, file, about.resource or file.stem, retrieved_at):
            for row in _parse_part(source, dataset, part, blocks, retrieved_at=retrieved_at, counts=counts):
                if about.model is not None and "model" in row:
                    row["model"] = about.model
                yield row
    except InvalidContent as error:
        raise InvalidContent(f"{file}: {error}") from error
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _parts(source: Source, file: Path, resource: str, retrieved_at: datetime) -> Iterator[tuple[Part, Iterator[bytes]]]:
    if source.select is None or not zipfile.is_zipfile(file):
        yield Part(resource, file.name, file.name, retrieved_at), read_blocks(file)
        return

    def fetch(start: int, end: int) -> bytes:
        return b"".join(read_blocks(file, start, end - start))

    # With the same file object as for a remote zip, so that the same limits apply.
    members = {member.name: member for member in zips.directory(zips.RangeFile(file.stat().st_size, fetch))}
    declared = source.resources(retrieved_at.date(), EVERYTHING)[0]
    for key, name in source.select(declared, list(members), EVERYTHING).items():
        member = members[name]
        zips.check(member)
        span = read_blocks(file, member.start, member.end - member.start)
        yield Part(resource, key, PurePosixPath(name).name, retrieved_at), zips.inflate(span, member)


def _parse_part(
    source: Source, dataset: str, part: Part, blocks: Iterator[bytes], *, retrieved_at: datetime, counts: Counts
) -> Iterator[Json]:
    wanted: set[str] = set()
    for parsed in source.parse(blocks, part, chunk_rows=ROWS_AT_ONCE):
        # The first chunk shows the datasets of the part: a station's own record is only there.
        held = parsed.records.keys() | {reject.dataset for reject in parsed.rejects}
        wanted = wanted or ({dataset} if dataset in held else set(held))
        # Nothing was published from a local file, so the id has the chunk of the file, but no payload or edition.
        name = chunk_id(source.name, part, "", 0, parsed.first_row)
        for each in sorted(wanted & parsed.records.keys()):
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
    """Dates, instants and decimals as text, maps as objects; the rest as it is."""
    kind = column.type
    if pa.types.is_map(kind):
        return [None if pairs is None else dict(pairs) for pairs in column.to_pylist()]
    if not (pa.types.is_temporal(kind) or pa.types.is_decimal(kind)):
        return list(column.to_pylist())
    encoded = column.dictionary_encode()
    texts = [None if value is None else encode.key_text(value) for value in encoded.dictionary.to_pylist()]
    return list(pa.array(texts, pa.string()).take(encoded.indices).to_pylist())

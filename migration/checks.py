"""`migrate verify`: the rows of a file against what Delta holds of them, chunk by chunk and column by column."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from migration import source_rows
from migration.compared import ChunkCheck, ColumnCheck, FileCheck, MonthCheck
from migration.source_rows import SourceRow
from monitoring.lake import Lake
from producers.legacy.mapping import FILE, PROVENANCE, ROW, UNVERIFIED, Mapping
from producers.legacy.publish import RESOURCE
from producers.legacy.values import canonical

SAMPLES = 8
"""Rows that are shown side by side, spread evenly over the file."""

_NUMERIC = {"int", "real", "decimal"}


@dataclass
class _Totals:
    """What is summed up over the accepted rows of the file."""

    mapping: Mapping
    nulls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    least: dict[str, Any] = field(default_factory=dict)
    most: dict[str, Any] = field(default_factory=dict)
    sums: dict[tuple[str, str], list[Any]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Accepted rows of one chunk."""
        if not rows:
            return
        columns = dict(zip((column.field for column in self.mapping.columns), zip(*rows, strict=True), strict=True))
        months = [_month(day) for day in columns[self.mapping.day]] if self.mapping.day else []
        for column in self.mapping.columns:
            values = columns[column.field]
            there = [value for value in values if value is not None]
            self.nulls[column.field] += len(values) - len(there)
            if there:
                self.least[column.field] = min([*_known(self.least, column.field), min(there)])
                self.most[column.field] = max([*_known(self.most, column.field), max(there)])
            if months and column.kind in _NUMERIC:
                self._sum(column.field, months, values)

    def _sum(self, name: str, months: Sequence[str | None], values: Sequence[Any]) -> None:
        of_month: dict[str, list[Any]] = defaultdict(list)
        for month, value in zip(months, values, strict=True):
            if month is not None and value is not None:
                of_month[month].append(value)
        for month, found in of_month.items():
            total = self.sums[month, name]
            total[0] += len(found)
            total[1] += math.fsum(map(float, found))


def _known(of: dict[str, Any], name: str) -> list[Any]:
    return [of[name]] if name in of else []


def _month(day: date | None) -> str | None:
    return None if day is None else f"{day.year:04}-{day.month:02}"


def check(lake: Lake, mapping: Mapping, file: Path, part_key: str) -> FileCheck:
    """Compare a file with what Delta holds of it.

    Args: part_key: name under which the file was published.
    """
    chunks = _chunks(lake, mapping, part_key)
    totals, samples = _Totals(mapping), _Samples(sum(chunk.published for chunk in chunks))
    ranges = _see_source(mapping, file, chunks, totals, samples)
    table, there = f"silver.{mapping.dataset}", lake.has(f"silver.{mapping.dataset}")
    if there:
        for chunk, numbers in zip(chunks, ranges, strict=True):
            _see_stored(lake, mapping, part_key, chunk, numbers)
    where = f"FROM {table} WHERE {FILE} = ?"
    stored = _number(lake, f"SELECT count(*) {where}", part_key) if there else 0
    marked = _number(lake, f"SELECT count(*) {where} AND {PROVENANCE} = '{UNVERIFIED}'", part_key) if there else 0
    return FileCheck(
        file=part_key,
        chunks=chunks,
        columns=list(_columns(lake, mapping, part_key, totals)) if there else [],
        months=list(_months(lake, mapping, part_key, totals)) if there else [],
        stored=stored,
        marked=marked,
        samples=list(_beside(lake, mapping, part_key, samples)) if there else [],
    )


def _number(lake: Lake, query: str, part_key: str) -> int:
    return int(str(lake.value(query, [part_key])))


def _chunks(lake: Lake, mapping: Mapping, part_key: str) -> list[ChunkCheck]:
    """The chunks of the newest edition of the file that held rows of it, in order."""
    if not lake.has("bronze.ingest_manifests"):
        return []
    rows = lake.rows(
        """
        SELECT record.chunk_id AS chunk_id, record.first_row AS first_row, record.rows_published AS published,
               record.rows_rejected AS rejected, record.edition AS edition
        FROM bronze.ingest_manifests
        WHERE decode_status = 'ok' AND record.source = ? AND record.resource = ? AND record.part_key = ?
        QUALIFY record.edition = max(record.edition) OVER () ORDER BY first_row""",
        [mapping.dataset, RESOURCE, part_key],
    )
    found = [ChunkCheck(*(row[name] for name in _MANIFEST)) for row in rows]  # type: ignore[arg-type]
    return [chunk for chunk in found if chunk.published or chunk.rejected]


_MANIFEST = ("chunk_id", "first_row", "published", "rejected")


class _Samples:
    """Rows of the file that are shown, every so many of the accepted ones."""

    def __init__(self, count: int) -> None:
        self._every = max(1, count // SAMPLES)
        self._seen = 0
        self.rows: list[SourceRow] = []

    def offer(self, row: SourceRow) -> None:
        if self._seen % self._every == 0 and len(self.rows) < SAMPLES:
            self.rows.append(row)
        self._seen += 1


def _see_source(
    mapping: Mapping, file: Path, chunks: Sequence[ChunkCheck], totals: _Totals, samples: _Samples
) -> list[tuple[int, int] | None]:
    """Count and sum up the file's rows; per chunk the least and greatest number of its accepted rows."""
    ranges: list[tuple[int, int] | None] = []
    rows = source_rows.read(mapping, file)
    waiting = next(rows, None)
    for place, chunk in enumerate(chunks):
        end = chunks[place + 1].first_row if place + 1 < len(chunks) else math.inf
        accepted: list[SourceRow] = []
        while waiting is not None and waiting.position < end:
            if waiting.values is None:
                chunk.source_bad += 1
            else:
                accepted.append(waiting)
                samples.offer(waiting)
            waiting = next(rows, None)
        chunk.source_rows = len(accepted)
        made = [row.values for row in accepted if row.values is not None]
        chunk.source_sha256 = digest((row.number, values) for row, values in zip(accepted, made, strict=True))
        totals.add(made)
        numbers = [row.number for row in accepted]
        ranges.append((min(numbers), max(numbers)) if numbers else None)
    return ranges


def digest(rows: Iterable[tuple[int, Iterable[Any]]]) -> str:
    """SHA-256 of rows: each one's number and values as canonical texts, with tabs between and a line feed after."""
    found = hashlib.sha256()
    for number, values in rows:
        found.update("\t".join([str(number), *map(canonical, values)]).encode())
        found.update(b"\n")
    return found.hexdigest()


def _see_stored(
    lake: Lake, mapping: Mapping, part_key: str, chunk: ChunkCheck, numbers: tuple[int, int] | None
) -> None:
    if numbers is None:
        chunk.stored_sha256 = digest([])
        return
    rows = list(_stored(lake, mapping, part_key, f"{ROW} BETWEEN ? AND ?", list(numbers)))
    chunk.stored = len(rows)
    chunk.stored_sha256 = digest(rows)


def _stored(
    lake: Lake, mapping: Mapping, part_key: str, where: str, parameters: list[object]
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """(number, values) of rows in Delta, in order of their numbers."""
    fields = ", ".join(f'"{column.field}"' for column in mapping.columns)
    query = f"SELECT {ROW}, {fields} FROM silver.{mapping.dataset} WHERE {FILE} = ? AND {where} ORDER BY {ROW}"
    table = lake.sql(query, [part_key, *parameters])
    for number, *values in zip(*(column.to_pylist() for column in table.itercolumns()), strict=True):
        yield number, tuple(values)


def _columns(lake: Lake, mapping: Mapping, part_key: str, totals: _Totals) -> Iterator[ColumnCheck]:
    for column in mapping.columns:
        name = f'"{column.field}"'
        (row,) = lake.sql(
            f"SELECT count(*) - count({name}) AS nulls, min({name}) AS least, max({name}) AS most"
            f" FROM silver.{mapping.dataset} WHERE {FILE} = ?",
            [part_key],
        ).to_pylist()
        source = (
            totals.nulls[column.field],
            canonical(totals.least.get(column.field)),
            canonical(totals.most.get(column.field)),
        )
        yield ColumnCheck(column.field, source, (row["nulls"], canonical(row["least"]), canonical(row["most"])))


def _months(lake: Lake, mapping: Mapping, part_key: str, totals: _Totals) -> Iterator[MonthCheck]:
    numeric = [column.field for column in mapping.columns if column.kind in _NUMERIC]
    if mapping.day is None or not numeric:
        return
    sums = ", ".join(f'count("{name}") AS "n_{name}", fsum("{name}"::DOUBLE) AS "s_{name}"' for name in numeric)
    rows = lake.rows(
        f"""SELECT strftime("{mapping.day}", '%Y-%m') AS month, {sums} FROM silver.{mapping.dataset}
            WHERE {FILE} = ? AND "{mapping.day}" IS NOT NULL GROUP BY 1 ORDER BY 1""",
        [part_key],
    )
    stored = {
        (str(row["month"]), name): (row[f"n_{name}"], row[f"s_{name}"] or 0.0) for row in rows for name in numeric
    }
    for month, name in sorted({*stored, *totals.sums}):
        count, total = totals.sums.get((month, name), (0, 0.0))
        held = stored.get((month, name), (0, 0.0))
        yield MonthCheck(month, name, (count, float(total)), (int(str(held[0])), float(str(held[1]))))


def _beside(
    lake: Lake, mapping: Mapping, part_key: str, samples: _Samples
) -> Iterator[tuple[int, dict[str, str | None], dict[str, str] | None]]:
    fields = [column.field for column in mapping.columns]
    for row in samples.rows:
        stored = next(_stored(lake, mapping, part_key, f"{ROW} = ?", [row.number]), None)
        shown = None if stored is None else dict(zip(fields, map(canonical, stored[1]), strict=True))
        yield row.number, dict(zip(fields, row.texts, strict=True)), shown

"""Ask a source once, and say whether its answer is what the parser expects. Nothing is archived or published."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import CorrentezaError, InvalidContent
from producers import windows
from producers.archive import read_blocks
from producers.editions import BAD_SHARE
from producers.fetch.answers import Answer, refused, sniff
from producers.fetch.http import Client
from producers.formats import zips
from producers.model import ApiRequest, Part, Progress, Reject, Resource, Source, Span

RECENT = timedelta(days=400)
"""Days that are requested: so many that a quarterly or yearly value is among them."""


@dataclass
class Finding:
    """What one request found.

    Attributes:
        url: of the answer, without a key.
        is_empty: whether the source says that it has nothing for these days: then no structure was seen.
        size: bytes of the body, or of the zip's member.
        rows: dataset → rows that a poll would have published.
        days: dataset → first and last day of those rows, where they have days.
        rejects: `reason: detail` of rejected rows → how many.
        notes: what was unusual, and harmless: unknown fields, absent optional ones.
        problem: why nothing of it would have been published; None if the answer is as expected.
    """

    resource: str
    url: str = ""
    is_empty: bool = False
    size: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    days: dict[str, tuple[date, date]] = field(default_factory=dict)
    rejects: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    problem: CorrentezaError | None = None


def ask_once(source: Source, resource: Resource, client: Client, now: datetime) -> Finding:
    """Request a resource's newest data, or its smallest wanted zip member, and parse it. Trouble is in the finding."""
    finding = Finding(resource.name)
    try:
        if source.kind == "zip":
            _ask_zip(source, resource, client, finding)
        else:
            _ask_body(source, resource, client, now, finding)
    except CorrentezaError as error:
        finding.problem = error
    return finding


def _ask_body(source: Source, resource: Resource, client: Client, now: datetime, finding: Finding) -> None:
    def look(path: str, params: Mapping[str, str]) -> bytes:
        return _data(source, client.get(path, params)).body

    today = now.date()
    progress = Progress(today, Span(today - RECENT), frozenset(), lambda key: None, lambda key: None, look)
    assert source.plan is not None
    newest = (each for each in source.plan(resource, progress) if not windows.is_closed(each.key))
    request: ApiRequest | None = next(newest, None)
    if request is None:
        finding.is_empty = True
        return
    answer = client.get(request.path or resource.path, request.params)
    finding.url, finding.size = answer.url, len(answer.body)
    if source.is_no_news(answer.status, answer.body):
        finding.is_empty = True
        return
    body = _data(source, answer).body
    _parse(source, [body], Part(resource.name, request.key, resource.name, answer.retrieved_at), finding)


def _ask_zip(source: Source, resource: Resource, client: Client, finding: Finding) -> None:
    answer = client.ask(resource.path, etag=None, last_modified=None)
    finding.url = answer.url
    if source.is_no_news(answer.status, answer.body):
        finding.is_empty = True
        return
    version = answer.version
    if answer.status != 206 or not version.length:
        _data(source, answer)
        raise InvalidContent(f"{answer.url}: the server does not support Range requests")
    members = zips.directory(
        zips.RangeFile(version.length, lambda start, end: client.fetch(resource.path, start, end, version))
    )
    by_name = {each.name: each for each in members}
    assert source.select is not None
    chosen = source.select(resource, list(by_name), Span(source.history_start))
    if not chosen:
        raise InvalidContent(f"{answer.url}: none of its {len(members)} members is known: {', '.join(by_name)[:200]}")
    key, name = min(chosen.items(), key=lambda each: by_name[each[1]].end - by_name[each[1]].start)
    member = by_name[name]
    zips.check(member)
    finding.size = member.end - member.start
    with tempfile.NamedTemporaryFile() as spool:
        client.download(resource.path, (member.start, member.end), version, spool)  # type: ignore[arg-type]
        spool.flush()
        zips.verify(read_blocks(Path(spool.name)), member)
        part = Part(resource.name, key, PurePosixPath(name).name, answer.retrieved_at)
        _parse(source, zips.inflate(read_blocks(Path(spool.name)), member), part, finding)


def _data(source: Source, answer: Answer) -> Answer:
    """The answer, if it can be data. Raises: CorrentezaError."""
    if answer.status not in (200, 206):
        raise refused(answer.url, answer.status)
    sniff(answer, source.media)
    return answer


def _parse(source: Source, blocks: Iterable[bytes], part: Part, finding: Finding) -> None:
    """Raises: InvalidContent, also when a poll would hold the part because of its rejects."""
    for parsed in source.parse(blocks, part):
        rows = sum(records.num_rows for records in parsed.records.values())
        _count(parsed.rejects, finding)
        finding.notes += [note for note in parsed.notes if note not in finding.notes]
        if parsed.first_row == 0 and len(parsed.rejects) > BAD_SHARE * (len(parsed.rejects) + rows):
            raise InvalidContent(f"{len(parsed.rejects)} of its first {len(parsed.rejects) + rows} rows are rejected")
        for dataset, records in parsed.records.items():
            finding.rows[dataset] += records.num_rows
            if found := _bounds(source, dataset, records):
                first, last = finding.days.get(dataset, found)
                finding.days[dataset] = min(first, found[0]), max(last, found[1])


def _bounds(source: Source, dataset: str, records: pa.RecordBatch) -> tuple[date, date] | None:
    """The first and last day of some rows; None for rows without days, such as those of a register."""
    if dataset not in source.days:
        return None
    found = pc.min_max(source.days[dataset](records)).as_py()
    return None if found["min"] in (None, date.min) else (found["min"], found["max"])


def _count(rejects: Iterable[Reject], finding: Finding) -> None:
    for each in rejects:
        finding.rejects[f"{each.reason}: {each.detail}"] += 1

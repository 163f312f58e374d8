"""The types of polling and parsing: a source's declaration, and the results of its parser.

A *resource* is one URL (a year, a series, a file); the cursor is keyed by it. A *part* is what is parsed as a whole: a
zip member or a JSON body. Its `key` is stable although its name at the source may move.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import pyarrow as pa

from producers.calendars import Calendar
from producers.scope import DaysOf, Scope

CHUNK_ROWS = 20_000
"""Source rows in one chunk, and so in one transaction. Wide rows count once per month column."""

RAW_CAP = 4096
"""Bytes of a rejected row that are kept; the whole row stays in the archived payload."""


class RejectReason(StrEnum):
    """Why a row was not published: a closed list; `detail` has the rest."""

    MALFORMED_ROW = "malformed_row"
    ROW_TOO_LONG = "row_too_long"
    BAD_ENCODING = "bad_encoding"
    MISSING_VALUE = "missing_value"
    BAD_NUMBER = "bad_number"
    BAD_DATE = "bad_date"
    BAD_CODE = "bad_code"
    OUT_OF_RANGE = "out_of_range"


class BadValueError(ValueError):
    """One value breaks its contract, so the row becomes a reject. It is not an error of the program."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail[:200]


@dataclass(frozen=True)
class Reject:
    """A row that is not published, with its place and reason. `raw` is capped at RAW_CAP bytes."""

    dataset: str
    row_number: int
    reason: RejectReason
    detail: str
    raw: bytes


@dataclass(frozen=True)
class Resource:
    """One URL that a source polls.

    Attributes:
        name: stable; the cursor's key beside the source's name.
        path: below the source's base URL.
    """

    name: str
    path: str


@dataclass(frozen=True)
class Span:
    """The days whose data are wanted, both ends included. The live schedule's has no last day."""

    first: date
    last: date = date.max

    def owns(self, last_day: date) -> bool:
        """Whether a period that ends on this day is wanted. If two spans follow each other, exactly one of them owns
        each period."""
        return self.first <= last_day <= self.last


@dataclass(frozen=True)
class Part:
    """The information that a parser gets about its bytes.

    Attributes:
        resource: name of the resource it came from.
        key: stable name of the part in its resource.
        name: the name at the source: a member's base name, or the key.
        retrieved_at: when the bytes were fetched, UTC; a resumed part keeps the first time.
    """

    resource: str
    key: str
    name: str
    retrieved_at: datetime


@dataclass(frozen=True)
class Parsed:
    """The rows of one chunk.

    Attributes:
        first_row: source row with which the chunk begins, 0-based.
        next_row: source row with which the next one begins.
        records: dataset → the contract's fields up to `published_at`, and `row_number`.
        notes: harmless oddities, such as an undeclared column.
    """

    first_row: int
    next_row: int
    records: Mapping[str, pa.RecordBatch]
    rejects: tuple[Reject, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Publication:
    """When a dataset's values normally become public.

    Attributes:
        period_end: records → the instants (microseconds, UTC) at which the described periods end.
        lag: time from there to the first publication.
    """

    period_end: Callable[[pa.RecordBatch], pa.Array]
    lag: Callable[[Part], timedelta]


@dataclass(frozen=True)
class Progress:
    """The information for a body source when it plans its requests.

    Attributes:
        complete: keys of the parts that were published to their end, by the live schedule or by a backfill.
        newest_body: the part last published under a key, as archived; None if there is none.
        state: the state of the part last published under a key.
        look: (path, params) → the body of a request for information that is not data, such as a list of changes.
        read_since: first day for which parts without days in their keys were requested; None if it was not noted.
    """

    today: date
    span: Span
    complete: frozenset[str]
    newest_body: Callable[[str], bytes | None]
    state: Callable[[str], "PartState | None"]
    look: Callable[[str, Mapping[str, str]], bytes]
    read_since: date | None = None


@dataclass(frozen=True)
class ApiRequest:
    """One request of a body source: its answer is the part `key`.

    Attributes:
        path: path of the request; None means the resource's path.
        published_at: the publication instant that the source states in a field, UTC (basis `api_field`).
        scope: what the answer states in full; None if unknown, so that nothing is ever withdrawn.
    """

    key: str
    params: Mapping[str, str]
    path: str | None = None
    published_at: datetime | None = None
    scope: Scope | None = None


@dataclass(frozen=True)
class ApiKey:
    """Access for paying customers of the source: with the key as `param`, at another address."""

    param: str
    base_url: str


@dataclass(frozen=True)
class Choosable:
    """What of a source the setting `polled` can choose.

    Attributes:
        what: one item, in a word: `series`, `table`.
        declared: key → item, polled unless the settings stop it. Its meaning never changes.
        read: (key, the item's `producers.choosing.Fields`) → an own item; None if there can be no own ones. Raises:
            ValueError, saying what is wrong.
    """

    what: str
    declared: Mapping[str, Any]
    read: Callable[[str, Any], Any] | None = None


Parse = Callable[..., Iterator[Parsed]]
"""(blocks of bytes, part, first_row=0, chunk_rows=CHUNK_ROWS) → chunks. Pure. Raises: InvalidContent, nothing else."""


@dataclass(frozen=True)
class Source:
    """A declaration; polling, retries, encoding and publishing are written once, elsewhere.

    Attributes:
        name: also the file's name and the suffix of the transactional id.
        datasets: what `parse` may yield, the main one first.
        base_url: the real source; `base_urls` in the settings replaces it. Only its host and `hosts` get requests.
        calendar: when a poll is due.
        terms: licence or terms of use, in a few words, as `correnteza sources` prints them.
        history_start: earlier days are not requested; `history_start` in the settings replaces it.
        kind: what is fetched: a zip, plain bodies, or nothing, for files that a command reads.
        resources: (today, span) → the URLs to poll.
        select: zip only: (resource, names of members, span) → part key → member name.
        scope: zip only: (part key, member name) → what the member states in full; None if unknown.
        days: dataset → the day that places a record in a scope; only for datasets that a scope names.
        most_withdrawn: share of a scope's keys by which one edition may shrink; above it, withdrawals are held for a
            person to decide.
        plan: body only: (resource, progress) → the requests, in order.
        is_no_news: (status, body) → whether such an answer means that there is nothing new.
        repeats: body only: (body last published, body) → whether the new one holds nothing new.
        confirms: body only: (body, fetch of the former one, fetch of this one) → whether a body with the same values
            must be published nevertheless, because hours that were in the future are past now.
        throttled_for: the body of a 429 → the pause that the source asks for; None if it states none.
        media: the type of a good answer, checked by its first bytes.
        pause: least time between two requests to the real source's host.
        hosts: other hosts that a redirect may lead to.
        api_key: use of a key from the setting `api_keys`; None if the source has no keys.
        keeps_history: whether earlier days can be requested; false for snapshots and forecasts.
        choosable: what the setting `polled` can choose; None if nothing.
    """

    name: str
    datasets: tuple[str, ...]
    base_url: str
    calendar: Calendar
    terms: str
    history_start: date
    kind: Literal["zip", "body", "file"]
    resources: Callable[[date, Span], Sequence[Resource]]
    parse: Parse
    publication: Mapping[str, Publication]
    select: Callable[[Resource, Sequence[str], Span], Mapping[str, str]] | None = None
    scope: Callable[[str, str], Scope | None] = lambda key, name: None
    days: Mapping[str, DaysOf] = field(default_factory=dict)
    most_withdrawn: float = 0.2
    plan: Callable[[Resource, Progress], Iterable[ApiRequest]] | None = None
    is_no_news: Callable[[int, bytes], bool] = lambda status, body: status == 404
    repeats: Callable[[bytes, bytes], bool] = lambda former, body: former == body
    confirms: Callable[[bytes, datetime, datetime], bool] = lambda body, before, now: False
    throttled_for: Callable[[bytes], timedelta | None] = lambda body: None
    media: Literal["zip", "json", "csv"] = "zip"
    pause: timedelta = timedelta(milliseconds=250)
    hosts: tuple[str, ...] = ()
    api_key: ApiKey | None = None
    keeps_history: bool = True
    choosable: Choosable | None = None


@dataclass
class PartState:
    """How far one part was published: the record `part_state` of the cursor contract."""

    name: str
    payload_sha256: str
    edition: int
    next_row: int
    is_complete: bool
    first_edition_assumed: bool
    retrieved_at: datetime
    published_at: datetime | None = None
    published_at_basis: str | None = None
    crc32: int | None = None
    size: int | None = None

    @property
    def known_from(self) -> datetime:
        """The clock of the edition, UTC."""
        return self.published_at or self.retrieved_at


@dataclass(frozen=True)
class Holding:
    """The last archived payload that stated some keys; a later edition is compared with it.

    Attributes:
        part, name: of the part that it was published as; its parser needs these and `retrieved_at`.
        payload_sha256: empty if the payload is no longer stored, because there were too many.
        known_from: the clock of its edition, UTC.
        scope: what it states and no later edition has stated, as text.
        next_row: source row up to which it was published; None when it was published to its end.
    """

    part: str
    name: str
    payload_sha256: str
    retrieved_at: datetime
    known_from: datetime
    scope: str
    next_row: int | None = None


@dataclass(frozen=True)
class Comparison:
    """An edition of a part and the payloads that stated its keys before. It is unfinished, or has held withdrawals.

    Attributes:
        scope: what the edition states in full, as text.
        former: the payloads that it is compared with, each with the part of the scope that it stated.
        withdrawn: withdrawals published so far.
        held: withdrawals that wait for a person's decision.
    """

    scope: str
    former: list[Holding]
    withdrawn: int = 0
    held: int = 0


@dataclass
class Cursor:
    """The state that a source needs to continue with one resource.

    Attributes:
        read_since: first day of the history for which a zip was read completely, or for which a body source's parts
            without days in their keys were requested.
        selected: of a zip, which members the settings chose when it was read completely; None for all.
        comparisons: by part key.
        holdings: the payloads that were the last to state some keys, oldest first.
    """

    source: str
    resource: str
    etag: str | None = None
    last_modified: datetime | None = None
    content_length: int | None = None
    parts: dict[str, PartState] = field(default_factory=dict)
    last_chunk_id: str | None = None
    last_slot_id: str | None = None
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    holdings: list[Holding] = field(default_factory=list)
    read_since: date | None = None
    selected: str | None = None

    def held(self, key: str) -> int:
        """Withdrawals of a part that wait for a decision."""
        comparison = self.comparisons.get(key)
        return comparison.held if comparison else 0

    def newest_clock(self, until: datetime | None = None) -> datetime | None:
        """The newest Last-Modified that was seen for this resource, completely published or not.

        Args:
            until: later ones are ignored, because an earlier release accepted a server's date in the future.
        """
        clocks = [
            state.published_at
            for state in self.parts.values()
            if state.published_at and state.published_at_basis == "http_last_modified"
        ]
        clocks += [self.last_modified] if self.last_modified else []
        return max((clock for clock in clocks if until is None or clock <= until), default=None)


Json = dict[str, Any]

"""IBGE: the list of municipalities, as the API gives it with their hierarchy, or as a public CSV with their points.

The API has neither coordinates nor area code nor time zone: those are null there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from foundation.errors import InvalidContent
from producers.calendars import Calendar
from producers.formats import csv_header, csv_rows, json_rows, values
from producers.formats.columns import Typing, batch, map_distinct
from producers.formats.lines import LineChunk, LineReader
from producers.formats.quoted import Quoting
from producers.model import (
    CHUNK_ROWS,
    ApiRequest,
    BadValueError,
    Parsed,
    Part,
    Progress,
    Publication,
    RejectReason,
    Resource,
    Source,
    Span,
)
from producers.scope import Scope, any_day
from schemas.arrow import arrow_schema
from schemas.contracts import load

MUNICIPALITIES = "ibge_municipalities"

CAPITALS = {
    "RO": "1100205",
    "AC": "1200401",
    "AM": "1302603",
    "RR": "1400100",
    "PA": "1501402",
    "AP": "1600303",
    "TO": "1721000",
    "MA": "2111300",
    "PI": "2211001",
    "CE": "2304400",
    "RN": "2408102",
    "PB": "2507507",
    "PE": "2611606",
    "AL": "2704302",
    "SE": "2800308",
    "BA": "2927408",
    "MG": "3106200",
    "ES": "3205309",
    "RJ": "3304557",
    "SP": "3550308",
    "PR": "4106902",
    "SC": "4205407",
    "RS": "4314902",
    "MS": "5002704",
    "MT": "5103403",
    "GO": "5208707",
    "DF": "5300108",
}
"""State → its capital's code (Brasília's is the Federal District's)."""

# The first two digits of a municipality's code are its state's.
_UFS = {capital[:2]: uf for uf, capital in CAPITALS.items()}
# Column of the public CSV → field; two columns say nothing that the code does not say, or nothing about the place.
_COLUMNS = {
    "codigo_ibge": "municipality_code",
    "nome": "name",
    "latitude": "latitude_degrees",
    "longitude": "longitude_degrees",
    "capital": "is_capital",
    "ddd": "area_code",
    "fuso_horario": "time_zone",
}
_IGNORED = {"codigo_uf", "siafi_id"}
_REQUIRED = ("codigo_ibge", "nome")
_KNOWN = {"id", "nome", "microrregiao", "regiao-imediata"}
_NAMES = (
    "municipality_code",
    "name",
    "uf",
    "latitude_degrees",
    "longitude_degrees",
    "is_capital",
    "area_code",
    "time_zone",
)
_ROWS = json_rows.Rows(MUNICIPALITIES, _NAMES)
_SCHEMA = arrow_schema(load(MUNICIPALITIES))
_CODE = values.required(values.digits(7), "code")
_FAR = datetime(9999, 1, 1, tzinfo=UTC)


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """The API's body `[{"id": 1100015, "nome": "Alta Floresta D'Oeste", "microrregiao": {…}, …}, …]`, or the CSV
    `codigo_ibge,nome,latitude,longitude,capital,codigo_uf,siafi_id,ddd,fuso_horario`.

    Raises: InvalidContent when it is neither.
    """
    body = b"".join(blocks)
    if body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{"):
        items = _items(body)
        notes = json_rows.unknown_fields(items, _KNOWN)
        yield from _ROWS.chunks(items, _municipality, first_row=first_row, chunk_rows=chunk_rows, notes=notes)
    else:
        yield from _of_csv(body, first_row, chunk_rows)


def _items(body: bytes) -> list[Any]:
    loaded = json_rows.load(body)
    if not isinstance(loaded, list):
        raise InvalidContent(f"not a JSON array: {str(loaded)[:200]}")
    return loaded


def _municipality(item: Mapping[str, Any]) -> tuple[Any, ...]:
    json_rows.require(item, ("id", "nome"), known=_KNOWN)
    code = _CODE(json_rows.required_text(item, "id"))
    uf = _uf(code)
    # A municipality of 2025 has no micro-region: those were given up for immediate regions in 2017.
    for path in (
        ("microrregiao", "mesorregiao", "UF", "sigla"),
        ("regiao-imediata", "regiao-intermediaria", "UF", "sigla"),
    ):
        named = _down(item, path)
        if named is not None and named != uf:
            raise BadValueError(RejectReason.BAD_CODE, f"{code} is in {uf}, and its hierarchy says {str(named)[:50]!r}")
    return code, json_rows.required_text(item, "nome"), uf, None, None, code == CAPITALS[uf], None, None


def _down(item: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(item, dict):
            return None
        item = item.get(name)
    return item


def _uf(code: str) -> str:
    try:
        return _UFS[code[:2]]
    except KeyError:
        raise BadValueError(RejectReason.BAD_CODE, f"no state has the code {code[:2]!r}") from None


def _of_csv(body: bytes, first_row: int, chunk_rows: int) -> Iterator[Parsed]:
    reader = LineReader([body])
    header = csv_header.header_line(reader.header(1))
    known = _COLUMNS.keys() | _IGNORED
    unknown = [name for name, plain in zip(header.names, header.folded, strict=True) if plain not in known]
    try:
        csv_header.refuse_lacking(_REQUIRED, header, unknown)
    except InvalidContent as error:
        raise InvalidContent(f"not a list of municipalities: {error}") from None
    absent = [field for name, field in _COLUMNS.items() if name not in header.folded]
    notes = csv_header.unknown_columns(unknown) + csv_header.absent_columns(absent)
    quoting = Quoting(header.delimiter, len(header.names))
    is_empty = True
    for chunk in reader.chunks(chunk_rows, first_row=first_row, quoting=quoting):
        yield _csv_chunk(chunk, header, notes)
        is_empty = False
    if is_empty:  # so that a list without municipalities counts as read
        yield _csv_chunk(LineChunk(first_row, []), header, notes)


def _csv_chunk(chunk: LineChunk, header: csv_header.HeaderLine, notes: tuple[str, ...]) -> Parsed:
    rows = csv_rows.read(chunk, fields=len(header.names), delimiter=header.delimiter, encoding="utf-8")
    typing = Typing(rows)

    def column(name: str, source: str, read: Callable[[str], Any]) -> pa.Array:
        kind = _SCHEMA.field(name).type
        if source not in header.folded:
            return pa.nulls(len(typing), kind)
        return typing.column(header.folded.index(source), read, kind)

    # The API has no column for capitals, so the code determines them.
    capital = ("capital", _yes) if "capital" in header.folded else ("codigo_ibge", _is_capital)
    columns = [
        column("municipality_code", "codigo_ibge", _CODE),
        column("name", "nome", values.required(values.text, "nome")),
        column("uf", "codigo_ibge", lambda code: _uf(_CODE(code))),
        column("latitude_degrees", "latitude", values.real),
        column("longitude_degrees", "longitude", values.real),
        column("is_capital", *capital),
        column("area_code", "ddd", values.text),
        column("time_zone", "fuso_horario", values.text),
        typing.row_numbers,
    ]
    good = typing.good()
    records = batch((*_NAMES, "row_number"), columns, _SCHEMA).take(good)
    rejects = tuple(typing.rejects(MUNICIPALITIES))
    return Parsed(chunk.first_row, chunk.first_row + len(chunk.lines), {MUNICIPALITIES: records}, rejects, notes)


def _is_capital(text: str) -> bool:
    code = _CODE(text)
    return code == CAPITALS[_uf(code)]


def _yes(text: str) -> bool:
    if text.strip() not in {"0", "1"}:
        raise BadValueError(RejectReason.BAD_CODE, f"neither 0 nor 1: {text!r}")
    return text.strip() == "1"


def _resources(today: date, span: Span) -> Sequence[Resource]:
    return [Resource("municipios", "municipios")]


def _plan(resource: Resource, progress: Progress) -> Iterable[ApiRequest]:
    yield ApiRequest("all", {}, scope=Scope((MUNICIPALITIES,)))


def _repeats(former: bytes, body: bytes) -> bool:
    """Whether both lists hold the same, in whatever order and spelling: one that lost a municipality is another."""
    try:
        return json_rows.same_items(_items(former), _items(body))
    except InvalidContent:
        return False  # the parser will report the problem


def _no_period(records: pa.RecordBatch) -> pa.Array:
    """A list of what is describes no period that could have ended: nothing is assumed, it was known when fetched."""
    return map_distinct(records.column("uf"), lambda _: _FAR, pa.timestamp("us", tz="UTC"))


SOURCE = Source(
    name=MUNICIPALITIES,
    datasets=(MUNICIPALITIES,),
    base_url="https://servicodados.ibge.gov.br/api/v1/localidades/",
    calendar=Calendar(("23 4 * * 1",), "America/Sao_Paulo"),
    terms="open data, IBGE (free use, source to be named)",
    history_start=date(2000, 1, 1),
    kind="body",
    resources=_resources,
    parse=parse,
    publication={MUNICIPALITIES: Publication(_no_period, lambda part: timedelta(0))},
    plan=_plan,
    days={MUNICIPALITIES: any_day},
    repeats=_repeats,
    is_no_news=lambda status, body: False,
    media="json",
    keeps_history=False,
)

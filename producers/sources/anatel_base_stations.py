"""ANATEL's licensed base stations: one row per licensed carrier (station × frequency × sector), not per tower.

Two layouts give the same records: the mobile file (Estacoes_SMP.csv: UTF-8 with BOM, `;`, 41 columns), which is polled,
and the licensing system's export (windows-1252, comma, 39 or 40 columns), which has no stable address: it is read from
local files, or from a mirror that serves it in the polled zip's place.

The mobile file has no identifier, and no set of its columns is unique: a row's bytes are its identity. So a carrier
that changes appears under a new id while the old one is withdrawn, and equal rows share one.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import InvalidContent
from producers.calendars import Calendar
from producers.families.anatel_csv import CNPJ, MUNICIPALITY
from producers.formats import csv_header, csv_rows, values
from producers.formats.columns import Typing, batch, empty_batch, map_distinct
from producers.formats.lines import LineChunk, LineReader
from producers.formats.quoted import Quoting
from producers.model import CHUNK_ROWS, Parsed, Part, Publication, Resource, Source, Span
from producers.scope import Scope, any_day
from schemas.arrow import arrow_schema
from schemas.contracts import load

STATIONS = "anatel_base_stations"
SNAPSHOT = "snapshot"
"""Key of the one part, where a zip holds one file."""
ID, ATTRIBUTES = "license_row_id", "attributes"
_DATES = ("licensed_on", "first_licensed_on", "valid_until_on")

_SCHEMA = arrow_schema(load(STATIONS))
_NAMES = (*load(STATIONS).key, *load(STATIONS).value_fields, "row_number")

# How the mobile file writes a missing value; attributes keep the text.
_NOTHING = {"NÃO IDENTIFICADA", "#N/A", ","}


# Texts for a missing date; they say more than null, because a licence without end differs from one without a date. Only
# known texts: if any text became null, a new date format would silently make all dates null.
_NO_DATE = re.compile(r"0{1,4}[-/]0{1,2}[-/]0{1,4}|(?:prazo )?indeterminad[oa]", re.IGNORECASE)
_MIDNIGHT = re.compile(r"([0-9/-]{10})[ T]00:00:00(?:\.0+)?")


def _or_nothing(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if (stripped := text.strip()) in _NOTHING or not stripped else read(stripped)


def _day(text: str) -> date | None:
    """A date, one with its midnight, or null where the text says that there is none."""
    if _NO_DATE.fullmatch(text):
        return None
    return values.day(match[1] if (match := _MIDNIGHT.fullmatch(text)) else text)


# CNPJ is padded although the column is called NumCnpjCpf: a mobile operator is a company, never a person.
_READERS = {
    "station_number": values.required(_or_nothing(values.text), "station_number"),
    "cnpj": _or_nothing(CNPJ),
    "municipality_code": _or_nothing(MUNICIPALITY),
    **dict.fromkeys(_DATES, _or_nothing(_day)),
}
_TEXT, _REAL = _or_nothing(values.text), _or_nothing(values.real)


@dataclass(frozen=True)
class _Layout:
    """One way of writing the file.

    Attributes:
        columns: name of a column, folded → field.
        sometimes: fields whose column may be absent.
        others: names, folded, of the columns that become attributes; unknown columns do too, and are noted.
    """

    columns: Mapping[str, str]
    sometimes: frozenset[str]
    others: frozenset[str]
    encoding: str


_MOBILE = _Layout(
    {
        "numero estacao": "station_number",
        "entidade": "company",
        "numcnpjcpf": "cnpj",
        "uf": "uf",
        "codigo ibge": "municipality_code",
        "tecnologia": "technology",
        "geracao": "generation",
        "tipo de tecnologia 5g": "nr_mode",
        "freqtxmhz": "transmit_frequency_mhz",
        "freqrxmhz": "receive_frequency_mhz",
        # Latitude and Longitude without "decimal" are degrees, minutes and seconds.
        "latitude decimal": "latitude_degrees",
        "longitude decimal": "longitude_degrees",
        "data licenciamento": "licensed_on",
        "data primeiro licenciamento": "first_licensed_on",
        "data validade": "valid_until_on",
    },
    sometimes=frozenset({"nr_mode"}),
    others=frozenset(
        {
            "numero fistel",
            "numservico",
            "frequencia (mhz)",
            "banda_mhz",
            "frequencia inicial",
            "frequencia final",
            "designacao emissao",
            "numero ato",
            "numsetor",
            "latitude",
            "longitude",
            "enderecoestacao",
            "endbairro",
            "endnumero",
            "endcomplemento",
            "cep",
            "classinfrafisica",
            "anomeslic",
            "situacao",
            "carater",
            "empresa estacao",
            "faixa estacao",
            "subfaixa estacao",
            "codigo nacional",
            "municipio-uf",
            "nome da uf",
        }
    ),
    encoding="utf-8",
)
_LICENSING = _Layout(
    {
        "_id": ID,
        "numestacao": "station_number",
        "nomeentidade": "company",
        "siglauf": "uf",
        "codmunicipio": "municipality_code",
        "tecnologia": "technology",
        "tipotecnologia": "nr_mode",
        "freqtxmhz": "transmit_frequency_mhz",
        "freqrxmhz": "receive_frequency_mhz",
        "azimute": "azimuth_degrees",
        "alturaantena": "antenna_height_m",
        "potenciatransmissorwatts": "transmit_power_w",
        "latitude": "latitude_degrees",
        "longitude": "longitude_degrees",
        "datalicenciamento": "licensed_on",
        "dataprimeirolicenciamento": "first_licensed_on",
        "datavalidade": "valid_until_on",
    },
    sometimes=frozenset({ID, "nr_mode"}),
    others=frozenset(
        {
            "status.state",
            "numfistel",
            "numservico",
            "numato",
            "enderecoestacao",
            "endcomplemento",
            "designacaoemissao",
            "meioacesso",
            "codtipoclasseestacao",
            "classinfrafisica",
            "compartilhamentoinfrafisica",
            "codtipoantena",
            "codequipamentoantena",
            "ganhoantena",
            "frentecostaantena",
            "angulomeiapotenciaantena",
            "anguloelevacao",
            "polarizacao",
            "codequipamentotransmissor",
            "coddebitotfi",
            "numrede",
            "numfistelassociado",
            "nomeentidadeassociado",
        }
    ),
    # Python takes latin-1 for ISO 8859-1, in which the dashes and curly quotes of addresses are control characters.
    encoding="cp1252",
)


@dataclass(frozen=True)
class _Header:
    """One file's first line.

    Attributes:
        names: of all columns, as published.
        fields: contract field → number of its column.
        attributes: numbers of all other columns.
        notes: what is odd but harmless.
    """

    delimiter: str
    encoding: str
    names: tuple[str, ...]
    fields: Mapping[str, int]
    attributes: tuple[int, ...]
    notes: tuple[str, ...]


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """Parse either layout; the header determines which it is. Raises: InvalidContent for any other header."""
    lines = LineReader(blocks)
    header = _header(lines.header(1))
    empty = True
    quoting = Quoting(header.delimiter, len(header.names))
    for chunk in lines.chunks(chunk_rows, first_row=first_row, quoting=quoting):
        records, typing = _read(chunk, header)
        yield Parsed(
            chunk.first_row,
            chunk.first_row + len(chunk.lines),
            {STATIONS: records},
            tuple(typing.rejects(STATIONS)),
            header.notes,
        )
        empty = False
    if empty:
        yield Parsed(first_row, first_row, {STATIONS: empty_batch(_NAMES, _SCHEMA)}, (), header.notes)


def _header(lines: list[bytes]) -> _Header:
    line = csv_header.header_line(lines)
    layout = _layout(set(line.folded))
    known = layout.columns.keys() | layout.others
    unknown = [name for name, plain in zip(line.names, line.folded, strict=True) if plain not in known]
    expected = [name for name, field in layout.columns.items() if field not in layout.sometimes]
    csv_header.refuse_lacking(expected, line, unknown)
    fields = {layout.columns[name]: number for number, name in enumerate(line.folded) if name in layout.columns}
    absent = csv_header.absent_columns(layout.sometimes & set(layout.columns.values()) - fields.keys())
    taken = set(fields.values())
    attributes = tuple(number for number in range(len(line.names)) if number not in taken)
    notes = csv_header.unknown_columns(unknown) + absent
    return _Header(line.delimiter, layout.encoding, line.names, fields, attributes, notes)


def _layout(names: set[str]) -> _Layout:
    if "numero_estacao" in names:
        # About 15 columns in windows-1252, of which only the first few names are known: the rest would be a guess.
        raise InvalidContent("the old layout of station files (prestadora, cnpj, numero_estacao, ...) is not read")
    # Recognised by all its columns: with only one, a new name of that column would look like another file.
    nearest = max((_MOBILE, _LICENSING), key=lambda layout: len(layout.columns.keys() & names))
    if len(nearest.columns.keys() & names) * 2 < len(nearest.columns):
        raise InvalidContent(f"no header of a station file: {csv_header.listed(sorted(names))}")
    return nearest


def _read(chunk: LineChunk, header: _Header) -> tuple[pa.RecordBatch, Typing]:
    rows = csv_rows.read(
        chunk, fields=len(header.names), delimiter=header.delimiter, encoding=_encoding(chunk.lines, header.encoding)
    )
    typing = Typing(rows)
    columns = {}
    for name in _NAMES[1:-2]:  # between the id, and attributes and row number
        kind = _SCHEMA.field(name).type
        number = header.fields.get(name)
        if number is None:
            columns[name] = pa.nulls(len(typing), kind)
        else:
            read = _READERS.get(name, _REAL if pa.types.is_floating(kind) else _TEXT)
            columns[name] = typing.column(number, read, kind)
    columns |= {
        ID: _ids(rows, header.fields.get(ID)),
        ATTRIBUTES: _attributes(rows, header),
        "row_number": typing.row_numbers,
    }
    records = batch(_NAMES, [columns[name] for name in _NAMES], _SCHEMA)
    return records.take(typing.good()) if typing.problems else records, typing


def _encoding(lines: Sequence[bytes], declared: str) -> str:
    """The encoding of a chunk of the licensing export: windows-1252, unless somebody has saved it again as UTF-8.

    The header is plain ASCII and does not show the encoding, and reading UTF-8 as windows-1252 seldom fails. In
    Portuguese no accented letter of windows-1252 is valid UTF-8 by chance, so the majority of the lines decides, and a
    damaged line does no harm.
    """
    if declared == "utf-8":
        return declared
    votes = 0
    for line in lines:
        if not line.isascii():
            votes += 1 if _is_utf8(line) else -1
    return "utf-8" if votes > 0 else declared


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _ids(rows: csv_rows.TextRows, number: int | None) -> pa.Array:
    """The source's `_id`, else the SHA-256 of the row's bytes without its line end, in hexadecimal."""
    given = (
        pa.nulls(len(rows.positions), pa.string()) if number is None else pc.utf8_trim_whitespace(rows.columns[number])
    )
    is_given = pc.fill_null(pc.not_equal(given, ""), False)
    if pc.all(is_given).as_py():
        return given
    lines = rows.chunk.lines
    hashes = [hashlib.sha256(lines[position]).hexdigest() for position in rows.positions.to_pylist()]
    return pc.if_else(is_given, given, pa.array(hashes, pa.string()))


def _attributes(rows: csv_rows.TextRows, header: _Header) -> pa.Array:
    """One map per row: name → text as published, also the empty text; then the texts for missing dates.

    The columns are concatenated and read by rows, as for the months of a wide file: a dict per row would be the most
    costly part of parsing.
    """
    said = {
        number: _says_no_date(rows.columns[number])
        for name in _DATES
        if (number := header.fields.get(name)) is not None
    }
    said = {number: found for number, found in said.items() if pc.any(found).as_py()}
    columns = [*header.attributes, *said]
    count, width = len(rows.positions), len(columns)
    order = pa.arange(0, count * width, 1)
    row = pc.divide(order, max(1, width))
    column = pc.subtract(order, pc.multiply(row, width))
    names = pa.array([header.names[number] for number in columns], pa.string()).take(column)
    texts = pa.concat_arrays([pa.array([], pa.string()), *(rows.columns[number] for number in columns)])
    across = pc.add(pc.multiply(column, count), row)
    texts = texts.take(across)
    if not said:
        offsets = pc.multiply(pa.arange(0, count + 1, 1), width).cast(pa.int32())
        return pa.MapArray.from_arrays(offsets, names, texts)
    always = [pa.repeat(pa.scalar(True), count)] * len(header.attributes)
    kept = pa.concat_arrays([*always, *said.values()]).take(across)
    sizes = reduce(pc.add, (found.cast(pa.int32()) for found in said.values()))
    ends = pc.cumulative_sum(pc.add(sizes, pa.scalar(len(header.attributes), pa.int32())))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.MapArray.from_arrays(offsets, names.filter(kept), texts.filter(kept))


def _says_no_date(texts: pa.Array) -> pa.Array:
    return map_distinct(texts, lambda text: bool(_NO_DATE.fullmatch(text.strip())), pa.bool_())


def _resources(today: date, span: Span) -> Sequence[Resource]:
    return [Resource("estacoes_smp", "outorga_e_licenciamento/estacoes_smp.zip")]


def _select(resource: Resource, names: Sequence[str], span: Span) -> Mapping[str, str]:
    """Every CSV: the real zip holds one, a mirror's may hold an export per state. A snapshot belongs to every span.

    A single file states all licences, whatever its name is; one of several files does not.
    """
    found = [name for name in sorted(names) if name.lower().endswith(".csv")]
    return {SNAPSHOT: found[0]} if len(found) == 1 else {name[: -len(".csv")]: name for name in found}


def _never(records: pa.RecordBatch) -> pa.Array:
    """No assumed clock: a snapshot describes the moment at which it was made.

    The year of a licence does not show when this row, with these values, was first public. So the assumed clock is
    later than any measured one, which is the file's Last-Modified or the time of the fetch.
    """
    return pa.repeat(pa.scalar(datetime(9999, 1, 1, tzinfo=UTC), pa.timestamp("us", tz="UTC")), records.num_rows)


SOURCE = Source(
    name=STATIONS,
    datasets=(STATIONS,),
    base_url="https://www.anatel.gov.br/dadosabertos/paineis_de_dados/",
    calendar=Calendar(("43 */6 * * *",)),
    terms="open government data, ANATEL",
    history_start=date(2019, 1, 1),  # without effect: the whole snapshot is always requested
    kind="zip",
    resources=_resources,
    parse=parse,
    publication={STATIONS: Publication(_never, lambda part: timedelta(0))},
    select=_select,
    scope=lambda key, name: Scope((STATIONS,)) if key == SNAPSHOT else None,
    days={STATIONS: any_day},
    keeps_history=False,
)

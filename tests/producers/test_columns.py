"""What every source does when the columns or fields of its files move, double, change their names, come or go.

One entry of FILES is one way in which a source writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import InvalidContent
from producers import sources
from producers.model import Part, RejectReason
from tests.golden import changes, kit
from tests.producers.test_contract_suite import notes, rejects, rows

GOLDEN = kit.FOLDER
REPLAY = kit.ROOT / "replay" / "data"


@dataclass(frozen=True)
class File:
    """A file, and what may happen to it.

    Attributes:
        resource: the part's; None is the file's own stem.
        about: how it is written, as in `cases.json`; None takes the source's.
        required: columns without which it is refused, or each of its items.
        optional: column → field that is null without it.
        decimal: a column of decimals, with which comma and dot are tried.
        is_kept: an unknown column is kept in the rows, too.
    """

    source: str
    path: Path
    required: tuple[str, ...]
    optional: Mapping[str, str] = field(default_factory=dict)
    decimal: str | None = None
    resource: str | None = None
    about: Mapping[str, Any] | None = None
    is_kept: bool = False

    @property
    def format(self) -> Mapping[str, Any]:
        return self.about or kit.load(self.source).format

    def parsed(self, content: bytes, **options: int) -> list[Any]:
        part = Part(self.resource or self.path.stem, self.path.name, self.path.name, kit.RETRIEVED_AT)
        return list(sources.load(self.source).parse([content], part, **options))

    def opened(self) -> changes.CsvFile | changes.JsonFile:
        return _opened(self)

    def whole(self) -> list[Any]:
        return self.parsed(self.opened().whole())


@cache
def _content(path: Path) -> bytes:
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    return b"".join(lines[:60]) if path.suffix.lower() == ".csv" else content


def _opened(file: File) -> changes.CsvFile | changes.JsonFile:
    return changes.opened(_content(file.path), file.format)


def csv_about(delimiter: str, encoding: str = "utf-8") -> Mapping[str, Any]:
    return {"kind": "csv", "header_line": 1, "delimiter": delimiter, "encoding": encoding}


def json_about(items: str) -> Mapping[str, Any]:
    return {"kind": "json", "items": items, "required": ["id"]}


MOBILE = ("CNPJ", "Empresa", "Grupo Econômico", "UF", "Código IBGE Município", "Tecnologia", "Tipo de Produto")
FOCUS = ("Indicador", "Data", "DataReferencia", "baseCalculo", "Media", "Mediana", "Minimo", "Maximo")
FILES = {
    "mobile accesses, long": File(
        "anatel_mobile_accesses",
        GOLDEN / "anatel_mobile_accesses" / "built-counts-long.csv",
        (*MOBILE, "Ano", "Mês", "Acessos"),
        about=csv_about(";"),
    ),
    "mobile accesses, wide": File(
        "anatel_mobile_accesses",
        REPLAY / "anatel" / "transcribed_mobile_202207-202212_Colunas_head5.csv",
        ("CNPJ", "Tecnologia"),
    ),
    "broadband accesses, wide": File(
        "anatel_broadband_accesses",
        GOLDEN / "anatel_broadband_accesses" / "built-2026_Colunas.csv",
        ("CNPJ", "Empresa", "UF", "Meio de Acesso"),
        {"Velocidade": "speed_mbps", "Tipo de Pessoa": "person_type", "Tipo de Produto": "product_type"},
        decimal="Velocidade",
        about=csv_about(";"),
    ),
    "broadband accesses, long": File(
        "anatel_broadband_accesses",
        GOLDEN / "anatel_broadband_accesses" / "built-cnpj-letters.csv",
        ("CNPJ", "Porte da Prestadora", "Ano", "Acessos"),
        {"Velocidade": "speed_mbps", "Tipo de Pessoa": "person_type", "Tipo de Produto": "product_type"},
        decimal="Velocidade",
        about=csv_about(";"),
    ),
    "stations, licensing export": File(
        "anatel_base_stations",
        REPLAY / "anatel" / "csv_natal_licenciamento_nr.csv",
        ("NumEstacao", "Latitude", "DataValidade"),
        {"tipoTecnologia": "nr_mode"},
        decimal="Latitude",
        is_kept=True,
    ),
    "stations, mobile file": File(
        "anatel_base_stations",
        GOLDEN / "anatel_base_stations" / "built-Estacoes_SMP.csv",
        ("Número Estação", "NumCnpjCpf", "Latitude decimal", "Data Validade"),
        {"Tipo de Tecnologia 5G": "nr_mode"},
        decimal="Latitude decimal",
        about=csv_about(";"),
        is_kept=True,
    ),
    "SGS": File(
        "bcb_sgs",
        REPLAY / "sgs" / "sgs_1_usd_venda_2020-11-03_2025-10-31.json",
        ("data", "valor"),
        decimal="valor",
        resource="1",
    ),
    "PTAX": File(
        "bcb_ptax",
        REPLAY / "ptax" / "subset_ptax_usd_20251111.json",
        ("cotacaoCompra", "dataHoraCotacao", "tipoBoletim"),
        decimal="cotacaoCompra",
        resource="USD",
    ),
    "Focus": File(
        "bcb_focus",
        GOLDEN / "bcb_focus" / "built-monthly.json",
        FOCUS,
        {"DesvioPadrao": "standard_deviation", "numeroRespondentes": "respondents"},
        decimal="Mediana",
        resource="ExpectativaMercadoMensais",
    ),
    "Focus, 12 months": File(
        "bcb_focus",
        GOLDEN / "bcb_focus" / "built-12-months.json",
        ("Suavizada", "baseCalculo", "Mediana"),
        resource="ExpectativasMercadoInflacao12Meses",
    ),
    "Focus, five best": File(
        "bcb_focus",
        GOLDEN / "bcb_focus" / "built-top5-yearly.json",
        ("tipoCalculo", "DataReferencia"),
        resource="ExpectativasMercadoTop5Anuais",
    ),
    "SIDRA": File(
        "ibge_sidra",
        REPLAY / "sidra" / "ipca_20251111.json",
        ("V", "NC", "NN", "MN", "D2C", "D3N", "Variável", "Mês"),
        resource="1737",
    ),
    "municipalities, CSV": File(
        "ibge_municipalities",
        REPLAY / "municipalities" / "municipios.csv",
        ("codigo_ibge", "nome"),
        {
            "latitude": "latitude_degrees",
            "longitude": "longitude_degrees",
            "ddd": "area_code",
            "fuso_horario": "time_zone",
        },
        resource="municipios",
    ),
    "municipalities, API": File(
        "ibge_municipalities",
        GOLDEN / "ibge_municipalities" / "built-api.json",
        ("nome",),
        resource="municipios",
        about=json_about(""),
    ),
}

each_file = pytest.mark.parametrize("file", FILES.values(), ids=FILES)
csv_files = {name: file for name, file in FILES.items() if file.format["kind"] == "csv"}
each_csv = pytest.mark.parametrize("file", csv_files.values(), ids=csv_files)
json_files = {name: file for name, file in FILES.items() if file.format["kind"] == "json"}
each_json = pytest.mark.parametrize("file", json_files.values(), ids=json_files)


def values(found: list[Any]) -> list[Any]:
    """The rows, without the ids that are hashes of a row's bytes."""
    return [
        (dataset, {name: value for name, value in row.items() if name not in {"license_row_id", "attributes"}})
        for dataset, row in rows(found)
    ]


@each_file
def test_the_files_themselves_are_read_without_a_note_of_something_unknown(file):
    """What follows changes this."""
    assert values(file.whole())
    assert not [note for note in notes(file.whole()) if "declared" in note]


@each_file
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_columns_stand_in_any_order(file, seed):
    """In a wide file the months are read in their columns' order: their rows come, and are numbered, in another one."""

    def unordered(found):
        return sorted(repr((dataset, {**row, "row_number": 0})) for dataset, row in values(found))

    assert unordered(file.parsed(file.opened().shuffled(seed))) == unordered(file.whole())


@each_file
def test_a_column_that_stands_twice_is_refused_by_its_name(file):
    """Which of the two was meant is unknown; JSON's own reader takes the last one without an error."""
    name = next(name for name in file.required if file.format["kind"] == "csv" or name[0].isascii())
    with pytest.raises(InvalidContent, match="stands twice") as refused:
        file.parsed(file.opened().doubled(name))
    assert changes.plain(name) in changes.plain(str(refused.value))


@each_file
def test_an_unknown_new_column_is_noted_once_and_changes_nothing_else(file):
    found = file.parsed(file.opened().added(), chunk_rows=7)
    new = notes(found) - notes(file.whole())
    assert len(new) == 1
    assert "Coluna Nova" in (note := new.pop()) or "campo_novo" in note
    assert values(found) == values(file.whole())
    if file.is_kept:
        assert all(("Coluna Nova", "x") in row["attributes"].items() for _, row in rows(found))


@each_file
def test_an_optional_column_that_is_missing_is_null_and_noted(file):
    for name, field_name in file.optional.items():
        found = file.parsed(file.opened().missing(name))
        new = notes(found) - notes(file.whole())
        assert [note for note in new if field_name in note or name.lower() in note], (name, new)
        assert values(found) == [(dataset, {**row, field_name: None}) for dataset, row in values(file.whole())]


@each_file
def test_a_required_column_that_was_renamed_is_refused_with_both_names(file):
    """A file's header refuses it; of a JSON body each item, which names its own fields, is refused, or the body."""
    for name in file.required:
        said = {""}
        try:
            found = file.parsed(file.opened().renamed(name))
            assert rows(found) == []
            said = {reject.detail for reject in rejects(found)}
            assert {reject.reason for reject in rejects(found)} == {RejectReason.MALFORMED_ROW}
        except InvalidContent as refusal:
            said = {str(refusal)}
        for sentence in said:
            assert changes.plain(name) in changes.plain(sentence), (name, sentence)
            assert "outro" in changes.plain(sentence), (name, sentence)


@each_file
def test_decimals_are_read_with_comma_and_with_dot(file):
    if file.decimal is None:
        return
    comma = file.opened().with_texts(file.decimal, lambda text: text.replace(".", ","))
    dot = file.opened().with_texts(file.decimal, lambda text: text.replace(",", "."))
    assert comma != dot
    assert values(file.parsed(comma)) == values(file.parsed(dot)) == values(file.whole())


@each_file
def test_thousands_are_refused_wherever_decimals_stand(file):
    """Neither separator may stand twice, or beside the other: `1.234,5` is no number to guess at."""
    if file.decimal is None:
        return
    for text in ("1.234,5", "1,234.5", "1.234.567"):
        found = file.parsed(file.opened().with_texts(file.decimal, lambda _, text=text: text))
        assert rows(found) == []
        assert {reject.reason for reject in rejects(found)} == {RejectReason.BAD_NUMBER}


@each_csv
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_change_nothing(file, end, mark):
    content = mark + file.opened().whole().replace(b"\n", end)
    assert rows(file.parsed(content)) == rows(file.whole())


@each_json
def test_a_byte_order_mark_or_blanks_around_a_body_change_nothing(file):
    assert rows(file.parsed(b"\xef\xbb\xbf\r\n" + file.opened().whole() + b"\r\n ")) == rows(file.whole())


@each_file
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\r\n \r\n"])
def test_an_empty_file_is_refused(file, content):
    with pytest.raises(InvalidContent):
        file.parsed(content)


@each_csv
@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n\n"])
def test_a_header_alone_is_a_file_without_rows(file, end):
    (found,) = file.parsed(file.opened().head.rstrip(b"\n") + end)
    assert (found.first_row, found.next_row, found.rejects) == (0, 0, ())
    assert [batch.num_rows for batch in found.records.values()] == [0]


EMPTY = {"SIDRA": None, "SGS": b"[]", "municipalities, API": b"[]"}


@pytest.mark.parametrize("name", json_files)
def test_a_body_without_items_is_one_without_rows(name):
    file = FILES[name]
    content = EMPTY.get(name, b'{"value": []}')
    if content is None:  # SIDRA's header
        content = changes.only_first(_content(file.path))
    (found,) = file.parsed(content)
    assert (found.next_row, found.rejects, [batch.num_rows for batch in found.records.values()]) == (0, (), [0])

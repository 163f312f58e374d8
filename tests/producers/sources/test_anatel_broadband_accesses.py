"""ANATEL's fixed broadband: wide, long and total layouts."""

import csv
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from foundation.errors import InvalidContent
from producers.formats.csv_header import folded
from producers.model import Part, RejectReason, Span
from producers.sources.anatel_broadband_accesses import ACCESSES, SOURCE, TOTALS, parse
from replay import anatel
from replay.content import DATA
from tests.golden.kit import FOLDER
from tests.records import RETRIEVED_AT

WIDE = DATA / "anatel" / "derived_broadband_2026_Colunas_BA_10rows.csv"
TOTAL = DATA / "anatel" / "Acessos_Banda_Larga_Fixa_Total.csv"
LETTERS = FOLDER / "anatel_broadband_accesses" / "built-cnpj-letters.csv"

FIELDS = {
    "CNPJ": "cnpj",
    "Empresa": "company",
    "Grupo Econômico": "economic_group",
    "Porte da Prestadora": "provider_size",
    "UF": "uf",
    "Código IBGE Município": "municipality_code",
    "Faixa de Velocidade": "speed_band",
    "Tecnologia": "technology",
    "Meio de Acesso": "access_medium",
    "Tipo de Pessoa": "person_type",
    "Tipo de Produto": "product_type",
}


def parsed(body: bytes, dataset: str = ACCESSES, **options):
    chunks = list(parse([body], Part("r", "p", "p", RETRIEVED_AT), **options))
    rows = [row for chunk in chunks for row in chunk.records[dataset].to_pylist()]
    return rows, [reject for chunk in chunks for reject in chunk.rejects]


def plain_wide() -> tuple[list[str], list[dict[str, str]]]:
    with WIDE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [name for name in rows[0] if name[:2] == "20"], rows


def expected_records() -> list[dict]:
    """The sample's records, read cell by cell."""
    months, rows = plain_wide()
    return [
        {field: row[name] for name, field in FIELDS.items()}
        | {
            "reference_month_on": date(int(month[:4]), int(month[5:]), 1),
            "speed_mbps": Decimal(row["Velocidade"]),
            "accesses": int(float(row[month])),
            "row_number": number * len(months) + position,
        }
        for number, row in enumerate(rows)
        for position, month in enumerate(months)
        if row[month]
    ]


def long_csv(*, leave_out: tuple[str, ...] = (), delimiter: str = ";") -> bytes:
    """The sample as ANATEL's long layout would have it."""
    months, rows = plain_wide()
    names = [name for name in rows[0] if name not in months and name not in leave_out]
    lines = [["Ano", "Mês", *names, "Acessos"]]
    for row in rows:
        for month in months:
            if row[month]:
                cells = [row[name].replace(".", ",") if name == "Velocidade" else row[name] for name in names]
                lines.append([month[:4], str(int(month[5:])), *cells, row[month].removesuffix(".0")])
    return ("\ufeff" + "".join(delimiter.join(line) + "\r\n" for line in lines)).encode()


def test_every_cell_of_the_wide_sample_is_a_record_and_an_empty_one_is_none():
    rows, rejects = parsed(WIDE.read_bytes())
    assert rejects == []
    assert rows == [{name: row[name] for name in rows[0]} for row in expected_records()]
    assert len(rows) == 72


def test_anatels_own_spelling_of_the_wide_layout_gives_the_same_records():
    """BOM, `;`, CRLF, `600,000000`, whole accesses: as the replay source writes day 2."""
    assert parsed(anatel.columns_csv(2)) == parsed(WIDE.read_bytes())


def test_the_long_layout_gives_the_same_records_but_for_their_row_numbers():
    long, rejects = parsed(long_csv())
    wide, _ = parsed(WIDE.read_bytes())
    assert rejects == []
    assert [row["row_number"] for row in long] == list(range(72))
    assert [row | {"row_number": 0} for row in long] == [row | {"row_number": 0} for row in wide]


def test_columns_that_only_some_years_have_are_null_where_absent():
    rows, _ = parsed(long_csv(leave_out=("Velocidade", "Tipo de Pessoa", "Tipo de Produto")))
    assert {(row["speed_mbps"], row["person_type"], row["product_type"]) for row in rows} == {(None, None, None)}


@pytest.mark.parametrize(
    ("text", "speed"), [("500,000000", 500), ("500.0", 500), ("1.024", "1.024"), ("0,512", "0.512")]
)
def test_a_speed_has_a_decimal_comma_or_a_floats_dot(text, speed):
    rows, rejects = parsed(LETTERS.read_bytes().replace(b"500,000000", text.encode()))
    assert rejects == []
    assert {row["speed_mbps"] for row in rows} == {Decimal(speed)}


@pytest.mark.parametrize("text", ["1.000", "2.500", "10.240", "1.000,000000"])
def test_a_speed_that_could_be_thousands_is_refused(text):
    """No float ends in a zero after three decimals: `1.000` was written as a thousand, and was read as one."""
    rows, rejects = parsed(LETTERS.read_bytes().replace(b"500,000000", text.encode()))
    assert rows == []
    assert {reject.reason for reject in rejects} == {RejectReason.BAD_NUMBER}


@pytest.mark.parametrize("column", ["CNPJ", "Empresa", "UF", "Código IBGE Município", "Tecnologia", "Meio de Acesso"])
def test_a_header_that_lost_a_required_column_refuses_the_member(column):
    with pytest.raises(InvalidContent, match=f"lacks the columns .*{folded(column)}"):
        parsed(long_csv(leave_out=(column,)))


def test_the_short_spelling_of_the_providers_size_is_the_same_column():
    body = long_csv().replace(b"Porte da Prestadora", b"Porte")
    assert parsed(body) == parsed(long_csv())


def test_an_undeclared_column_is_noted_and_changes_nothing():
    body = WIDE.read_bytes().replace(b"CNPJ,", b"Novidade,CNPJ,", 1).replace(b"\n", b"\nx,").removesuffix(b"x,")
    chunk = next(parse([body], Part("r", "p", "p", RETRIEVED_AT)))
    assert chunk.notes == ("undeclared columns: Novidade",)
    assert chunk.records[ACCESSES].num_rows == 72


def test_every_month_of_the_total_member_is_the_files():
    lines = TOTAL.read_bytes().decode("utf-8-sig").split("\r\n")[1:]
    expected = [line.split(";") for line in lines if line]
    rows, rejects = parsed(TOTAL.read_bytes(), TOTALS)
    assert rejects == []
    assert rows == [
        {"reference_month_on": date(int(year), int(month), 1), "accesses": int(accesses), "row_number": number}
        for number, (year, month, accesses) in enumerate(expected)
    ]
    assert len(rows) == 155


def test_a_cnpj_that_lost_its_leading_zero_gets_it_back():
    rows, _ = parsed(WIDE.read_bytes().replace(b"\n02558157000162", b"\n2558157000162"))
    assert {row["cnpj"] for row in rows if row["company"] == "VIVO"} == {"02558157000162"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"66970229000167", b"", RejectReason.MISSING_VALUE),
        (b"66970229000167", b"6697022900016X", RejectReason.BAD_CODE),
        (b"2927408", b"292740", RejectReason.BAD_CODE),
        (b"600.0,", b"600.0000001,", RejectReason.OUT_OF_RANGE),
        (b"CLARO", b"CLARO,SA", RejectReason.MALFORMED_ROW),
        (b"CLARO", b"CLAR\xd4", RejectReason.BAD_ENCODING),
    ],
)
def test_a_bad_wide_row_is_one_reject_at_its_first_place(old, new, reason):
    rows, rejects = parsed(WIDE.read_bytes().replace(old, new, 1))
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(0, reason)]
    assert [row["row_number"] for row in rows][:1] == [8]


@pytest.mark.parametrize(("text", "reason"), [("-5", RejectReason.OUT_OF_RANGE), ("x", RejectReason.BAD_NUMBER)])
def test_a_bad_cell_rejects_itself_and_not_its_row(text, reason):
    rows, rejects = parsed(WIDE.read_bytes().replace(b"34318.0", text.encode(), 1))
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(2, reason)]
    assert len(rows) == 71
    assert 2 not in {row["row_number"] for row in rows}


def test_a_header_alone_gives_no_rows_and_one_chunk():
    header = WIDE.read_bytes().split(b"\n")[0]
    chunks = list(parse([header], Part("r", "p", "p", RETRIEVED_AT)))
    assert [(chunk.first_row, chunk.next_row, chunk.records[ACCESSES].num_rows) for chunk in chunks] == [(0, 0, 0)]


def test_parsing_from_a_row_on_gives_the_rest_whatever_the_chunks():
    whole, _ = parsed(WIDE.read_bytes())
    rest, _ = parsed(WIDE.read_bytes(), first_row=3, chunk_rows=16)
    assert rest == [row for row in whole if row["row_number"] >= 3 * 8]


def test_a_wide_chunk_holds_no_more_records_than_its_size():
    chunks = list(parse([WIDE.read_bytes()], Part("r", "p", "p", RETRIEVED_AT), chunk_rows=16))
    assert [chunk.first_row for chunk in chunks] == [0, 2, 4, 6, 8]


def test_of_a_period_only_one_layout_is_read_and_the_wide_one_where_there_is_one():
    names = [
        "Acessos_Banda_Larga_Fixa_2007-2010_Colunas.csv",
        "Acessos_Banda_Larga_Fixa_2019-2020.csv",
        "Acessos_Banda_Larga_Fixa_2019_2020_Colunas.csv",
        "Acessos_Banda_Larga_Fixa_2026.csv",
        "Acessos_Banda_Larga_Fixa_Total.csv",
        "Densidade_Banda_Larga_Fixa.csv",
        "Densidades.pdf",
    ]
    assert SOURCE.select is not None
    assert SOURCE.select(SOURCE.resources(date.today(), Span(date(2019, 1, 1)))[0], names, Span(date(2019, 1, 1))) == {
        "2019-2020": names[2],
        "2026": names[3],
        "Total": names[4],
    }


def test_a_month_ends_at_the_midnight_after_its_last_day():
    chunk = next(parse([long_csv()], Part("r", "p", "p", RETRIEVED_AT)))
    ends = SOURCE.publication[ACCESSES].period_end(chunk.records[ACCESSES])
    assert ends[0].as_py() == datetime(2026, 2, 1, tzinfo=UTC)

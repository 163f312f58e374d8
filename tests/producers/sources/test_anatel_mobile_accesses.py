"""ANATEL's mobile accesses: both layouts, the history, and which members of the zip are read."""

import csv
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from foundation.errors import InvalidContent
from producers.formats.csv_header import folded
from producers.model import Part, RejectReason, Span
from producers.sources.anatel_mobile_accesses import ACCESSES, SOURCE, parse
from replay import anatel
from replay.content import DATA
from tests.records import RETRIEVED_AT

SAMPLES = sorted((DATA / "anatel").glob("transcribed_mobile_*.csv"))
SAMPLE = SAMPLES[0]
LATEST = "202207-202212"

FIELDS = {
    "CNPJ": "cnpj",
    "Empresa": "company",
    "Grupo Econômico": "economic_group",
    "Porte da Prestadora": "provider_size",
    "UF": "uf",
    "Código IBGE Município": "municipality_code",
    "Código Nacional": "area_code",
    "Modalidade de Cobrança": "payment_mode",
    "Tecnologia": "technology",
    "Tecnologia Geração": "generation",
    "Tipo de Pessoa": "person_type",
    "Tipo de Produto": "product_type",
}
LONG = (
    "Ano;Mês;Grupo Econômico;Empresa;CNPJ;Porte da Prestadora;UF;Município;Código IBGE Município;Código Nacional;"
    "Código Nacional (Chip);Modalidade de Cobrança;Tecnologia;Tecnologia Geração;Tipo de Pessoa;Tipo de Produto;Acessos"
)
LONG_ROW = {
    "Ano": "2022",
    "Mês": "7",
    "Grupo Econômico": "TELEFÔNICA",
    "Empresa": "VIVO",
    "CNPJ": "02558157000162",
    "Porte da Prestadora": "Grande Porte",
    "UF": "SP",
    "Município": "Santo André",
    "Código IBGE Município": "3547809",
    "Código Nacional": "11",
    "Código Nacional (Chip)": "12",
    "Modalidade de Cobrança": "Pré-pago",
    "Tecnologia": "NR NSA",
    "Tecnologia Geração": "5G Non Stand Alone",
    "Tipo de Pessoa": "Pessoa Física",
    "Tipo de Produto": "VOZ+DADOS",
    "Acessos": "1234",
}


def parsed(body: bytes, **options):
    chunks = list(parse([body], Part("r", "p", "p", RETRIEVED_AT), **options))
    rows = [row for chunk in chunks for row in chunk.records[ACCESSES].to_pylist()]
    return rows, [reject for chunk in chunks for reject in chunk.rejects]


def long_csv(*names: str, **changes: str) -> bytes:
    """One long row under a header of these columns, or of all."""
    names = names or tuple(LONG.split(";"))
    row = LONG_ROW | {name.replace("_", " "): value for name, value in changes.items()}
    return ("\ufeff" + ";".join(names) + "\r\n" + ";".join(row[name] for name in names) + "\r\n").encode()


def expected_records(file: Path) -> list[dict]:
    """A sample's records, read cell by cell."""
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened, delimiter=";"))
    months = [name for name in rows[0] if name[:2] == "20"]
    return [
        {field: row[name] for name, field in FIELDS.items()}
        | {
            "reference_month_on": date(int(month[:4]), int(month[5:]), 1),
            "cnpj": f"{int(row['CNPJ']):014d}",
            "chip_area_code": None,
            "accesses": int(float(row[month])),
            "row_number": number * len(months) + position,
        }
        for number, row in enumerate(rows)
        for position, month in enumerate(months)
        if row[month] != "NaN"
    ]


def select(*names: str, span: Span = Span(date(2000, 1, 1))) -> dict[str, str]:  # noqa: B008
    assert SOURCE.select is not None
    members = [f"Acessos_Telefonia_Movel_{name}.csv" for name in names]
    chosen = SOURCE.select(SOURCE.resources(date.today(), span)[0], members, span)
    return {key: name.removeprefix("Acessos_Telefonia_Movel_")[:-4] for key, name in chosen.items()}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem[19:32])
def test_every_cell_of_a_sample_is_a_record_and_nan_is_none(sample):
    rows, rejects = parsed(sample.read_bytes())
    assert rejects == []
    assert rows == [{name: row[name] for name in rows[0]} for row in expected_records(sample)]


def test_the_samples_hold_as_many_records_as_cells_with_a_number():
    assert [len(parsed(sample.read_bytes())[0]) for sample in SAMPLES] == [18, 30, 27, 27, 29]


@pytest.mark.parametrize("half_year", ["201901-201906", LATEST])
def test_anatels_own_spelling_gives_the_same_records_as_the_transcription(half_year):
    """BOM, CRLF, empty cells, whole numbers, the CNPJ's zero: as the replay source writes day 2."""
    sample = DATA / "anatel" / f"transcribed_mobile_{half_year}_Colunas_head5.csv"
    assert parsed(anatel.mobile_wide_csv(half_year, 2)) == parsed(sample.read_bytes())


def test_the_long_layout_gives_the_same_records_but_for_their_row_numbers():
    long, rejects = parsed(anatel.mobile_long_csv(LATEST, 2))
    wide, _ = parsed(anatel.mobile_wide_csv(LATEST, 2))
    assert rejects == []
    assert [row["row_number"] for row in long] == list(range(29))
    assert [row | {"row_number": 0} for row in long] == [row | {"row_number": 0} for row in wide]


def test_a_long_row_is_read_as_it_is_published():
    (row,), rejects = parsed(long_csv())
    assert rejects == []
    assert row == {
        "reference_month_on": date(2022, 7, 1),
        "cnpj": "02558157000162",
        "company": "VIVO",
        "economic_group": "TELEFÔNICA",
        "provider_size": "Grande Porte",
        "uf": "SP",
        "municipality_code": "3547809",
        "area_code": "11",
        "chip_area_code": "12",
        "payment_mode": "Pré-pago",
        "technology": "NR NSA",
        "generation": "5G Non Stand Alone",
        "person_type": "Pessoa Física",
        "product_type": "VOZ+DADOS",
        "accesses": 1234,
        "row_number": 0,
    }


def test_columns_stand_in_any_order_and_are_found_by_name():
    assert parsed(long_csv(*reversed(LONG.split(";")))) == parsed(long_csv())


def test_without_the_chips_area_code_it_is_null():
    (row,), _ = parsed(long_csv(*(name for name in LONG.split(";") if "Chip" not in name)))
    assert (row["area_code"], row["chip_area_code"]) == ("11", None)


@pytest.mark.parametrize("column", [name for name in LONG.split(";")[2:-1] if "Chip" not in name and name in FIELDS])
def test_a_header_by_municipality_that_lost_a_column_refuses_the_member(column):
    with pytest.raises(InvalidContent, match=re.escape(folded(column))):
        parsed(long_csv(*(name for name in LONG.split(";") if name != column)))


def test_a_wide_header_since_2019_needs_its_municipality_whatever_else_it_lost():
    body = SAMPLE.read_bytes().replace("Município;".encode(), b"").replace("Código IBGE Município;".encode(), b"")
    with pytest.raises(InvalidContent, match="codigo ibge municipio"):
        parsed(body)


def test_the_history_by_technology_has_no_municipality():
    body = (
        "\ufeffCNPJ;Código Nacional;UF;Tecnologia;Tecnologia Geração;Empresa;Porte da Prestadora;Grupo Econômico;"
        "2009-02;2009-03\r\n"
        "02558157000162;11;SP;Dados > 256kbps;1G;VIVO;Grande Porte;TELEFÔNICA;;77\r\n"
    ).encode()
    (row,), rejects = parsed(body)
    assert rejects == []
    nothing = ("municipality_code", "chip_area_code", "payment_mode", "person_type", "product_type")
    assert {row[name] for name in nothing} == {None}
    assert (row["reference_month_on"], row["technology"], row["generation"], row["accesses"], row["row_number"]) == (
        date(2009, 3, 1),
        "Dados > 256kbps",
        "1G",
        77,
        1,
    )


def test_the_oldest_history_by_payment_mode_has_no_state_either():
    body = "CNPJ;Modalidade de Cobrança;Empresa;2005-01;2005-02\r\n2558157000162;Pré-pago;VIVO;5;6\r\n".encode()
    rows, rejects = parsed(body)
    assert rejects == []
    assert [(row["payment_mode"], row["uf"], row["technology"], row["accesses"]) for row in rows] == [
        ("Pré-pago", None, None, 5),
        ("Pré-pago", None, None, 6),
    ]


def test_a_history_cut_by_nothing_known_refuses_the_member():
    with pytest.raises(InvalidContent, match="tecnologia"):
        parsed(b"CNPJ;Empresa;2005-01\r\n2558157000162;VIVO;5\r\n")


@pytest.mark.parametrize("month", ["0000-01", "9999-12", "2019-13"])
def test_a_column_of_a_month_that_cannot_be_is_no_month(month):
    with pytest.raises(InvalidContent, match="month columns"):
        parsed(SAMPLE.read_bytes().split(b"2019-01")[0] + month.encode() + b"\n")


def test_a_total_is_no_member_of_this_source():
    with pytest.raises(InvalidContent, match="cnpj"):
        parsed(b"Ano;M\xc3\xaas;Acessos\r\n2022;7;1\r\n")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"CNPJ": ""}, RejectReason.MISSING_VALUE),
        ({"CNPJ": "NaN"}, RejectReason.MISSING_VALUE),
        ({"CNPJ": "1.778972e+12"}, RejectReason.BAD_CODE),
        ({"Código_IBGE_Município": "354780"}, RejectReason.BAD_CODE),
        ({"Mês": "13"}, RejectReason.BAD_DATE),
        ({"Ano": "NaN"}, RejectReason.BAD_NUMBER),
        ({"Acessos": ""}, RejectReason.MISSING_VALUE),
        ({"Acessos": "NaN"}, RejectReason.MISSING_VALUE),
        ({"Acessos": "-1"}, RejectReason.OUT_OF_RANGE),
        ({"Acessos": "1.234,5"}, RejectReason.BAD_NUMBER),
    ],
)
def test_a_bad_long_row_is_one_reject(changes, reason):
    rows, rejects = parsed(long_csv(**changes))
    assert rows == []
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(0, reason)]


def test_codes_that_pandas_made_floats_are_the_codes():
    """Without care `1778972000174.0` becomes fourteen digits again, and another company's."""
    changes = {"CNPJ": "1778972000174.0", "Código_IBGE_Município": "3547809.0", "Código_Nacional": "11.0"}
    (row,), rejects = parsed(long_csv(**changes))
    assert rejects == []
    assert (row["cnpj"], row["municipality_code"], row["area_code"]) == ("01778972000174", "3547809", "11")


@pytest.mark.parametrize("empty", ["", "NaN"])
def test_a_provider_without_name_size_and_group_keeps_its_row(empty):
    (row,), rejects = parsed(long_csv(Empresa=empty, Porte_da_Prestadora=empty, Grupo_Econômico=empty))
    assert rejects == []
    assert (row["company"], row["provider_size"], row["economic_group"]) == (None, None, None)


def test_rows_with_equal_keys_are_all_kept():
    """They cannot be summed here, where only a chunk is seen: silver sets conflicting ones aside."""
    body = long_csv()
    rows, rejects = parsed(body + body.split(b"\r\n")[1].replace(b";1234", b";1") + b"\r\n")
    assert rejects == []
    assert [row["accesses"] for row in rows] == [1234, 1]


def test_parsing_from_a_row_on_gives_the_rest_whatever_the_chunks():
    whole, _ = parsed(SAMPLE.read_bytes())
    rest, _ = parsed(SAMPLE.read_bytes(), first_row=2, chunk_rows=7)
    assert rest == [row for row in whole if row["row_number"] >= 2 * 6]


def test_of_a_half_year_one_layout_is_read_and_the_wide_one_where_there_is_one():
    assert select("2026_1S", "2026_1S_Colunas", "2025_2S") == {
        "202507-202512": "2025_2S",
        "202601-202606": "2026_1S_Colunas",
    }


def test_a_half_year_keeps_its_key_under_either_naming():
    """So a file that is only named again is not published again."""
    assert select("201901-201906_Colunas").keys() == select("2019_1S").keys() == {"201901-201906"}
    assert select("201901-201906_Colunas", "2019_1S") == {"201901-201906": "201901-201906_Colunas"}


HISTORY = (
    "2005-2018_Tecnologia",
    "200902-2018_Tecnologia_Colunas",
    "200902-2018_Modalidade_Colunas",
    "2005-200901_Modalidade_Colunas",
)


def test_every_month_of_the_history_is_read_from_one_member():
    assert select(*HISTORY, "2019_1S", "Total") == {
        "200501-200901": "2005-200901_Modalidade_Colunas",
        "200902-201812": "200902-2018_Tecnologia_Colunas",
        "201901-201906": "2019_1S",
    }


def test_no_month_is_given_up_for_a_better_layout():
    """Without the wide member of the first years, the long one has more months than the wide ones."""
    assert select(*HISTORY[:3]) == {"200501-201812": "2005-2018_Tecnologia"}


def test_of_two_cuts_in_one_layout_the_technology_is_read():
    assert select("2005-2018_Modalidade", "2005-2018_Tecnologia") == {"200501-201812": "2005-2018_Tecnologia"}
    assert select("2005-2018_Modalidade") == {"200501-201812": "2005-2018_Modalidade"}


def test_live_and_backfill_own_different_periods_of_one_choice():
    members = (*HISTORY, "2018_2S", "201901-201906")
    live, backfill = Span(SOURCE.history_start), Span(date(2005, 1, 1), date(2018, 12, 31))
    assert select(*members, span=live) == {"201901-201906": "201901-201906"}
    assert live.first > backfill.last
    assert select(*members, span=live) | select(*members, span=backfill) == select(*members)


@pytest.mark.parametrize("name", ["Total", "2019_3S", "201913-201914", "2019-2018", "0000", "2019_1S_Outra"])
def test_a_member_that_is_no_period_of_accesses_is_not_read(name):
    assert select(name, "2019_1S") == {"201901-201906": "2019_1S"}


def test_a_zip_without_any_period_is_refused_since_a_new_naming_would_look_like_it():
    with pytest.raises(InvalidContent, match="none of 2 members"):
        select("Total", "2027_first_half")


def test_a_month_ends_at_the_midnight_after_its_last_day():
    chunk = next(parse([long_csv(Mês="12")], Part("r", "p", "p", RETRIEVED_AT)))
    ends = SOURCE.publication[ACCESSES].period_end(chunk.records[ACCESSES])
    assert ends[0].as_py() == datetime(2023, 1, 1, tzinfo=UTC)


def test_the_replayed_zip_changes_once_by_one_corrected_cell():
    before, after = parsed(anatel.mobile_long_csv(LATEST, 1))[0], parsed(anatel.mobile_long_csv(LATEST, 2))[0]
    changed = [(old["accesses"], new["accesses"]) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [(4498, 4512)]


def test_the_last_replayed_day_moves_a_month_renames_a_group_and_takes_three_records_back():
    def records(day: int) -> set[tuple]:
        halves = [anatel.mobile_long_csv(half, day) for half in ("202201-202206", LATEST)]
        rows = [row for half in halves for row in parsed(half)[0]]
        names = ("reference_month_on", "economic_group", "technology", "person_type", "product_type", "accesses")
        return {tuple(row[name] for name in names) for row in rows}

    before, after = records(2), records(3)
    gone, new = before - after, after - before
    assert {row[1] for row in gone} == {"TELECOM AMERICAS"}
    assert {row[1] for row in new} == {"CLARO"}
    assert len(gone) - len(new) == 3
    june = [row["reference_month_on"] for row in parsed(anatel.mobile_long_csv(LATEST, 3))[0]]
    assert june.count(date(2022, 6, 1)) == 4

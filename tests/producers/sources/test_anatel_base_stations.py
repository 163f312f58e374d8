"""ANATEL's licensed carriers: the licensing system's export, of which a real file is kept, and the mobile file."""

import csv
import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest

from foundation.errors import InvalidContent
from producers.formats.csv_header import folded
from producers.model import Part, RejectReason, Span
from producers.publication_clock import HTTP, NONE, Edition, published
from producers.sources.anatel_base_stations import SOURCE, STATIONS, parse
from replay import anatel
from replay.content import DATA
from tests.records import RETRIEVED_AT

NATAL = DATA / "anatel" / "csv_natal_licenciamento_nr.csv"
TEXTS = {
    "_id": "license_row_id",
    "NumEstacao": "station_number",
    "NomeEntidade": "company",
    "SiglaUf": "uf",
    "CodMunicipio": "municipality_code",
    "Tecnologia": "technology",
    "tipoTecnologia": "nr_mode",
}
REALS = {
    "FreqTxMHz": "transmit_frequency_mhz",
    "FreqRxMHz": "receive_frequency_mhz",
    "Azimute": "azimuth_degrees",
    "AlturaAntena": "antenna_height_m",
    "PotenciaTransmissorWatts": "transmit_power_w",
    "Latitude": "latitude_degrees",
    "Longitude": "longitude_degrees",
}
DAYS = {
    "DataLicenciamento": "licensed_on",
    "DataPrimeiroLicenciamento": "first_licensed_on",
    "DataValidade": "valid_until_on",
}

# Built: no bytes of the mobile file are known, only its header and how it spells nulls, dates and coordinates.
MOBILE = {
    "Número Fistel": "50409146285",
    "Número Estação": "0431377839",
    "NumCnpjCpf": "2558157000162",
    "NumServico": "010",
    "Frequência (MHz)": "3350",
    "Banda_MHZ": "3500",
    "Frequência Inicial": "3300",
    "Frequência Final": "3400",
    "FreqTxMHz": "2117.5",
    "FreqRxMHz": "1927,5",
    "Designação Emissão": "100MG7W",
    "Número Ato": "105752021",
    "Data Validade": "2041-12-08",
    "Entidade": "TELEFONICA BRASIL S.A.",
    "NumSetor": "1",
    "Tecnologia": "NR",
    "Tipo de Tecnologia 5G": "SA-NSA",
    "Latitude": "05S495310",
    "Longitude": "35W130310",
    "Latitude decimal": "-5.831417",
    "Longitude decimal": "-35.217528",
    "EnderecoEstacao": "RUA DA CONCEIÇÃO",
    "EndBairro": "#N/A",
    "EndNumero": ",",
    "EndComplemento": "NÃO IDENTIFICADA",
    "Cep": "01310100",
    "ClassInfraFisica": "",
    "Data Primeiro Licenciamento": "16/11/1999",
    "Data Licenciamento": "24/10/2023",
    "AnoMesLic": "202310",
    "Situacao": "Licenciada",
    "Caráter": "Primário",
    "Empresa Estação": "VIVO",
    "Faixa Estação": "3.500 MHz",
    "Subfaixa Estação": "J",
    "Geração": "5G",
    "Código Nacional": "84",
    "Código IBGE": "2408102",
    "Município-UF": "Natal-RN",
    "UF": "RN",
    "Nome da UF": "Rio Grande do Norte",
}


def parsed(body: bytes, **options):
    chunks = list(parse([body], Part("r", "p", "p", RETRIEVED_AT), **options))
    rows = [row for chunk in chunks for row in chunk.records[STATIONS].to_pylist()]
    return rows, [reject for chunk in chunks for reject in chunk.rejects]


def mobile_csv(**changes: str) -> bytes:
    """The built row under the mobile file's header."""
    row = MOBILE | changes
    assert row.keys() == MOBILE.keys()
    return ("\ufeff" + ";".join(row) + "\r\n" + ";".join(row.values()) + "\r\n").encode()


def natal() -> list[dict[str, str]]:
    """The real export's rows, read by the csv module."""
    with NATAL.open(encoding="latin-1", newline="") as file:
        return list(csv.DictReader(file))


def expected_record(number: int, row: dict[str, str]) -> dict:
    """One real row, cell by cell."""
    known = TEXTS.keys() | REALS.keys() | DAYS.keys()
    return (
        {field: row[name] or None for name, field in TEXTS.items()}
        | {field: float(row[name]) for name, field in REALS.items()}
        | {field: date.fromisoformat(row[name]) for name, field in DAYS.items()}
        | {
            "cnpj": None,
            "generation": None,
            "attributes": [(name, value) for name, value in row.items() if name not in known],
            "row_number": number,
        }
    )


def without_column(body: bytes, name: str) -> bytes:
    """The export with one column fewer, as some states' files have it."""
    rows = list(csv.reader(body.decode("latin-1").splitlines()))
    place = rows[0].index(name)
    lines = []
    for row in rows:
        cells = row[:place] + row[place + 1 :]
        lines.append(",".join(f'"{cell}"' if "," in cell or '"' in cell else cell for cell in cells))
    return "\n".join([*lines, ""]).encode("latin-1")


def test_every_value_of_the_real_export_is_read():
    rows, rejects = parsed(NATAL.read_bytes())
    expected = [expected_record(number, row) for number, row in enumerate(natal())]
    assert rejects == []
    assert len(rows) == 766
    assert rows == [{name: row[name] for name in rows[0]} for row in expected]


def test_the_real_export_is_carriers_of_fewer_stations():
    rows, _ = parsed(NATAL.read_bytes())
    assert len({row["license_row_id"] for row in rows}) == 766
    assert len({row["station_number"] for row in rows}) == 209


def test_leading_zeros_of_attributes_are_kept():
    rows, _ = parsed(NATAL.read_bytes())
    first = dict(rows[0]["attributes"])
    assert (first["NumServico"], first["CodEquipamentoAntena"]) == ("010", "064101600762")


def test_latin_1_is_read_as_such_though_the_header_is_plain_ascii():
    rows, _ = parsed(NATAL.read_bytes())
    addresses = {dict(row["attributes"])["EnderecoEstacao"] for row in rows}
    assert "R DR JOSÉ BEZERRA" in addresses
    assert not any("Ã\x89" in address for address in addresses)


def test_an_export_that_was_saved_again_as_utf_8_gives_the_same_records():
    assert parsed(NATAL.read_bytes().decode("latin-1").encode()) == parsed(NATAL.read_bytes())


def test_a_damaged_line_of_a_utf_8_export_is_a_reject_and_turns_no_other_into_latin_1():
    lines = NATAL.read_bytes().decode("latin-1").encode().split(b"\n")
    damaged = b"\n".join([lines[0], lines[1] + b"\xe9", *lines[2:]])
    rows, rejects = parsed(damaged)
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(0, RejectReason.BAD_ENCODING)]
    assert rows == parsed(NATAL.read_bytes())[0][1:]


def test_a_file_without_the_column_that_only_some_states_have_gives_the_same_records_without_it():
    short, rejects = parsed(without_column(NATAL.read_bytes(), "meioAcesso"))
    whole, _ = parsed(NATAL.read_bytes())
    for row in whole:
        row["attributes"] = [(name, text) for name, text in row["attributes"] if name != "meioAcesso"]
    assert rejects == []
    assert short == whole


def test_without_ids_a_rows_bytes_are_its_identity():
    body = without_column(NATAL.read_bytes(), "_id")
    rows, _ = parsed(body)
    assert [row["license_row_id"] for row in rows] == [
        hashlib.sha256(line).hexdigest() for line in body.split(b"\n")[1:-1]
    ]


def test_a_row_whose_id_is_blank_is_identified_by_its_bytes_too():
    lines = NATAL.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b",4d5c019f9669f,", b",,")
    rows, _ = parsed(b"\n".join(lines))
    assert rows[0]["license_row_id"] == hashlib.sha256(lines[1]).hexdigest()
    assert rows[1]["license_row_id"] == "4d5c019f966a0"


def test_equal_rows_have_equal_ids_and_line_ends_do_not_matter():
    line = mobile_csv().split(b"\r\n")[1]
    twice, _ = parsed(mobile_csv() + line + b"\r\n")
    unix, _ = parsed(mobile_csv().replace(b"\r\n", b"\n"))
    assert [row["license_row_id"] for row in twice + unix] == [hashlib.sha256(line).hexdigest()] * 3


def test_the_mobile_file_gives_the_contracts_fields():
    (row,), rejects = parsed(mobile_csv())
    assert rejects == []
    assert len(MOBILE) == 41
    attributes = row.pop("attributes")
    del row["license_row_id"]
    assert row == {
        "station_number": "0431377839",
        "company": "TELEFONICA BRASIL S.A.",
        "cnpj": "02558157000162",
        "uf": "RN",
        "municipality_code": "2408102",
        "technology": "NR",
        "generation": "5G",
        "nr_mode": "SA-NSA",
        "transmit_frequency_mhz": 2117.5,
        "receive_frequency_mhz": 1927.5,
        "azimuth_degrees": None,
        "antenna_height_m": None,
        "transmit_power_w": None,
        "latitude_degrees": -5.831417,
        "longitude_degrees": -35.217528,
        "licensed_on": date(2023, 10, 24),
        "first_licensed_on": date(1999, 11, 16),
        "valid_until_on": date(2041, 12, 8),
        "row_number": 0,
    }
    taken = set(MOBILE.values()) - {text for _, text in attributes}
    assert len(attributes) == 41 - 15
    assert attributes == [(name, text) for name, text in MOBILE.items() if name in dict(attributes)]
    assert {"RUA DA CONCEIÇÃO", "05S495310", "#N/A", ",", ""}.isdisjoint(taken)


@pytest.mark.parametrize("nothing", ["NÃO IDENTIFICADA", "#N/A", ",", "", "  "])
def test_whatever_spells_nothing_is_null_in_every_field_that_may_be(nothing):
    names = ["Entidade", "NumCnpjCpf", "UF", "Código IBGE", "Tecnologia", "Geração", "Tipo de Tecnologia 5G"]
    names += ["FreqTxMHz", "FreqRxMHz", "Latitude decimal", "Longitude decimal"]
    names += ["Data Licenciamento", "Data Primeiro Licenciamento", "Data Validade"]
    (row,), rejects = parsed(mobile_csv(**dict.fromkeys(names, nothing)))
    assert rejects == []
    given = {name for name, value in row.items() if value is not None}
    assert given == {"license_row_id", "station_number", "attributes", "row_number"}


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ("Número Estação", "", RejectReason.MISSING_VALUE),
        ("Número Estação", "#N/A", RejectReason.MISSING_VALUE),
        ("Código IBGE", "240810", RejectReason.BAD_CODE),
        ("NumCnpjCpf", "2558157000162X", RejectReason.BAD_CODE),
        ("Latitude decimal", "05S495310", RejectReason.BAD_NUMBER),
        ("Data Licenciamento", "31/02/2023", RejectReason.BAD_DATE),
        ("EnderecoEstacao", "RUA A;B", RejectReason.MALFORMED_ROW),
    ],
)
def test_a_bad_row_is_one_reject(column, text, reason):
    rows, rejects = parsed(mobile_csv(**{column: text}))
    assert rows == []
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(0, reason)]


@pytest.mark.parametrize("text", ["00/00/0000", "0000-00-00", "Indeterminado", "prazo indeterminado"])
@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("Data Validade", "valid_until_on"),
        ("Data Licenciamento", "licensed_on"),
        ("Data Primeiro Licenciamento", "first_licensed_on"),
    ],
)
def test_a_text_that_stands_for_no_date_is_null_and_kept_among_the_attributes(column, field, text):
    """A licence without end costs no carrier its row, and is told from a licence of which no end is known."""
    (plain,), _ = parsed(mobile_csv())
    (row,), rejects = parsed(mobile_csv(**{column: text}))
    assert rejects == []
    assert row[field] is None
    assert row["attributes"] == [*plain["attributes"], (column, text)]


def test_only_the_rows_that_say_no_date_have_the_text():
    body = (
        mobile_csv()
        + mobile_csv(**{"Data Validade": "Indeterminado", "Data Licenciamento": "00/00/0000"}).split(b"\n", 1)[1]
    )
    rows, _ = parsed(body + mobile_csv().split(b"\n", 1)[1])
    said = [dict(row["attributes"]).keys() & {"Data Validade", "Data Licenciamento"} for row in rows]
    assert said == [set(), {"Data Validade", "Data Licenciamento"}, set()]


def test_a_day_with_its_midnight_is_the_day():
    (row,), _ = parsed(mobile_csv(**{"Data Licenciamento": "2020-01-01 00:00:00"}))
    assert row["licensed_on"] == date(2020, 1, 1)


def test_dashes_and_curly_quotes_of_windows_are_read():
    """As latin-1 these three bytes were control characters, unseen."""
    body = NATAL.read_bytes().replace(b"RUA", b"\x93RUA\x94 \x96", 1)
    rows, _ = parsed(body)
    assert any("“RUA” –" in dict(row["attributes"])["EnderecoEstacao"] for row in rows)


def test_the_mobile_file_is_utf_8_and_nothing_else():
    line = mobile_csv().split(b"\r\n")[1]
    rows, rejects = parsed(mobile_csv() + line.decode().encode("latin-1") + b"\r\n")
    assert [row["row_number"] for row in rows] == [0]
    assert [reject.reason for reject in rejects] == [RejectReason.BAD_ENCODING]


@pytest.mark.parametrize("column", ["NumCnpjCpf", "Código IBGE", "Latitude decimal", "Data Licenciamento"])
def test_a_header_that_lost_a_column_refuses_the_file(column):
    with pytest.raises(InvalidContent, match=f"lacks the columns '{folded(column)}'; unknown .*: 'Novidade'"):
        parsed(mobile_csv().replace(f";{column};".encode(), b";Novidade;"))


def test_the_old_layout_is_refused_by_its_name():
    with pytest.raises(InvalidContent, match="old layout"):
        parsed(b"prestadora,cnpj,numero_estacao,tipo_estacao,uf\nVIVO,02558157000162,1,ERB,RN\n")


@pytest.mark.parametrize("body", [b"", b"<html>", b'"' * 200_000, b"NumEstacao,NumEstacao\n", b"\x00;\xff\n"])
def test_what_is_no_station_file_is_refused(body):
    with pytest.raises(InvalidContent):
        parsed(body)


def test_a_header_alone_gives_no_rows_and_one_chunk():
    chunks = list(parse([NATAL.read_bytes().split(b"\n")[0]], Part("r", "p", "p", RETRIEVED_AT)))
    assert [(chunk.first_row, chunk.next_row, chunk.records[STATIONS].num_rows) for chunk in chunks] == [(0, 0, 0)]


def test_parsing_from_a_row_on_gives_the_rest_whatever_the_chunks():
    rest, _ = parsed(NATAL.read_bytes(), first_row=500, chunk_rows=37)
    assert rest == parsed(NATAL.read_bytes())[0][500:]


def test_a_snapshot_is_published_when_it_was_measured_and_never_before():
    """A carrier licensed in 1999 was not to be seen then as it is now."""
    part = Part("r", "p", "p", RETRIEVED_AT)
    records = next(parse([NATAL.read_bytes()], part)).records[STATIONS]
    modified_at = RETRIEVED_AT - timedelta(days=3)
    dated = published(records, part, SOURCE.publication[STATIONS], Edition(True, modified_at, HTTP, RETRIEVED_AT))
    undated = published(records, part, SOURCE.publication[STATIONS], Edition(True, None, None, RETRIEVED_AT))
    assert [set(column.to_pylist()) for column in dated] == [{modified_at}, {HTTP}]
    assert [set(column.to_pylist()) for column in undated] == [{None}, {NONE}]


def test_every_csv_of_the_zip_is_read_whatever_the_span():
    assert SOURCE.select is not None
    names = ["Estacoes_SMP.csv", "LEIAME.txt", "uf/RN.CSV"]
    chosen = SOURCE.select(SOURCE.resources(date.today(), Span(date.today()))[0], names, Span(date.today()))
    assert chosen == {"Estacoes_SMP": names[0], "uf/RN": names[2]}
    assert not SOURCE.keeps_history


def test_the_replayed_snapshot_is_the_real_file_from_day_2_and_its_beginning_before():
    assert anatel.stations_csv(2) == NATAL.read_bytes()
    assert NATAL.read_bytes().startswith(anatel.stations_csv(1))
    assert len(parsed(anatel.stations_csv(1))[0]) == 700
    served = anatel.answer(anatel.STATIONS_PATH, {}, 1)
    assert served is not None
    assert served.modified_at == datetime(2025, 10, 21, 10, 56, 40, tzinfo=UTC)

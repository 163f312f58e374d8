"""INMET's station files: every value of every sample equals the file's, read here by plain string handling."""

from datetime import UTC, date, datetime

import pytest

from foundation.errors import InvalidContent
from producers.model import Part, RejectReason, Span
from producers.sources.inmet_hourly import SOURCE, parse
from replay.content import DATA
from schemas.contracts import load
from tests.records import RETRIEVED_AT

FILES = sorted((DATA / "inmet").glob("*.CSV"))
SALVADOR = next(file for file in FILES if "_A401_" in file.name)
VALUES = load("inmet_hourly").value_fields


def part(name: str) -> Part:
    return Part("2024", name, name, RETRIEVED_AT)


def parsed(body: bytes, name: str = SALVADOR.name, **options):
    """All hourly rows, all station rows, all rejects."""
    hours, stations, rejects = [], [], []
    for chunk in parse([body], part(name), **options):
        hours += chunk.records["inmet_hourly"].to_pylist()
        stations += chunk.records["inmet_stations"].to_pylist() if "inmet_stations" in chunk.records else []
        rejects += chunk.rejects
    return hours, stations, rejects


def plain_number(text: str) -> float | None:
    text = text.strip()
    return None if text in ("", "-9999") else float(text.replace(",", "."))


def plain_instant(day: str, hour: str) -> datetime:
    digits = hour.replace(":", "").replace(" UTC", "")
    year, month, day_of_month = day.replace("/", "-").split("-")
    return datetime(int(year), int(month), int(day_of_month), int(digits[:2]), int(digits[2:]), tzinfo=UTC)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_value_of_a_sample_is_the_files(file):
    lines = file.read_bytes().decode("latin-1").split("\n")
    code = lines[3].split(";")[1]
    expected = []
    for number, line in enumerate(line for line in lines[9:] if line):
        day, hour, *values, after_the_last = line.split(";")
        assert after_the_last == ""
        row = {"station_code": code, "observed_at": plain_instant(day, hour), "row_number": number}
        expected.append(row | dict(zip(VALUES, map(plain_number, values), strict=True)))

    hours, stations, rejects = parsed(file.read_bytes(), file.name)

    assert rejects == []
    assert hours == expected
    assert len(stations) == 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_station_is_what_the_eight_lines_say(file):
    metadata = [line.split(";")[1] for line in file.read_bytes().decode("latin-1").split("\n")[:8]]
    _, (station,), _ = parsed(file.read_bytes(), file.name)

    assert [station[name] for name in ("region", "uf", "name", "station_code")] == metadata[:4]
    assert station["latitude_degrees"] == plain_number(metadata[4])
    assert station["longitude_degrees"] == plain_number(metadata[5])
    assert station["altitude_m"] == plain_number(metadata[6])
    assert station["row_number"] == 0
    day, month, year = file.name.split("_")[-3].split("-")
    assert station["valid_from_on"] == date(int(year), int(month), int(day))


@pytest.mark.parametrize(
    ("published", "meant"),
    [("28/01/03", date(2003, 1, 28)), ("2003-01-28", date(2003, 1, 28)), ("13/05/00", date(2000, 5, 13)), ("", None)],
)
def test_founding_dates_of_every_layout(published, meant):
    lines = SALVADOR.read_bytes().split(b"\n")[:10]
    lines[7] = lines[7].split(b";")[0] + b";" + published.encode()
    _, (station,), _ = parsed(b"\n".join(lines))
    assert station["founded_on"] == meant


def test_a_file_saved_again_as_utf8_gives_the_same_rows():
    body = SALVADOR.read_bytes()
    assert parsed(body.decode("latin-1").encode("utf-8")) == parsed(body)


def test_a_name_with_accents_survives_both_encodings():
    body = SALVADOR.read_bytes().replace(b"ESTACAO:;SALVADOR", "ESTACAO:;SÃO JOÃO".encode("latin-1"))
    for encoded in (body, body.decode("latin-1").encode("utf-8")):
        assert parsed(encoded)[1][0]["name"] == "SÃO JOÃO"


def test_a_row_with_a_shifted_column_is_rejected_and_the_others_are_not():
    lines = SALVADOR.read_bytes().split(b"\n")
    lines[11] = lines[11] + b"7;"
    hours, _, rejects = parsed(b"\n".join(lines))
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(2, RejectReason.MALFORMED_ROW)]
    assert rejects[0].raw == lines[11]
    assert len(hours) == 8783
    assert [row["row_number"] for row in hours[:3]] == [0, 1, 3]


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        (0, "2024/13/01", RejectReason.BAD_DATE),
        (1, "2500 UTC", RejectReason.BAD_DATE),
        (7, "26,8C", RejectReason.BAD_NUMBER),
        (7, "nan", RejectReason.BAD_NUMBER),
        (7, "1.006,7", RejectReason.BAD_NUMBER),
    ],
)
def test_a_value_that_is_none_rejects_its_row(column, text, reason):
    lines = SALVADOR.read_bytes().split(b"\n")[:12]
    fields = lines[10].split(b";")
    fields[column] = text.encode()
    lines[10] = b";".join(fields)
    hours, _, rejects = parsed(b"\n".join(lines))
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, reason)]
    assert text in rejects[0].detail
    assert [row["row_number"] for row in hours] == [0, 2]


def test_a_header_without_a_column_refuses_the_file():
    lines = SALVADOR.read_bytes().split(b"\n")
    short = [b";".join([*line.split(b";")[:18], b""]) for line in lines[8:]]
    with pytest.raises(InvalidContent, match="18 columns"):
        parsed(b"\n".join(lines[:8] + short))


def test_a_header_with_two_columns_exchanged_refuses_the_file():
    """Gust and mean wind stand the unexpected way round; exchanged they would be plausible, and wrong."""
    lines = SALVADOR.read_bytes().split(b"\n")
    names = lines[8].split(b";")
    names[17], names[18] = names[18], names[17]
    lines[8] = b";".join(names)
    with pytest.raises(InvalidContent, match="RAJADA"):
        parsed(b"\n".join(lines))


def test_an_html_page_is_no_station_file():
    with pytest.raises(InvalidContent):
        parsed((DATA / "anatel" / "head4000_html_saved_as_data.html").read_bytes())


def test_a_file_with_no_row_still_has_a_station():
    hours, stations, rejects = parsed(b"\n".join(SALVADOR.read_bytes().split(b"\n")[:9]))
    assert (len(hours), len(stations), rejects) == (0, 1, [])


def test_parsing_from_a_row_on_gives_the_rest_and_no_station():
    whole, _, _ = parsed(SALVADOR.read_bytes())
    rest, stations, _ = parsed(SALVADOR.read_bytes(), first_row=5000, chunk_rows=1000)
    assert rest == whole[5000:]
    assert stations == []


def test_chunks_lie_end_to_end():
    chunks = list(parse([SALVADOR.read_bytes()], part(SALVADOR.name), chunk_rows=1000))
    assert [chunk.first_row for chunk in chunks] == list(range(0, 8784, 1000))
    assert [chunk.next_row for chunk in chunks] == [*range(1000, 8784, 1000), 8784]


def test_members_are_found_by_station_whatever_folder_case_or_end_date():
    names = [
        "2019/INMET_S_PR_A807_CURITIBA_01-01-2019_A_31-12-2019.CSV",
        "INMET_NE_MA_A217_FAROL de SANTANA_01-01-2024_A_30-09-2024.CSV",
        "INMET_CO_MT_A933_S.J. DO RIO CLARO (X)_Y_01-01-2024_A_31-12-2024.csv",
        "leia-me.txt",
    ]
    assert SOURCE.select is not None
    found = SOURCE.select(SOURCE.resources(date(2024, 1, 1), Span(date(2024, 1, 1)))[0], names, Span(date(2024, 1, 1)))
    assert found == {"A807": names[0], "A217": names[1], "A933": names[2]}


def test_two_files_of_one_station_in_a_year_are_two_parts():
    names = [
        "INMET_N_AP_A249_MACAPA_01-01-2024_A_31-03-2024.CSV",
        "INMET_N_AP_A249_MACAPA_01-05-2024_A_31-12-2024.CSV",
    ]
    assert SOURCE.select is not None
    found = SOURCE.select(SOURCE.resources(date(2024, 1, 1), Span(date(2024, 1, 1)))[0], names, Span(date(2024, 1, 1)))
    assert sorted(found.values()) == names

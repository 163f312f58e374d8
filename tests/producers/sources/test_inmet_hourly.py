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


HEAD = SALVADOR.read_bytes().split(b"\n")[:10]
"""The lines above the rows, and the first row."""


def with_names(*changes: tuple[str, str]) -> bytes:
    """HEAD, with parts of the columns' names replaced."""
    names = HEAD[8].decode("latin-1")
    for before, after in changes:
        assert before in names
        names = names.replace(before, after)
    return b"\n".join([*HEAD[:8], names.encode("utf-8"), HEAD[9]])


def with_metadata(number: int, value: str) -> bytes:
    """HEAD, with another value in one line about the station."""
    lines = HEAD.copy()
    lines[number] = lines[number].split(b";")[0] + b";" + value.encode("latin-1")
    return b"\n".join(lines)


def notes(body: bytes, **options) -> set[str]:
    return {note for chunk in parse([body], part(SALVADOR.name), **options) for note in chunk.notes}


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
    [
        ("28/01/03", date(2003, 1, 28)),
        ("28-01-03", date(2003, 1, 28)),
        ("2003-01-28", date(2003, 1, 28)),
        ("13/05/00", date(2000, 5, 13)),
        ("", None),
    ],
)
def test_founding_dates_of_every_layout(published, meant):
    _, (station,), _ = parsed(with_metadata(7, published))
    assert station["founded_on"] == meant
    assert notes(with_metadata(7, published)) == set()


@pytest.mark.parametrize(
    ("number", "field", "value"),
    [
        (4, "latitude_degrees", "-13,01S"),
        (5, "longitude_degrees", "NaN"),
        (6, "altitude_m", "F"),
        (7, "founded_on", "31/02/03"),
        (7, "founded_on", "in 2003"),
    ],
)
def test_an_optional_field_that_cannot_be_read_is_null_and_noted_and_the_station_stays(number, field, value):
    _, (whole,), _ = parsed(b"\n".join(HEAD))
    _, (station,), rejects = parsed(with_metadata(number, value))
    assert rejects == []
    assert station == {**whole, field: None}
    (note,) = notes(with_metadata(number, value))
    assert value in note


def test_what_was_left_out_of_a_station_is_noted_with_its_record_only():
    body = with_metadata(6, "F") + b"\n" + HEAD[9]
    assert len(notes(body, chunk_rows=1)) == 1
    assert notes(body, first_row=1) == set()


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


@pytest.mark.parametrize(
    "hour", ["1630", "1630 UTC", "16:30", "0059 UTC", "2359 UTC", "2400 UTC", "1500 BRT", "16", "900"]
)
def test_a_row_off_the_hour_is_rejected_and_its_neighbours_are_not(hour):
    """The file holds hours. A row between two of them would give its day an hour that it does not have."""
    lines = [*HEAD, HEAD[9].replace(b"0000 UTC", hour.encode()), HEAD[9].replace(b"0000 UTC", b"0100 UTC")]
    hours, _, rejects = parsed(b"\n".join(lines))
    assert [row["row_number"] for row in hours] == [0, 2]
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, RejectReason.BAD_DATE)]
    assert hour in rejects[0].detail


@pytest.mark.parametrize("hour", ["16:00", "1600 UTC", "1600", "16:00 UTC"])
def test_every_spelling_of_an_hour_is_read(hour):
    (row,), _, _ = parsed(b"\n".join([*HEAD[:9], HEAD[9].replace(b"0000 UTC", hour.encode())]))
    assert row["observed_at"] == datetime(2024, 1, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize("day", ["2023/12/31", "2025/01/01", "0204/01/01", "2204/01/01"])
def test_a_row_outside_the_period_of_the_files_name_is_rejected(day):
    lines = [*HEAD, HEAD[9].replace(b"2024/01/01", day.encode()), HEAD[9].replace(b"2024/01/01", b"2024/12/31")]
    hours, _, rejects = parsed(b"\n".join(lines))
    assert [row["row_number"] for row in hours] == [0, 2]
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, RejectReason.OUT_OF_RANGE)]
    assert day in rejects[0].detail
    # Control: a name that states no period objects to none.
    assert len(parsed(b"\n".join(lines), "salvador.csv")[0]) == 3


@pytest.mark.parametrize(
    ("number", "value", "says"),
    [(3, "A402", "'A401' in the name, 'A402' in the file"), (1, "SE", "'BA' in the name, 'SE' in the file")],
)
def test_a_file_that_contradicts_its_own_name_is_refused(number, value, says):
    with pytest.raises(InvalidContent, match=says):
        parsed(with_metadata(number, value))
    assert parsed(with_metadata(number, value), "salvador.csv")[0], "control: without a name there is no contradiction"


def test_a_file_whose_name_ends_before_it_begins_is_refused():
    with pytest.raises(InvalidContent, match="contradicts itself"):
        parsed(b"\n".join(HEAD), "INMET_NE_BA_A401_SALVADOR_31-12-2024_A_01-01-2024.CSV")


# The columns


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("(Kj/m²)", "(W/m²)", r"'W/m²', not in 'kJ/m²'"),
        ("RAJADA MAXIMA (m/s)", "RAJADA MAXIMA (km/h)", r"'km/h', not in 'm/s'"),
        ("VELOCIDADE HORARIA (m/s)", "VELOCIDADE HORARIA (kt)", r"'kt', not in 'm/s'"),
        ("BULBO SECO, HORARIA (°C)", "BULBO SECO, HORARIA (°F)", r"'°F', not in '°C'"),
        ("ORVALHO MAX. NA HORA ANT. (AUT) (°C)", "ORVALHO MAX. NA HORA ANT. (AUT) (K)", r"'K', not in '°C'"),
        ("NIVEL DA ESTACAO, HORARIA (mB)", "NIVEL DA ESTACAO, HORARIA (mmHg)", r"'mmHg', not in 'mB'"),
        ("HORÁRIO (mm)", "HORÁRIO (in)", r"'in', not in 'mm'"),
        ("(° (gr))", "(rad)", r"'rad', not in 'gr'"),
        ("DO AR, HORARIA (%)", "DO AR, HORARIA (g/kg)", r"'g/kg', not in '%'"),
        ("RAJADA MAXIMA (m/s)", "RAJADA MAXIMA", "states no unit"),
        ("RAJADA MAXIMA (m/s)", "RAJADA MAXIMA m/s)", "states no unit"),
    ],
)
def test_a_column_in_another_unit_refuses_the_file(before, after, says):
    """The same number is another quantity: 1,350 W/m² is not 1,350 kJ/m², and both are plausible."""
    with pytest.raises(InvalidContent, match=says):
        parsed(with_names((before, after)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *(
            (("(Kj/m²)", f"({unit})"))
            for unit in ("KJ/m²", "kJ/m2", "KJ/m?", "KJ/m^2", "KJ/m≤", "KJ/m\ufffd", "KJ/mÂ²")
        ),
        *((("(°C)", f"({unit})")) for unit in ("ºC", "oC", "C", "?C", "∞C", "\ufffdC", "Â°C", "° C")),
        *((("(° (gr))", f"({unit})")) for unit in ("gr", "°", "grau (gr)", "? (gr)", "∞ (gr)", "graus")),
        ("(mB)", "(hPa)"),
        ("(m/s)", "( M/S )"),
    ],
)
def test_the_same_unit_in_another_spelling_is_read(before, after):
    assert parsed(with_names((before, after))) == parsed(b"\n".join(HEAD))


def test_units_survive_utf8_read_as_latin1():
    """What a third party's program makes of them: `Â°C`, `KJ/mÂ²`."""
    twice = b"\n".join(HEAD).decode("latin-1").encode("utf-8").decode("latin-1").encode("utf-8")
    assert parsed(twice)[0] == parsed(b"\n".join(HEAD))[0]


@pytest.mark.parametrize(("line", "key"), [(6, b"ALTITUDE (ft):"), (4, b"LATITUDE (GMS):"), (5, b"LONGITUDE (rad):")])
def test_a_metadata_line_in_another_unit_refuses_the_file(line, key):
    lines = HEAD.copy()
    lines[line] = key + b";1"
    with pytest.raises(InvalidContent, match="must stand"):
        parsed(b"\n".join(lines))


@pytest.mark.parametrize("name", ["Hora Local", "Hora", "Hora (BRT)", "HORA (UTC-3)", "Hora UTC-03:00"])
def test_hours_of_another_clock_refuse_the_file(name):
    """They would be read as UTC, three hours off, without an error."""
    with pytest.raises(InvalidContent) as refusal:
        parsed(with_names(("Hora UTC", name)))
    assert "Hora UTC" in str(refusal.value)
    assert name in str(refusal.value)


def test_a_header_without_a_column_refuses_the_file():
    lines = SALVADOR.read_bytes().split(b"\n")
    short = [b";".join([*line.split(b";")[:18], b""]) for line in lines[8:]]
    with pytest.raises(InvalidContent, match="no column 'VENTO, VELOCIDADE'"):
        parsed(b"\n".join(lines[:8] + short))


def test_columns_are_read_by_their_names_wherever_they_stand():
    """Gust before mean wind is INMET's order; silver's `gust_at_least_mean_wind` watches over the names."""
    lines = SALVADOR.read_bytes().split(b"\n")
    turned = [b";".join([*reversed(line.split(b";")[:19]), b""]) if line else b"" for line in lines[8:]]
    assert parsed(b"\n".join(lines[:8] + turned))[0] == parsed(SALVADOR.read_bytes())[0]


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


def test_the_running_year_is_asked_before_the_closed_ones():
    found = SOURCE.resources(date(2026, 1, 5), Span(date(2024, 1, 1)))
    assert [each.path for each in found] == ["2026.zip", "2025.zip", "2024.zip"]

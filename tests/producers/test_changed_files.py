"""Unannounced changes of files, made to the golden files of the weather sources: columns shuffled, doubled, renamed,
left out and added, other decimal signs, line ends and byte order marks, empty files.

An unknown column is noted once; a missing optional one is null and noted; without a required one nothing is published,
and the refusal names it and what stands there unknown.
"""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from foundation.errors import InvalidContent
from producers import sources
from producers.model import Parsed, RejectReason
from producers.sources import inmet_hourly
from tests.golden import kit

INMET = "inmet_hourly"
OPENMETEO = ("openmeteo_archive", "openmeteo_forecast")

ROWS = 30
HEADER = 8
"""Place of INMET's line of names."""

# The extremes within the hour that nothing is computed from: column of the file → field.
OPTIONAL = {
    4: "pressure_max_hpa",
    5: "pressure_min_hpa",
    11: "dew_point_max_celsius",
    12: "dew_point_min_celsius",
    13: "relative_humidity_max_percent",
    14: "relative_humidity_min_percent",
}
COLUMNS = range(19)
REQUIRED = [place for place in COLUMNS if place not in OPTIONAL]

Cells = list[str]


def station_file(change: Callable[[Cells], Cells] = lambda cells: cells) -> bytes:
    """INMET's golden file, its first rows, with the cells of the names and of every row changed."""
    lines = kit.load(INMET).cases[0].file.read_bytes().decode("latin-1").split("\n")[: HEADER + 1 + ROWS]
    return "\n".join([*lines[:HEADER], *(";".join(change(line.split(";"))) for line in lines[HEADER:])]).encode(
        "latin-1"
    )


NAMES = station_file().decode("latin-1").split("\n")[HEADER].split(";")


def point_body(source: str, change: Callable[[dict[str, Any]], Any] = lambda body: None) -> bytes:
    """Open-Meteo's golden body, its first hours, changed."""
    body = json.loads(kit.load(source).cases[0].file.read_bytes())
    body["hourly"] = {name: values[: ROWS - 10] for name, values in body["hourly"].items()}
    change(body)
    return json.dumps(body, ensure_ascii=False).encode()


def whole(source: str) -> bytes:
    return station_file() if source == INMET else point_body(source)


def parse(source: str, content: bytes, chunk_rows: int = 7) -> list[Parsed]:
    return list(sources.load(source).parse([content], kit.load(source).cases[0].part, chunk_rows=chunk_rows))


def rows(source: str, content: bytes) -> list[dict[str, Any]]:
    return [row for chunk in parse(source, content) for row in chunk.records[source].to_pylist()]


def rejects(source: str, content: bytes) -> list[Any]:
    return [reject for chunk in parse(source, content) for reject in chunk.rejects]


def notes(source: str, content: bytes) -> set[str]:
    """What the log of a poll would hold once each: a session says a note of a part once, however many chunks."""
    return {note for chunk in parse(source, content) for note in chunk.notes}


every_source = pytest.mark.parametrize("source", [INMET, *OPENMETEO])
each_point = pytest.mark.parametrize("source", OPENMETEO)


@every_source
def test_the_golden_file_itself_has_nothing_to_note(source):
    assert rows(source, whole(source))
    assert notes(source, whole(source)) == set()
    assert rejects(source, whole(source)) == []


# Shuffled


@pytest.mark.parametrize("seed", range(5))
def test_station_columns_may_stand_in_any_order(seed):
    order = random.Random(seed).sample(COLUMNS, len(COLUMNS))
    assert order != list(COLUMNS)
    content = station_file(lambda cells: [*(cells[place] for place in order), cells[-1]])
    assert rows(INMET, content) == rows(INMET, whole(INMET))
    assert notes(INMET, content) == set()


@each_point
@pytest.mark.parametrize("seed", range(3))
def test_a_bodys_fields_may_stand_in_any_order(source, seed):
    choose = random.Random(seed)

    def shuffle(body):
        for name in ("hourly", "hourly_units"):
            body[name] = dict(choose.sample(list(body[name].items()), len(body[name])))
        found = choose.sample(list(body.items()), len(body))
        body.clear()
        body.update(found)

    assert rows(source, point_body(source, shuffle)) == rows(source, whole(source))


# Doubled


@pytest.mark.parametrize("place", COLUMNS, ids=lambda place: inmet_hourly.inmet_header.COLUMNS[place].name)
def test_a_station_column_that_stands_twice_refuses_the_file(place):
    """Also with other values in it: which of the two is meant is unknown."""
    for text in (None, "1"):
        content = station_file(
            lambda cells, text=text: [
                *cells[:-1],
                cells[place] if text is None or cells == NAMES else text,
                cells[-1],
            ]
        )
        with pytest.raises(InvalidContent, match="stands twice"):
            parse(INMET, content)


@each_point
@pytest.mark.parametrize("name", ["temperature_2m", "time", "hourly", "elevation", "nobody_asked"])
def test_a_field_that_stands_twice_refuses_the_body(source, name):
    content = point_body(source, lambda body: body.update(nobody_asked=1))
    key = f'"{name}":'.encode()
    doubled = content.replace(key, key + b" null, " + key, 1)
    assert doubled != content
    with pytest.raises(InvalidContent, match=f"twice in an object: '{name}'"):
        parse(source, doubled)


# Renamed, missing


@pytest.mark.parametrize("place", REQUIRED, ids=lambda place: inmet_hourly.inmet_header.COLUMNS[place].name)
def test_a_renamed_station_column_refuses_the_file_with_both_names(place):
    renamed = station_file(
        lambda cells: [*cells[:place], "OUTRO NOME (m/s)", *cells[place + 1 :]] if cells == NAMES else cells
    )
    with pytest.raises(InvalidContent) as refusal:
        parse(INMET, renamed)
    assert inmet_hourly.inmet_header.COLUMNS[place].name in str(refusal.value)
    assert "OUTRO NOME" in str(refusal.value)

    with pytest.raises(InvalidContent) as refusal:
        parse(INMET, station_file(lambda cells: cells[:place] + cells[place + 1 :]))
    assert inmet_hourly.inmet_header.COLUMNS[place].name in str(refusal.value)


@pytest.mark.parametrize(("place", "field"), OPTIONAL.items())
def test_a_missing_optional_station_column_is_null_and_noted_and_the_rest_is_read(place, field):
    expected = [{**row, field: None} for row in rows(INMET, whole(INMET))]
    assert expected != rows(INMET, whole(INMET)), "control: it has values"
    missing = station_file(lambda cells: cells[:place] + cells[place + 1 :])
    assert rows(INMET, missing) == expected
    assert rejects(INMET, missing) == []
    (note,) = notes(INMET, missing)
    assert inmet_hourly.inmet_header.COLUMNS[place].name in note

    renamed = station_file(
        lambda cells: [*cells[:place], "OUTRO NOME", *cells[place + 1 :]] if cells == NAMES else cells
    )
    assert rows(INMET, renamed) == expected
    assert {"OUTRO NOME" in note for note in notes(INMET, renamed)} == {True, False}, "the new name is noted too"


@each_point
@pytest.mark.parametrize("name", ["time", "temperature_2m", "relative_humidity_2m", "precipitation", "wind_speed_10m"])
def test_a_renamed_variable_refuses_the_body_with_both_names(source, name):
    def rename(body):
        body["hourly"]["outro_nome"] = body["hourly"].pop(name)

    with pytest.raises(InvalidContent, match=f"no {name}; unknown names: outro_nome"):
        parse(source, point_body(source, rename))
    with pytest.raises(InvalidContent, match=f"no {name}"):
        parse(source, point_body(source, lambda body: body["hourly"].pop(name)))
    with pytest.raises(InvalidContent, match=f"no unit of {name}"):
        parse(source, point_body(source, lambda body: body["hourly_units"].pop(name)))


@each_point
@pytest.mark.parametrize(
    ("name", "field"),
    [("latitude", "grid_latitude_degrees"), ("longitude", "grid_longitude_degrees"), ("elevation", "elevation_m")],
)
def test_a_missing_optional_field_is_null_and_noted_and_the_rest_is_read(source, name, field):
    content = point_body(source, lambda body: body.pop(name))
    assert rows(source, content) == [{**row, field: None} for row in rows(source, whole(source))]
    (note,) = notes(source, content)
    assert name in note


# Added


@pytest.mark.parametrize("place", [0, 2, 19, 20])
def test_an_unknown_station_column_is_noted_once_wherever_it_stands(place):
    content = station_file(
        lambda cells: [*cells[:place], "NEBULOSIDADE (%)" if cells == NAMES else "7", *cells[place:]]
    )
    assert rows(INMET, content) == rows(INMET, whole(INMET))
    assert rejects(INMET, content) == []
    (note,) = notes(INMET, content)
    assert "NEBULOSIDADE" in note


@each_point
def test_an_unknown_variable_is_noted_once(source):
    def add(body):
        body["hourly"]["cloud_cover"] = [7] * (ROWS - 10)
        body["hourly_units"]["cloud_cover"] = "%"

    assert rows(source, point_body(source, add)) == rows(source, whole(source))
    (note,) = notes(source, point_body(source, add))
    assert "cloud_cover" in note


# Signs, marks, ends


def test_a_decimal_point_means_what_a_decimal_comma_does():
    dotted = station_file(lambda cells: cells if cells == NAMES else [cell.replace(",", ".") for cell in cells])
    assert dotted != whole(INMET)
    assert rows(INMET, dotted) == rows(INMET, whole(INMET))


@pytest.mark.parametrize("text", ["1.006,7", "1,006.7", "1 006,7"])
def test_thousands_with_a_sign_of_their_own_are_refused(text):
    content = station_file(lambda cells: cells if cells == NAMES else [*cells[:3], text, *cells[4:]])
    assert rows(INMET, content) == []
    assert {reject.reason for reject in rejects(INMET, content)} == {RejectReason.BAD_NUMBER}


@each_point
def test_a_number_written_as_text_is_refused(source):
    def as_text(body):
        body["hourly"]["temperature_2m"] = [f"{value}".replace(".", ",") for value in body["hourly"]["temperature_2m"]]

    assert rows(source, point_body(source, as_text)) == []
    assert {reject.reason for reject in rejects(source, point_body(source, as_text))} == {RejectReason.BAD_NUMBER}


@every_source
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["no BOM", "BOM"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("last", [b"", b"\n", b"\n\n"], ids=["no last end", "last end", "blank line"])
def test_marks_and_line_ends_change_nothing(source, bom, end, last):
    content = whole(source)
    if source != INMET:
        content = json.dumps(json.loads(content), indent=1, ensure_ascii=False).encode()
    changed = bom + content.replace(b"\n", end) + last.replace(b"\n", end)
    assert rows(source, changed) == rows(source, whole(source))
    assert notes(source, changed) == set()


# Nothing


@every_source
@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\r\n", b"\xef\xbb\xbf"], ids=repr)
def test_an_empty_file_is_refused(source, content):
    """No data is not "nothing new": a source without new data answers so."""
    with pytest.raises(InvalidContent):
        parse(source, content)


def test_a_station_file_with_only_a_header_has_no_hour():
    content = b"\n".join(whole(INMET).split(b"\n")[: HEADER + 1])
    for each in (content, content + b"\n", content.replace(b"\n", b"\r\n")):
        (chunk,) = parse(INMET, each)
        assert (chunk.next_row, chunk.records[INMET].num_rows, chunk.rejects) == (0, 0, ())
        assert chunk.records["inmet_stations"].num_rows == 1


@each_point
def test_a_body_without_an_hour_has_no_row(source):
    content = point_body(source, lambda body: body.update(hourly={name: [] for name in body["hourly"]}))
    (chunk,) = parse(source, content)
    assert (chunk.next_row, chunk.records[source].num_rows, chunk.rejects) == (0, 0, ())

"""Municipalities: the API's shape (built) and a public CSV (real), which must name the same ones."""

import csv
import json
from datetime import UTC, date, datetime

import pytest

from foundation.errors import InvalidContent
from producers.model import Part, Progress, RejectReason, Span
from producers.sources.ibge_municipalities import CAPITALS, SOURCE, parse
from replay import municipalities
from replay.content import DATA
from tests.records import RETRIEVED_AT

FILES = DATA / "municipalities"


def parsed(body, **options):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    chunks = list(parse([body], Part("municipios", "all", "all", RETRIEVED_AT), **options))
    rows = [row for chunk in chunks for row in chunk.records["ibge_municipalities"].to_pylist()]
    return rows, [reject for chunk in chunks for reject in chunk.rejects]


def read(name):
    with (FILES / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


UFS = {row["codigo_uf"]: row["uf"] for row in read("estados.csv")}


def test_every_value_of_the_csv_is_the_files():
    """States by the other file, whose list the parser does not know."""
    rows, rejects = parsed((FILES / "municipios.csv").read_bytes())
    assert rejects == []
    assert rows == [
        {
            "municipality_code": row["codigo_ibge"],
            "name": row["nome"],
            "uf": UFS[row["codigo_uf"]],
            "latitude_degrees": float(row["latitude"]),
            "longitude_degrees": float(row["longitude"]),
            "is_capital": row["capital"] == "1",
            "area_code": row["ddd"],
            "time_zone": row["fuso_horario"],
            "row_number": number,
        }
        for number, row in enumerate(read("municipios.csv"))
    ]
    assert len(rows) == 5571


def test_the_apis_list_and_the_csv_agree_in_all_that_both_have():
    listed, rejects = parsed(municipalities.answer("municipios", {}, 2).body)
    common = ("municipality_code", "name", "uf", "is_capital")

    def known(rows):
        return {tuple(row[name] for name in common) for row in rows}

    assert rejects == []
    assert known(listed) == known(parsed((FILES / "municipios.csv").read_bytes())[0])
    assert {row["latitude_degrees"] for row in listed} == {None}


def test_there_are_27_capitals_and_each_is_in_its_own_state():
    assert len(CAPITALS) == 27
    capitals = {row["codigo_ibge"]: UFS[row["codigo_uf"]] for row in read("municipios.csv") if row["capital"] == "1"}
    assert {code: uf for uf, code in CAPITALS.items()} == capitals


def element(**fields):
    state = {"id": 51, "sigla": "MT"}
    whole = {
        "id": 5101837,
        "nome": "Boa Esperança do Norte",
        "microrregiao": None,
        "regiao-imediata": {"regiao-intermediaria": {"UF": state}},
    }
    return whole | fields


def test_a_municipality_without_a_micro_region_is_read():
    (row,), rejects = parsed([element()])
    assert (row["municipality_code"], row["uf"], row["is_capital"]) == ("5101837", "MT", False)
    assert rejects == []


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (element(id=510183), RejectReason.BAD_CODE),
        (element(id=9901837), RejectReason.BAD_CODE),
        (element(id=None), RejectReason.MISSING_VALUE),
        (element(nome=" "), RejectReason.MISSING_VALUE),
        (element(nome={"x": 1}), RejectReason.MALFORMED_ROW),
        (element(microrregiao={"mesorregiao": {"UF": {"sigla": "GO"}}}), RejectReason.BAD_CODE),
        ("Cuiabá", RejectReason.MALFORMED_ROW),
    ],
)
def test_a_bad_element_is_a_reject_in_its_place(item, reason):
    rows, rejects = parsed([element(), item])
    assert [row["row_number"] for row in rows] == [0]
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, reason)]


HEADER = "codigo_ibge,nome,latitude,longitude,capital,codigo_uf,siafi_id,ddd,fuso_horario"
LINE = "5103403,Cuiabá,-15.601,-56.0974,1,51,9067,65,America/Cuiaba"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LINE.replace("5103403", "9903403"), RejectReason.BAD_CODE),
        (LINE.replace("-15.601", "sul"), RejectReason.BAD_NUMBER),
        (LINE.replace(",1,51", ",sim,51"), RejectReason.BAD_CODE),
        (LINE.replace("Cuiabá,", ","), RejectReason.MISSING_VALUE),
        (LINE.rpartition(",")[0], RejectReason.MALFORMED_ROW),
    ],
)
def test_a_bad_line_is_a_reject_in_its_place(line, reason):
    rows, rejects = parsed(f"{HEADER}\n{LINE}\n{line}\n".encode())
    assert [row["municipality_code"] for row in rows] == ["5103403"]
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, reason)]


def test_the_file_of_states_is_refused_with_the_columns_it_has():
    with pytest.raises(
        InvalidContent, match="lacks the columns 'codigo_ibge'; unknown ones that stand there: 'uf', 'regiao'"
    ):
        parsed((FILES / "estados.csv").read_bytes())


@pytest.mark.parametrize("body", [b"", b"<html></html>", b'{"message":"erro"}', b"[", b"\xff\xfe" * 100_000])
def test_what_is_neither_list_is_refused_whole(body):
    with pytest.raises(InvalidContent):
        parsed(body)


def test_a_list_in_another_order_or_spelling_repeats_and_one_with_more_or_fewer_does_not():
    former = json.dumps([element(), element(id=5103403)]).encode()
    assert SOURCE.repeats(former, json.dumps([element(id=5103403), element()], indent=2).encode())
    assert not SOURCE.repeats(former, json.dumps([element()]).encode())
    assert not SOURCE.repeats(former, json.dumps([element(), element(id=5103403), element(id=5103502)]).encode())
    assert not SOURCE.repeats(former, json.dumps([element(), element(id=5103403, nome="Cuiabá")]).encode())
    assert not SOURCE.repeats(former, b"<html>")


def test_the_whole_list_is_asked_for_and_keeps_no_history():
    resource = SOURCE.resources(date(2025, 11, 10), Span(date(2000, 1, 1)))[0]
    progress = Progress(
        date(2025, 11, 10), Span(date(2000, 1, 1)), frozenset(), lambda key: None, lambda key: None, lambda *_: b""
    )
    assert [(ask.key, ask.path or resource.path) for ask in SOURCE.plan(resource, progress)] == [("all", "municipios")]
    assert not SOURCE.keeps_history


def test_nothing_is_assumed_about_when_a_list_was_published():
    chunk = next(parse([json.dumps([element()]).encode()], Part("municipios", "all", "all", RETRIEVED_AT)))
    publication = SOURCE.publication["ibge_municipalities"]
    (end,) = publication.period_end(chunk.records["ibge_municipalities"]).to_pylist()
    assert end + publication.lag(None) > datetime(2200, 1, 1, tzinfo=UTC)

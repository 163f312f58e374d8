"""Any bytes are rows, rejects, or one error: the file is not the mapping's. A resumed file is cut alike."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidContent
from producers.legacy import declared
from producers.legacy.mapping import Column, Mapping
from producers.model import Part
from schemas.contracts import parse

COLUMNS = (
    Column(name="código", field="codigo", type="text"),
    Column(name="dia", field="dia", type="day", forms=("iso", "brazilian")),
    Column(name="preço", field="preco", type="decimal(18,2)", forms=("plain", "brazilian")),
)
HEADERS = {"csv": "código;dia;preço\n".encode(), "sqlite": "legacy_row\tcódigo\tdia\tpreço\n".encode()}


def mapping(kind: str, **more) -> Mapping:
    table = "t" if kind == "sqlite" else None
    return Mapping(dataset="legacy_t", name="t", kind=kind, table=table, delimiter=";", columns=COLUMNS, **more)


def read(made: Mapping, *blocks: bytes, **options):
    contract = parse(made.dataset, declared.contract_text(made))
    part = Part("file", "a", "a", datetime(2026, 1, 1, tzinfo=UTC))
    return list(declared.source_of(contract).parse(blocks, part, **options))


def rows(parsed) -> list[dict[str, object]]:
    return [row for each in parsed for row in each.records["legacy_t"].to_pylist()]


@pytest.mark.parametrize("kind", ["csv", "sqlite"])
@given(st.binary())
def test_hostile_bytes_are_rows_or_rejects(kind, body):
    parsed = read(mapping(kind), HEADERS[kind] + body)
    assert parsed[-1].next_row == sum(each.records["legacy_t"].num_rows + len(each.rejects) for each in parsed)


@pytest.mark.parametrize("kind", ["csv", "sqlite"])
@given(st.binary())
def test_a_hostile_header_is_one_error(kind, body):
    try:
        read(mapping(kind), body)
    except InvalidContent:
        return
    assert body.startswith(("código".encode(), b"legacy"))


def test_an_escape_that_nobody_wrote_is_a_reject():
    (only,) = read(mapping("sqlite"), HEADERS["sqlite"] + b"1\ta\\q\t2024-01-01\t1\n2\tb\t2024-01-01\t1\n")
    assert [row["codigo"] for row in rows([only])] == ["b"]
    assert only.rejects[0].detail == "no such escape: '\\\\q'"


def test_a_file_that_is_resumed_at_a_chunk_gives_the_same_chunks():
    lines = [f"{number:03d};{1 + number % 28:02d}/01/2024;{number},5" for number in range(50)]
    lines[7], lines[21], lines[22] = "x;y;z", '"0\n7";2024-01-01;1', "too;few"
    body = HEADERS["csv"] + "\n".join(lines).encode()
    whole = read(mapping("csv"), body, chunk_rows=10)
    assert [each.first_row for each in whole] == [0, 10, 20, 30, 40]
    for each in whole[1:]:
        resumed = read(mapping("csv"), body[:300], body[300:], first_row=each.first_row, chunk_rows=10)
        assert rows(resumed[:1]) == rows([each])
        assert resumed[0].rejects == each.rejects
    assert [(reject.row_number, reject.reason.value) for each in whole for reject in each.rejects] == [
        (7, "bad_date"),
        (22, "malformed_row"),
    ]


def test_utf16_is_read_and_a_mark_that_the_mapping_does_not_name_is_refused():
    text = "código;dia;preço\nação;2024-01-01;1,5\n"
    assert [row["codigo"] for row in rows(read(mapping("csv", encoding="utf-16"), text.encode("utf-16")))] == ["ação"]
    with pytest.raises(InvalidContent, match="is UTF-16, not utf-8"):
        read(mapping("csv"), text.encode("utf-16"))


def test_the_wrong_delimiter_names_what_the_header_lacks():
    with pytest.raises(InvalidContent, match="with the delimiter ';' it has 1 columns"):
        read(mapping("csv"), "código,dia,preço\n1,2,3\n".encode())


def test_a_file_without_rows_is_read_to_its_end():
    for kind, header in HEADERS.items():
        (only,) = read(mapping(kind), header)
        assert (only.first_row, only.next_row, rows([only])) == (0, 0, [])

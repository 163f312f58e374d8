"""Whatever bytes come, a parser yields rows and rejects or refuses the whole part; it never fails otherwise."""

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.errors import InvalidContent
from producers import sources
from producers.model import Part
from replay.content import DATA
from tests.records import RETRIEVED_AT

HEADS = {
    "inmet_hourly": b"\n".join(next((DATA / "inmet").glob("*A401*")).read_bytes().split(b"\n")[:9]) + b"\n",
    "anatel_broadband_accesses": (DATA / "anatel" / "derived_broadband_2026_Colunas_BA_10rows.csv")
    .read_bytes()
    .split(b"\n")[0]
    + b"\n",
    "bcb_sgs": b"",
}
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b" \n"])
FIELDS = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"", b'"', b'""', b"2024/01/01", b"0000 UTC", b"-9999", b",8", b"9" * 40, b"1e9", b"\xff", b"\x00"]
    ),
)


def lines(delimiter: bytes, width: int) -> st.SearchStrategy[bytes]:
    row = st.lists(FIELDS, min_size=width - 1, max_size=width + 1).map(delimiter.join)
    return st.lists(st.tuples(row, LINE_ENDS).map(b"".join), max_size=8).map(b"".join)


def rows_and_rejects(name: str, body: bytes, block: int = 1 << 20) -> tuple[int, int]:
    """Records of the main dataset, and its rejects."""
    blocks = [body[start : start + block] for start in range(0, len(body), block)]
    dataset = sources.load(name).datasets[0]
    found = list(sources.load(name).parse(blocks, Part("1", "p", "p", RETRIEVED_AT)))
    return (
        sum(chunk.records[dataset].num_rows for chunk in found),
        sum(reject.dataset == dataset for chunk in found for reject in chunk.rejects),
    )


@given(st.sampled_from(sorted(HEADS)), st.binary(max_size=400))
def test_any_bytes_at_all_are_parsed_or_refused(name, body):
    with suppress(InvalidContent):
        rows_and_rejects(name, body)


@settings(max_examples=150, deadline=None)
@given(lines(b";", 20))
def test_any_lines_below_a_station_files_header_are_rows_or_rejects(body):
    """Nothing below a good header is refused whole, and no line is lost: each is a row or a reject."""
    rows, rejects = rows_and_rejects("inmet_hourly", HEADS["inmet_hourly"] + body)
    assert rows + rejects == sum(1 for line in body.split(b"\n") if line.strip())


@settings(max_examples=150, deadline=None)
@given(lines(b",", 21))
def test_any_lines_below_a_wide_header_are_rows_or_rejects(body):
    rows_and_rejects("anatel_broadband_accesses", HEADS["anatel_broadband_accesses"] + body)


@settings(deadline=None)
@given(lines(b";", 20), st.integers(1, 40))
def test_how_the_bytes_are_cut_into_blocks_changes_nothing(body, block):
    whole = HEADS["inmet_hourly"] + body
    assert rows_and_rejects("inmet_hourly", whole) == rows_and_rejects("inmet_hourly", whole, block)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["data", "valor", "datafim", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=6))
def test_any_json_array_gives_a_row_or_a_reject_per_item(items):
    rows, rejects = rows_and_rejects("bcb_sgs", json.dumps(items).encode())
    assert rows + rejects == len(items)

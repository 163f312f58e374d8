"""Tests for every source: sources are found by their modules, and checked by the files in tests/golden/<source>/.

A source without that folder fails here with a message that says what to add. Parsers of lines must hold their memory on
a million rows; a JSON body is held whole by its parser, and what bounds it is the cap on bodies (http.MAX_BODY_BYTES).
"""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.errors import InvalidContent
from producers import chunk, poll, sources
from producers.formats.lines import MAX_LINE
from producers.model import RAW_CAP, Parsed, PartState, RejectReason
from replay.families import SOURCES as REPLAYED
from replay.server import serve
from schemas.contracts import PROVENANCE, load_all
from schemas.contracts import load as load_contract
from tests import oracles
from tests.golden import changes, kit
from tests.producers import memory

SOURCES = sorted(sources.load_all())
MEMORY_ROWS = 1_000_000
MEMORY_GROWTH = 8 << 20
"""Bytes by which the peak may grow between the first tenth of the rows and the last."""

MOST_HELD = {
    "anatel_base_stations": 224 << 20,
    "anatel_broadband_accesses": 80 << 20,
    "anatel_mobile_accesses": 80 << 20,
    "inmet_hourly": 112 << 20,
}
"""Parser of lines → bytes that it may hold beside the program, however long the file: some 20,000 rows of columns."""

each_source = pytest.mark.parametrize("source", SOURCES)
quick = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
thorough = settings(quick, max_examples=200)
"""Of the same property, in `make test-faults`."""


@cache
def golden_bytes(source: str) -> bytes:
    """The file that the tests below change: a source's first case, no more than its first 200 rows."""
    golden = kit.load(source)
    content = golden.cases[0].file.read_bytes()
    if golden.format["kind"] == "csv":
        content = b"".join(content.splitlines(keepends=True)[: golden.format["header_line"] + 200])
    return content


def parse(
    source: str, content: bytes, *, block: int = 1 << 20, first_row: int = 0, chunk_rows: int = 20_000
) -> list[Parsed]:
    blocks = [content[start : start + block] for start in range(0, len(content), block)]
    part = kit.load(source).cases[0].part
    return list(sources.load(source).parse(blocks, part, first_row=first_row, chunk_rows=chunk_rows))


def rows(chunks: list[Parsed]) -> list[tuple[str, dict[str, Any]]]:
    """(dataset, record) in order; maps as dictionaries, which know no order."""
    return [
        (dataset, {name: dict(value) if _is_map(value) else value for name, value in record.items()})
        for dataset in sorted({name for each in chunks for name in each.records})
        for each in chunks
        if dataset in each.records
        for record in each.records[dataset].to_pylist()
    ]


def _is_map(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(pair, tuple) for pair in value)


def rejects(chunks: list[Parsed]) -> list[Any]:
    return [each for found in chunks for each in found.rejects]


def outcome(chunks: list[Parsed]) -> Any:
    return rows(chunks), rejects(chunks), chunks[-1].next_row


# Golden rows


@each_source
def test_every_source_has_golden_files(source):
    golden = kit.load(source)
    covered = {case.dataset for case in golden.cases}
    assert covered == set(sources.load(source).datasets), "one case per dataset at least"
    assert all(case.file.exists() and case.origin for case in golden.cases)


@each_source
def test_golden_files_give_their_rows_byte_for_byte(source, tmp_path):
    for case in kit.load(source).cases:
        printed, counts = kit.output(case, tmp_path)
        assert printed[: kit.HEAD] == case.expected.read_text(encoding="utf-8").splitlines(), case.name
        assert (counts.rows, counts.rejects, kit.digest(printed)) == (case.rows, case.rejects, case.sha256), case.name


@each_source
def test_rows_have_exactly_the_contracts_fields(source):
    for case in kit.load(source).cases:
        fields = ["dataset", *load_contract(case.dataset).fields]
        for line in case.expected.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            assert row.get("rejected") or list(row) == fields


# Hostile bytes


def parsed_or_refused(source: str, data: Any) -> None:
    """Any bytes, and golden ones with any bytes in their place or put between."""
    content = golden_bytes(source)[: 1 << 14]
    hostile = data.draw(st.binary(max_size=200))
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.sampled_from([start, start + len(hostile), len(content)]))
    for body in (hostile, content[:start] + hostile + content[end:]):
        with suppress(InvalidContent):
            parse(source, body)


@each_source
@quick
@given(data=st.data())
def test_hostile_bytes_are_parsed_or_refused_and_nothing_else(source, data):
    parsed_or_refused(source, data)


@pytest.mark.slow
@each_source
@thorough
@given(data=st.data())
def test_hostile_bytes_drawn_often_are_parsed_or_refused_and_nothing_else(source, data):
    parsed_or_refused(source, data)


CELLS = st.one_of(
    st.text("0123456789,.-/ xNÃ", max_size=8),
    # No lone quote: it may open a field that goes on over the line's end, and lines are then no rows.
    # tests/producers/formats/test_quoted.py draws those.
    st.sampled_from(["", '""', "-9999", ",8", "9" * 40, "1e9", "\x00", "2024-02-30", "1000-01"]),
)


def row_or_reject(source: str, data: Any) -> None:
    about = kit.load(source).format
    file = changes.opened(golden_bytes(source), about)
    if isinstance(file, changes.JsonFile):
        if about["items"] is None:
            return  # columns side by side: there are no items to be added
        items = data.draw(st.lists(_json(about["required"]), max_size=5))
        before, after = parse(source, file.whole()), parse(source, file.with_items(items))
        assert len(rows(after)) + len(rejects(after)) == len(rows(before)) + len(rejects(before)) + len(items)
        return
    width = len(file.names)
    lines = data.draw(st.lists(st.lists(CELLS, min_size=width - 1, max_size=width + 1), max_size=6))
    body = "".join(about["delimiter"].join(line) + "\n" for line in lines).encode(about["encoding"])
    found = parse(source, file.head + body)
    count = sum(1 for line in body.split(b"\n") if line.strip())
    assert found[-1].next_row == count
    main = sources.load(source).datasets[0]
    numbers = [record["row_number"] for dataset, record in rows(found) if dataset == main]
    numbers += [each.row_number for each in rejects(found) if each.dataset == main]
    assert len(set(numbers)) == len(numbers), "no place twice"
    # A wide line has a record per month, or none: its places go further.
    is_wide = any(name[:4].isdecimal() for name in file.names)
    if not is_wide:
        assert sorted(numbers) == list(range(count))


@each_source
@quick
@given(data=st.data())
def test_below_a_good_header_every_line_or_item_is_a_row_or_a_reject(source, data):
    row_or_reject(source, data)


@pytest.mark.slow
@each_source
@thorough
@given(data=st.data())
def test_below_a_good_header_every_line_or_item_drawn_often_is_a_row_or_a_reject(source, data):
    row_or_reject(source, data)


def _json(names: list[str]) -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*names, "x"]), inner, max_size=len(names))
        ),
        max_leaves=8,
    )


# Blocks, chunks, resuming


def cut_changes_nothing(source: str, block: int, chunk_rows: int) -> None:
    content = golden_bytes(source)
    assert outcome(parse(source, content, block=max(block, len(content) // 500), chunk_rows=chunk_rows)) == outcome(
        parse(source, content)
    )


@each_source
@quick
@given(block=st.integers(1, 5_000), chunk_rows=st.integers(1, 250))
def test_how_bytes_are_cut_into_blocks_and_rows_into_chunks_changes_nothing(source, block, chunk_rows):
    cut_changes_nothing(source, block, chunk_rows)


@pytest.mark.slow
@each_source
@thorough
@given(block=st.integers(1, 5_000), chunk_rows=st.integers(1, 250))
def test_bytes_and_rows_cut_in_many_ways_change_nothing(source, block, chunk_rows):
    cut_changes_nothing(source, block, chunk_rows)


@each_source
@pytest.mark.parametrize("chunk_rows", [1, 7])
def test_a_part_resumed_at_any_chunk_gives_the_rest(source, chunk_rows):
    content = golden_bytes(source)
    whole = parse(source, content, chunk_rows=chunk_rows)
    for number in sorted({0, 1, len(whole) // 2, len(whole) - 1}):
        rest = parse(source, content, chunk_rows=chunk_rows, first_row=whole[number].first_row)
        assert [found.first_row for found in rest] == [found.first_row for found in whole[number:]]
        assert outcome(rest) == outcome(whole[number:])


# Encoding


@each_source
def test_what_is_encoded_decodes_to_itself(source):
    declared, part = sources.load(source), kit.load(source).cases[0].part
    state = PartState(
        "part", "ab" * 32, 1, 0, is_complete=False, first_edition_assumed=True, retrieved_at=kit.RETRIEVED_AT
    )
    ids = {name: number for number, name in enumerate(load_all(), 1)}
    for parsed in parse(source, golden_bytes(source)):
        built = chunk.rows(declared, part, state, parsed, schema_ids=ids)
        for dataset, batch in parsed.records.items():
            decoded = [_decoded(dataset, value) for _, value in built.messages[dataset]]
            assert {record["chunk_id"] for record in decoded} <= {built.chunk_id}
            values = [
                {name: record[name] for name in record if name not in PROVENANCE or name == "row_number"}
                for record in decoded
            ]
            assert [(dataset, value) for value in values] == rows([Parsed(0, 0, {dataset: batch})])


def _decoded(dataset: str, value: bytes) -> dict[str, Any]:
    body = io.BytesIO(value[5:])
    found = fastavro.schemaless_reader(body, load_contract(dataset).schema, None)
    assert body.read() == b""
    return found


# Rejects


@each_source
def test_a_bad_row_is_a_reject_with_its_place_reason_and_bytes(source):
    content, bad = golden_bytes(source), kit.load(source).format["bad"]
    encoding = kit.load(source).format.get("encoding", "utf-8")
    before, after = (bad[name].encode(encoding) for name in ("replace", "with"))
    assert before in content
    (found,) = rejects(parse(source, content.replace(before, after, 1)))
    assert (found.row_number, found.reason) == (bad["row_number"], RejectReason(bad["reason"]))
    assert found.detail
    assert 0 < len(found.raw) <= RAW_CAP


@each_source
def test_a_giant_row_or_value_is_one_reject_and_its_neighbours_are_read(source):
    about = kit.load(source).format
    file = changes.opened(golden_bytes(source), about)
    whole = parse(source, file.whole())
    if isinstance(file, changes.CsvFile):
        lines = [*file.lines[:3], b"9" * (2 * MAX_LINE), *file.lines[3:]]
        found = parse(source, file.head + b"\n".join(lines))
        (reject,) = rejects(found)
        assert reject.reason == RejectReason.ROW_TOO_LONG
    elif about["items"] is not None:
        found = parse(source, file.giant(about["required"][0], 2 * MAX_LINE))
        (reject,) = rejects(found)
        assert reject.row_number == whole[-1].next_row
    else:
        return  # columns side by side: a giant is one value of a column, and the body's cap bounds it
    assert len(rows(found)) == len(rows(whole))
    assert len(reject.raw) <= RAW_CAP
    assert len(reject.detail) <= 200


# F14: the header


def notes(chunks: list[Parsed]) -> set[str]:
    return {note for each in chunks for note in each.notes}


@each_source
def test_an_added_column_is_kept_or_noted_and_the_rest_is_read_as_before(source):
    about = kit.load(source).format
    file = changes.opened(golden_bytes(source), about)
    if about["added"] == "refused":
        with pytest.raises(InvalidContent):
            parse(source, file.added())
        return
    found = parse(source, file.added())
    if about["added"] == "noted":
        assert any("nova" in note.lower() or "novo" in note.lower() for note in notes(found))
        assert rows(found) == rows(parse(source, file.whole()))
    else:
        assert "Coluna Nova" in str(rows(found)) or "campo_novo" in str(rows(found))
        assert len(rows(found)) == len(rows(parse(source, file.whole())))


@each_source
@pytest.mark.parametrize("change", ["renamed", "missing"])
def test_without_a_required_column_nothing_is_published(source, change):
    """A file with a header is refused whole. A JSON body names its fields in each item: it is refused, or each is."""
    about = kit.load(source).format
    file = changes.opened(golden_bytes(source), about)
    for name in about["required"]:
        content = getattr(file, change)(name)
        if about["kind"] == "csv":
            with pytest.raises(InvalidContent):
                parse(source, content)
            continue
        with suppress(InvalidContent):
            found = parse(source, content)
            assert rows(found) == [], name
            assert rejects(found), name


@each_source
def test_a_new_order_of_columns_changes_no_row_or_is_refused(source):
    about = kit.load(source).format
    file = changes.opened(golden_bytes(source), about)
    if about["reordered"] == "refused":
        with pytest.raises(InvalidContent):
            parse(source, file.reordered())
    else:
        assert rows(parse(source, file.reordered())) == rows(parse(source, file.whole()))


# Memory


@each_source
def test_a_parser_of_lines_holds_its_memory_over_a_million_rows(source):
    if sources.load(source).kind == "body":
        return  # its bytes are capped: see above
    found = memory.measured("rows", source, MEMORY_ROWS)
    assert found["rows"] == MEMORY_ROWS
    assert found["peak"] - found["at_a_tenth"] < MEMORY_GROWTH
    assert found["peak"] - found["at_first"] < MOST_HELD[source]


# Publishing, on the real broker, from the replay


@pytest.fixture
def replay() -> Iterator[Any]:
    with serve(day=1) as server:
        yield server


@pytest.mark.parametrize("source", sorted(REPLAYED))
def test_an_unchanged_source_publishes_nothing_and_a_changed_one_what_changed(source, target, replay):
    declared = sources.load(source)

    def poll_once() -> poll.Outcome:
        found = poll.poll(declared, target, now=_now, base_url=replay.base_urls[source])
        assert found.error is None, found.tally.problems
        return found

    def ends() -> dict[str, int]:
        names = (*declared.datasets, chunk.REJECTS, chunk.MANIFESTS, chunk.CURSORS)
        return oracles.end_offsets(target.bootstrap, [target.prefix + load_contract(name).topic for name in names])

    def manifests() -> list[dict[str, Any]]:
        return [record.fields for record in oracles.read(target.bootstrap, target.prefix, "ingest.manifests")]

    assert poll_once().tally.rows > 0
    published = manifests()
    before = ends()
    assert poll_once().tally.chunks == 0
    assert ends() == before, "not one transaction"

    for day in (2, 3):
        replay.set_day(day)
        changed = poll_once()
        known, published = published, manifests()
        new = published[len(known) :]
        assert len(new) == changed.tally.chunks
        assert not {(each["part"], each["payload_sha256"]) for each in new} & {
            (each["part"], each["payload_sha256"]) for each in known
        }
    assert oracles.problems(target.bootstrap, target.prefix, declared.datasets) == []


def _now() -> datetime:
    return datetime.now(UTC)

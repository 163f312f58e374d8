"""What sources may send: changed headers, repeated and corrected rows, empty or very large files. Each fault has a
control: without the protection the oracle reports the damage.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from correnteza import topics
from foundation.errors import InvalidContent
from producers import chunk, poll, poll_zip, sources
from producers.families import inmet_header
from producers.formats import zips
from producers.model import Parsed, Part, Source, Span
from schemas.contracts import load_all
from schemas.limits import MAX_RECORD_BYTES
from tests import oracles
from tests.producers import memory
from tests.producers.served import MACAPA, SALVADOR, ServedZip, member_name, year_zip
from tests.records import RETRIEVED_AT

pytestmark = [pytest.mark.integration, pytest.mark.fault]

INMET = sources.load("inmet_hourly")
HEAD, LINES = SALVADOR.read_bytes().split(b"\n")[:9], SALVADOR.read_bytes().split(b"\n")[9:309]
MACAPA_ROWS = 500


@pytest.fixture
def target(settings) -> poll.Services:
    """This test's own topics, on the shared broker."""
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    return poll.Services(settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive_root)


@pytest.fixture
def year(httpserver) -> ServedZip:
    return ServedZip(httpserver, "/2025.zip")


@pytest.fixture
def run(target, httpserver, year) -> Callable[..., poll.Outcome]:
    """Poll the scripted year of INMET."""

    def poll_once(source: Source = INMET) -> poll.Outcome:
        return poll.poll(
            source,
            target,
            now=lambda: datetime(2025, 3, 1, tzinfo=UTC),
            base_url=httpserver.url_for("/"),
            span=Span(date(2025, 1, 1)),
        )

    return poll_once


@pytest.fixture
def seen(target) -> Callable[[str], list[dict]]:
    """Committed records of a topic."""
    return lambda dataset: [record.fields for record in oracles.read(target.bootstrap, target.prefix, dataset)]


def file(rows: list[bytes], head: list[bytes] = HEAD) -> bytes:
    return b"\n".join([*head, *rows, b""])


def one(**values: bytes) -> dict[str, bytes]:
    """Members by station: `A401=…`, `A249=…`."""
    names = {"A401": member_name(SALVADOR), "A249": member_name(MACAPA)}
    return {names[code]: content for code, content in values.items()}


def ends(target) -> dict[str, int]:
    return oracles.end_offsets(target.bootstrap, [target.prefix + each.topic for each in load_all().values()])


def is_whole(target) -> bool:
    return oracles.problems(target.bootstrap, target.prefix, INMET.datasets) == []


def wrong_hours(target) -> list[str]:
    """The oracle: no hour has a gust below its mean wind."""
    rows = [record.fields for record in oracles.read(target.bootstrap, target.prefix, "inmet_hourly")]
    count = impossible(rows)
    return [f"{count} of {len(rows)} hours have a gust below their mean wind"] if count else []


def impossible(rows: list[dict]) -> int:
    """Hours whose gust is below their mean wind: none of 7.8 million published ones [SOURCES 9], so columns moved."""
    return sum(
        row["wind_gust_m_s"] < row["wind_speed_m_s"]
        for row in rows
        if row["wind_gust_m_s"] is not None and row["wind_speed_m_s"] is not None
    )


# F14


def with_wind_columns_swapped() -> bytes:
    def swap(line: bytes) -> bytes:
        cells = line.split(b";")
        cells[17], cells[18] = cells[18], cells[17]
        return b";".join(cells)

    return file([swap(line) for line in LINES], [*HEAD[:8], swap(HEAD[8])])


def test_f14_moved_columns_are_read_by_their_names(run, year, target, seen):
    year.put(one(A401=with_wind_columns_swapped()))
    assert run().error is None
    rows = seen("inmet_hourly")
    assert len(rows) == len(LINES)
    assert impossible(rows) == 0
    assert is_whole(target)


def test_f14_control_read_by_their_places_values_land_in_each_others_columns(run, year, target, monkeypatch, control):
    year.put(one(A401=with_wind_columns_swapped()))
    assert run().error is None
    control.holds(wrong_hours, target)
    year.put(one(A401=with_wind_columns_swapped().replace(b";26,", b";25,")), days=1)
    monkeypatch.setattr(inmet_header, "_places", lambda names: (list(range(len(names) - 1)), ()))
    assert run().error is None
    control.objects(wrong_hours, target, damage="hours have a gust below their mean wind")


def test_f14_a_file_with_a_renamed_column_is_kept_whole_and_published_when_it_is_fixed(run, year, target, seen):
    renamed = [*HEAD[:8], HEAD[8].replace(b"VENTO, RAJADA MAXIMA", b"RAJADA")]
    year.put(one(A401=file(LINES, renamed), A249=MACAPA.read_bytes()))
    outcome = run()
    assert isinstance(outcome.error, InvalidContent)
    assert "A401" in str(outcome.error)
    assert {row["station_code"] for row in seen("inmet_hourly")} == {"A249"}
    assert seen("ingest.rejects") == []
    assert len([path for path in target.archive.glob("sha256/*/*") if path.suffix != ".json"]) == 2, "and kept"

    year.put(one(A401=file(LINES), A249=MACAPA.read_bytes()), days=1)
    assert run().error is None
    rows = seen("inmet_hourly")
    assert len(rows) == MACAPA_ROWS + len(LINES)
    assert impossible(rows) == 0
    assert is_whole(target)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_f14_every_declared_encoding_gives_the_same_rows(encoding):
    content = file(LINES).decode("latin-1").encode(encoding)
    assert hourly(content) == hourly(file(LINES))


def hourly(content: bytes) -> list[dict]:
    part = Part("2025", "A401", member_name(SALVADOR), RETRIEVED_AT)
    return [row for each in INMET.parse([content], part) for row in each.records["inmet_hourly"].to_pylist()]


# F15


def test_f15_repeated_and_unordered_rows_are_all_published_in_their_places(run, year, target, seen):
    """Silver decides which of two rows counts, by the source's version and the offset."""
    rows = [*reversed(LINES), *LINES[:50]]
    year.put(one(A401=file(rows)))
    outcome = run()
    assert (outcome.error, outcome.tally.rejects) == (None, 0)
    published = sorted(seen("inmet_hourly"), key=lambda row: row["row_number"])
    assert [row["row_number"] for row in published] == list(range(350))
    assert published[300]["observed_at"] == published[299]["observed_at"], "the first hour, twice"
    assert is_whole(target)


def test_f15_corrected_history_is_published_again_whole_and_the_rest_is_not(run, year, target, seen):
    year.put(one(A401=file(LINES), A249=MACAPA.read_bytes()))
    run()
    corrected = LINES[10].replace(b";", b";", 1).replace(b",", b",", 1).split(b";")
    corrected[7] = b"41,5"
    year.put(one(A401=file([*LINES[:10], b";".join(corrected), *LINES[11:]]), A249=MACAPA.read_bytes()), days=1)
    outcome = run()
    assert (outcome.error, outcome.tally.parts, outcome.tally.unchanged_parts) == (None, 1, 1)
    again = [row for row in seen("inmet_hourly") if row["station_code"] == "A401"]
    assert len(again) == 2 * len(LINES)
    versions = {row["published_at"]: row["air_temperature_celsius"] for row in again if row["row_number"] == 10}
    assert versions[max(versions)] == 41.5
    assert len(versions) == 2
    assert is_whole(target)


def test_f15_an_older_file_than_one_seen_undoes_nothing(run, year, target):
    year.put(one(A401=file(LINES)), days=2)
    run()
    before = ends(target)
    year.put(one(A401=file(LINES[:100])), days=1)
    assert run().error is None
    assert ends(target) == before


def test_f15_control_without_the_clocks_comparison_an_older_file_is_published_as_the_newest(
    run, year, target, monkeypatch, control
):
    year.put(one(A401=file(LINES)), days=2)
    run()
    before = ends(target)
    year.put(one(A401=file(LINES[:100])), days=1)
    run()
    control.holds(oracles.moved, target.bootstrap, before)
    monkeypatch.setattr(poll_zip, "is_old", lambda *_, **__: None)
    run()
    control.objects(oracles.moved, target.bootstrap, before, damage="ingest.manifests.v1 went from")


def test_f15_a_file_without_rows_has_a_receipt_of_zero_and_moves_the_cursor(run, year, target, seen):
    year.put(one(A401=file([])))
    assert run().error is None
    (manifest,) = seen("ingest.manifests")
    assert (manifest["datasets"], manifest["is_last_of_part"]) == ({"inmet_hourly": 0, "inmet_stations": 1}, True)
    assert seen("ingest.cursors")[-1]["parts"]["A401"]["is_complete"]
    assert manifest["published_at"] == year.modified_at, "freshness is told"
    year.put(one(A401=file([])), days=1)
    assert run().error is None
    assert len(seen("ingest.manifests")) == 1, "it was read, and is not read again"
    assert is_whole(target)


def test_f15_control_a_parser_that_gives_nothing_for_nothing_leaves_no_receipt(run, year, seen, control):
    def parse(blocks, part, **options) -> Iterator[Parsed]:
        return (each for each in INMET.parse(blocks, part, **options) if each.next_row)

    def without_receipt(station: str) -> list[str]:
        """Whether there is evidence that the station's file was read."""
        manifests = [each for each in seen("ingest.manifests") if each["part_key"] == station]
        parts = {part for each in seen("ingest.cursors") for part in each["parts"]}
        found = [] if manifests else [f"no manifest of {station}"]
        return found if station in parts else [*found, f"no cursor knows {station}"]

    year.put(one(A401=file([])))
    run()
    control.holds(without_receipt, "A401")
    year.put(one(A401=file([]), A249=file([], MACAPA.read_bytes().split(b"\n")[:9])), days=1)
    run(replace(INMET, parse=parse))
    control.objects(without_receipt, "A249", damage=("no manifest of A249", "no cursor knows A249"))


# F16


def test_f16_a_row_of_fifty_megabytes_is_one_reject_in_its_place(run, year, target, seen):
    year.put(one(A401=file([*LINES[:5], b"2024/01/01;" + b"9" * (50 << 20), *LINES[5:]])))
    outcome = run()
    assert outcome.error is None
    (reject,) = seen("ingest.rejects")
    assert (reject["row_number"], reject["reason"], len(reject["raw"])) == (5, "row_too_long", 4096)
    assert len(reject["payload_sha256"]) == 64
    assert len(seen("inmet_hourly")) == len(LINES)
    assert is_whole(target)


def held(kind: str, count: int, **bounds: int) -> int:
    """MiB that a fresh process holds for parsing such a file, beside the program."""
    found = memory.measured(kind, "inmet_hourly", count, **bounds)
    return (found["peak"] - found["at_first"]) >> 20


def test_f16_memory_does_not_grow_with_a_row_or_with_long_rows():
    assert held("endless", 100) < 64
    assert held("long", 600, CHUNK_BYTES=8 << 20) < 128


def test_f16_control_without_the_bounds_memory_is_the_files(control):
    def in_memory(kind: str, count: int, **bounds: int) -> list[str]:
        found = held(kind, count, **bounds)
        return [f"parsing held {found} MiB of a file of 60"] if found >= 60 else []

    control.holds(in_memory, "endless", 60)
    control.holds(in_memory, "long", 240, CHUNK_BYTES=2 << 20)
    control.objects(in_memory, "endless", 60, MAX_LINE=1 << 40, damage="MiB of a file of 60")
    control.objects(in_memory, "long", 240, CHUNK_BYTES=1 << 40, damage="MiB of a file of 60")


BOMB = bytes(100 << 20)


def test_f16_a_zip_bomb_is_refused_before_a_byte_of_it_is_fetched(run, year, target):
    year.put(one(A401=BOMB))
    before = ends(target)
    outcome = run()
    assert "expands" in str(outcome.error)
    assert len(year.spans) == 1, "the directory"
    assert ends(target) == before
    assert list(target.archive.glob("spool/*")) == []


def test_f16_control_without_the_check_the_bomb_is_unpacked(run, year, monkeypatch, control):
    unpacked: list[int] = []
    real = zips.inflate

    def inflate(span, member) -> Iterator[bytes]:
        for block in real(span, member):
            unpacked.append(len(block))
            yield block

    def bytes_unpacked() -> list[str]:
        run()
        return [f"all {len(BOMB) >> 20} MiB of it were unpacked"] if sum(unpacked) >= len(BOMB) else []

    monkeypatch.setattr(zips, "inflate", inflate)
    year.put(one(A401=BOMB))
    control.holds(bytes_unpacked)
    monkeypatch.setattr(zips, "check", lambda member: None)
    control.objects(bytes_unpacked, damage="all 100 MiB of it were unpacked")


def parse_with_long_texts(blocks, part, **options) -> Iterator[Parsed]:
    """A parser as of a JSON source, where nothing bounds an item's text: the station's name exceeds the limit."""
    for each in INMET.parse(blocks, part, **options):
        yield named(each, "S" * (MAX_RECORD_BYTES + 1))


def named(parsed: Parsed, name: str) -> Parsed:
    """The same chunk with another name of the station."""
    stations = parsed.records["inmet_stations"]
    renamed = stations.set_column(stations.schema.get_field_index("name"), "name", pa.array([name]))
    return replace(parsed, records={**parsed.records, "inmet_stations": renamed})


def test_f16_a_record_above_the_limit_is_a_reject_and_holds_nothing_back(run, year, target, seen):
    year.put(one(A401=file(LINES)))
    outcome = run(replace(INMET, parse=parse_with_long_texts))
    assert outcome.error is None
    (reject,) = seen("ingest.rejects")
    assert (reject["dataset"], reject["row_number"], reject["reason"]) == ("inmet_stations", 0, "row_too_long")
    assert "sha256" in reject["detail"]
    assert len(reject["raw"]) == 4096
    assert len(seen("inmet_hourly")) == len(LINES)
    assert seen("inmet_stations") == []
    assert is_whole(target)


def test_f16_the_largest_record_that_is_let_through_is_taken_by_the_broker(run, year, seen, monkeypatch):
    """Random digits, so that compression does not bring the record below the broker's limit."""
    limit = MAX_RECORD_BYTES - chunk.BATCH_HEADER_BYTES
    digits = random.Random(4).randbytes(limit).hex()
    name_size, record_sizes = 1_500_000, []
    fitting = chunk._fitting

    def parse(blocks, part, **options) -> Iterator[Parsed]:
        for each in INMET.parse(blocks, part, **options):
            yield named(each, digits[:name_size])

    def measured(dataset, records, rows):
        if dataset == "inmet_stations":
            record_sizes.append(len(rows[0][0]) + len(rows[0][1]))
        return fitting(dataset, records, rows)

    monkeypatch.setattr(chunk, "_fitting", measured)
    for day in range(4):
        year.put(one(A401=file(LINES[: 10 + day])), days=day)
        assert run(replace(INMET, parse=parse)).error is None
        if day:  # the first edition's clock is written otherwise, and its record is shorter
            name_size += limit - record_sizes[-1] + (day - 1)
    assert record_sizes[2:] == [limit, limit + 1]
    assert len(seen("inmet_stations")) == 3
    assert [reject["reason"] for reject in seen("ingest.rejects")] == ["row_too_long"]


def test_f16_control_without_the_limit_the_source_publishes_nothing_ever(run, year, target, seen, monkeypatch, control):
    def held_back(station: str) -> list[str]:
        """Whether the rows beside the one that is too long are visible after two polls."""
        errors = [run(replace(INMET, parse=parse_with_long_texts)).error for _ in range(2)]
        rows = [row for row in seen("inmet_hourly") if row["station_code"] == station]
        return [] if rows else [f"no row of {station} after two polls: {errors[1]}"]

    year.put(one(A401=file(LINES)))
    control.holds(held_back, "A401")
    year.put(one(A401=file(LINES), A249=MACAPA.read_bytes()), days=1)
    monkeypatch.setattr(chunk, "_fitting", lambda dataset, records, rows: (rows, []))
    control.objects(held_back, "A249", damage="no row of A249 after two polls")


def test_f16_the_bomb_is_one() -> None:
    assert len(BOMB) > 250 * len(year_zip({"a": BOMB}))

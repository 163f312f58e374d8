"""A date that no clock of publication can hold rejects its row or has no effect; it never ends a poll.

`9999-12-01` in one series raised where the clock was told, and no later series was polled.
"""

import pytest

from producers import chunk, sources
from producers.formats import values
from producers.model import Part, PartState
from schemas.contracts import load_all
from tests.controls import complaint
from tests.golden import kit
from tests.producers.test_contract_suite import rejects, rows

ACCESSES = kit.FOLDER / "anatel_mobile_accesses" / "built-counts-long.csv"

# Source → a text of its first golden file, and what stands there instead.
FAR = {
    "anatel_base_stations": (b"2023-10-24", b"9999-12-31"),
    "anatel_broadband_accesses": (b",2026-01", b",9999-12"),
    "anatel_mobile_accesses": (b"2019-06", b"9999-12"),
    "bcb_focus": (b"2025-11-07", b"9999-12-31"),
    "bcb_ptax": (b"2024-12-23 10:09", b"9999-12-31 23:09"),
    "bcb_sgs": (b"03/11/2020", b"31/12/9999"),
    "ibge_municipalities": None,
    "ibge_sidra": (b"201502", b"999912"),
    "inmet_hourly": (b"2024/01/01;0300 UTC", b"9999/12/31;2300 UTC"),
    "openmeteo_archive": (b"2025-10-28T03:00", b"9999-12-31T23:00"),
    "openmeteo_forecast": None,
}


def built(source: str, content: bytes, part: Part):
    """What is made of a body when it is first published: chunks of messages with their clocks."""
    declared = sources.load(source)
    state = PartState(
        "p", "ab" * 32, 1, 0, is_complete=False, first_edition_assumed=True, retrieved_at=kit.RETRIEVED_AT
    )
    ids = {name: number for number, name in enumerate(load_all(), 1)}
    parsed = list(declared.parse([content], part))
    return parsed, [chunk.rows(declared, part, state, each, schema_ids=ids) for each in parsed]


def test_every_source_is_looked_at():
    assert FAR.keys() == sources.load_all().keys()


@pytest.mark.parametrize("source", [name for name, change in FAR.items() if change])
def test_a_date_beyond_every_clock_ends_no_poll(source):
    before, after = FAR[source]
    case = kit.load(source).cases[0]
    content = case.file.read_bytes()
    assert before in content
    whole, _ = built(source, content, case.part)
    parsed, chunks = built(source, content.replace(before, after, 1), case.part)
    assert sum(each.count + len(each.rejects) for each in chunks) == len(rows(parsed)) + len(rejects(parsed))
    # A month's column that cannot be a month is no column of accesses, and is noted.
    if "accesses" not in source:
        assert len(rows(parsed)) + len(rejects(parsed)) == len(rows(whole)) + len(rejects(whole))


def test_a_far_year_of_accesses_is_a_reject():
    part = Part("r", "k", "n", kit.RETRIEVED_AT)
    content = ACCESSES.read_bytes().replace(b"2025;1;", b"9999;12;", 1)
    parsed, chunks = built("anatel_mobile_accesses", content, part)
    assert sum(each.count for each in chunks) == 0
    assert "not a year: '9999'" in [each.detail for each in rejects(parsed)]


def test_a_far_day_of_a_series_rejects_its_row_alone():
    """The series of the golden file: the other rows are published."""
    content = b'[{"data": "01/10/2025", "valor": "0.09"}, {"data": "01/12/9999", "valor": "0.10"}]'
    _, (found,) = built("bcb_sgs", content, Part("433", "k", "n", kit.RETRIEVED_AT))
    assert (found.count, len(found.rejects)) == (1, 1)


def test_control_a_far_day_that_no_parser_stops_ends_the_poll(monkeypatch, control):
    content = b'[{"data": "01/12/9999", "valor": "0.10"}]'

    def poll() -> list[str]:
        return complaint(lambda: built("bcb_sgs", content, Part("433", "k", "n", kit.RETRIEVED_AT)))

    control.holds(poll)
    monkeypatch.setattr(values, "reference_day", values.day)
    control.objects(poll, damage="year 10000 is out of range")

"""What the market expected of the Selic: which meeting a day looks ahead to, and what it knew of it."""

import itertools
import json
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from replay.content import DATA
from stream_jobs.gold import selic_expected
from stream_jobs.gold.factor_changes import station_of
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.reference import MEETINGS_A_YEAR, copom_meetings
from stream_jobs.gold.tables import dim_copom_meeting
from stream_jobs.gold.tables.external_factors_daily import TABLE
from tests.stream_jobs.gold.memory_silver import affected, instant, named, utc

SURVEYED, KNOWN = date(2024, 3, 1), "2024-03-04T12"


def expected(meeting, median, surveyed_on=SURVEYED, known=KNOWN, **fields):
    row = {
        "resource": selic_expected.RESOURCE,
        "indicator": "Selic",
        "surveyed_on": surveyed_on,
        "reference_period": meeting,
        "base_calculation": 0,
        "median": median and Decimal(median),
        "known_from": instant(known),
    }
    return row | fields


def days(silver, *rows, first=date(2024, 2, 1), last=date(2024, 5, 31)):
    """Day → what it expected; days that expected nothing are not there."""
    silver.add("bcb_focus", *rows)
    newest = silver.newest("bcb_focus", within=selic_expected.needed(first, last), columns=["median"])
    return {row.date_on: row for row in selic_expected.by_day(newest, first, last).collect()}


def test_the_calendar_has_eight_meetings_a_year_without_a_gap_in_order_of_days():
    meetings = copom_meetings()
    assert [each.meeting_id for each in meetings] == [
        f"R{number}/{year}" for year in range(meetings[0].year, meetings[-1].year + 1) for number in range(1, 9)
    ]
    assert [each.previous_on for each in meetings] == [None, *(each.decided_on for each in meetings[:-1])]
    assert [each.decided_on for each in meetings] == sorted({each.decided_on for each in meetings})
    assert {each.year_end_id for each in meetings if each.year == 2024} == {f"R{MEETINGS_A_YEAR}/2024"}
    assert {each.decided_on.year - each.year for each in meetings} == {0}


def test_every_recorded_change_of_the_selic_target_is_the_day_after_a_meeting():
    """The recorded series 432 says independently on which days the target changed: 37 times since 2018."""
    body = json.loads((DATA / "sgs" / "sgs_432_meta_selic_2015-01-01_2025-11-11_wrapped.json").read_text())["data"]
    series = [(datetime.strptime(item["data"], "%d/%m/%Y").date(), item["valor"]) for item in body]
    changed = {on for (_, before), (on, value) in itertools.pairwise(series) if value != before and on.year >= 2018}
    decided = {each.decided_on + timedelta(days=1) for each in copom_meetings()}
    assert len(changed) == 37
    assert changed <= decided


def test_the_dimension_is_the_file(spark):
    rows = {row.meeting_id: row for row in dim_copom_meeting.build(spark).collect()}
    assert len(rows) == len(copom_meetings())
    assert rows["R1/2026"].asDict() == {
        "meeting_id": "R1/2026",
        "year": 2026,
        "number": 1,
        "decided_on": date(2026, 1, 28),
        "previous_on": date(2025, 12, 10),
    }


def test_a_day_looks_to_the_next_meeting_and_to_the_years_last(silver):
    """R2/2024 was decided on 20 March, R3/2024 on 8 May."""
    medians = {"R1/2024": "11.25", "R2/2024": "10.75", "R3/2024": "10.25", "R8/2024": "9", "R1/2025": "8.75"}
    rows = [expected(meeting, median) for meeting, median in medians.items()]
    found = days(silver, *rows)
    assert set(found) == {date(2024, 3, 4) + timedelta(days=n) for n in range(28)}
    nineteenth, twentieth = found[date(2024, 3, 19)], found[date(2024, 3, 20)]
    assert (nineteenth.selic_expected_next_meeting_id, nineteenth.selic_expected_next_percent) == ("R2/2024", 10.75)
    assert (twentieth.selic_expected_next_meeting_id, twentieth.selic_expected_next_percent) == ("R3/2024", 10.25)
    for row in found.values():
        assert (row.selic_expected_year_end_meeting_id, row.selic_expected_year_end_percent) == ("R8/2024", 9)
        assert row.selic_expected_next_surveyed_on == SURVEYED
        assert utc(row.known_from) == instant(KNOWN)


def test_after_the_last_meeting_of_a_year_the_next_year_ends_elsewhere(silver):
    surveyed = date(2024, 12, 6)
    rows = [
        expected(m, v, surveyed, "2024-12-09T12") for m, v in (("R8/2024", "12"), ("R1/2025", "13"), ("R8/2025", "14"))
    ]
    found = days(silver, *rows, first=date(2024, 12, 9), last=date(2024, 12, 12))
    assert {
        day.day: (row.selic_expected_next_meeting_id, row.selic_expected_year_end_meeting_id)
        for day, row in found.items()
    } == {
        9: ("R8/2024", "R8/2024"),
        10: ("R8/2024", "R8/2024"),
        11: ("R1/2025", "R8/2025"),
        12: ("R1/2025", "R8/2025"),
    }


def test_a_survey_counts_from_the_day_it_was_known_and_a_newer_one_takes_over(silver):
    newer = expected("R2/2024", "10.5", date(2024, 3, 8), "2024-03-11T12")
    late = expected("R2/2024", "99", date(2024, 2, 9), "2024-03-12T12")
    found = days(silver, expected("R2/2024", "10.75"), newer, late)
    assert date(2024, 3, 3) not in found
    assert [found[date(2024, 3, day)].selic_expected_next_percent for day in (4, 10, 11, 12)] == [
        10.75,
        10.75,
        10.5,
        10.5,
    ]


def test_a_revised_median_keeps_the_day_since_when_the_survey_was_known(silver):
    found = days(silver, expected("R2/2024", "10.75"), expected("R2/2024", "11", known="2024-03-15T12"))
    row = found[date(2024, 3, 4)]
    assert (row.selic_expected_next_percent, utc(row.known_from)) == (11, instant("2024-03-15T12"))


@pytest.mark.parametrize(
    "other",
    [
        {"base_calculation": 1},
        {"base_calculation": None},
        {"resource": "ExpectativasMercadoAnuais"},
        {"indicator": "IPCA"},
        {"calculation_type": "C"},
        {"median": None},
    ],
    ids=str,
)
def test_another_statistic_is_not_taken_for_it(silver, other):
    assert days(silver, expected("R2/2024", "99") | other) == {}


def test_meetings_after_the_file_have_no_day_and_so_no_column(silver):
    last = copom_meetings()[-1]
    following = f"R1/{last.year + 1}"
    surveyed, first = last.decided_on - timedelta(days=5), last.decided_on - timedelta(days=1)
    rows = [expected(meeting, "9", surveyed, f"{surveyed}T12") for meeting in (last.meeting_id, following)]
    assert set(days(silver, *rows, first=first, last=first + timedelta(days=3))) == {first}


def test_a_survey_touches_the_thirty_days_on_which_it_can_count_in_every_capital(silver):
    groups = affected(TABLE, silver, {"bcb_focus": silver.add("bcb_focus", expected("R2/2024", "10.75"))})
    assert named(groups) == {(SURVEYED + timedelta(days=n), code) for n in range(31) for code in station_of()}
    other = silver.add("bcb_focus", expected("12/2024", "4", resource="ExpectativaMercadoMensais", indicator="IPCA"))
    assert named(affected(TABLE, silver, {"bcb_focus": other})) == set()


def test_a_capitals_day_has_what_was_expected_and_its_clock(silver, frame):
    day = date(2024, 3, 19)
    silver.add("bcb_sgs", {"series_code": 432, "reference_on": day, "value": Decimal(11), "known_from": instant(KNOWN)})
    late = instant("2024-03-18T12")
    row = expected("R2/2024", "10.75", published_at_basis="assumed_lag") | {"known_from": late}
    silver.add("bcb_focus", row)
    groups = frame("date_on DATE, municipality_code STRING", (day, "2927408")).toArrow()
    (found,) = TABLE.recompute(silver, Groups(silver.spark, groups)).collect()
    assert (found.selic_target_percent, found.selic_expected_next_percent) == (11, Decimal("10.75"))
    assert found.selic_expected_year_end_percent is None
    assert (utc(found.known_from), found.known_from_basis) == (late, "assumed")

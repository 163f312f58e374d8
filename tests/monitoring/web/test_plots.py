"""Plots have a bounded number of points, show missing measurements as gaps, and have a text for their content."""

import itertools
import math
import re

import pytest

from monitoring.web.plots import BUCKETS, DAY, HEIGHT, OUTCOMES, WIDTH, plot, strip, worst
from producers.schedule.outcomes import Result

NOW = 1_800_000_000.0


def minutes(value, *, of=range(1440)):
    return [[NOW - DAY + 60 * (minute + 1), value(minute)] for minute in of]


def numbers(path):
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", path)]


@pytest.mark.parametrize("count", [1, 1440, 86_400])
def test_a_plot_has_no_more_points_than_columns_however_many_were_measured(count):
    points = [[NOW - DAY + DAY * (index + 1) / count, index % 97] for index in range(count)]
    assert len(re.findall("[ML]", plot("lag", points, NOW).line)) <= BUCKETS


def test_a_flat_line_has_two_points():
    found = plot("lag", minutes(lambda _: 5.0), NOW)
    assert len(re.findall("[ML]", found.line)) == 2
    assert found.gaps == ()


def test_control_minutes_that_nobody_measured_are_a_gap_and_no_line_crosses_it(control):
    def crossed(points):
        """A line that goes on through the two hours from 10:00."""
        found = plot("lag", points, NOW)
        left, right = 10 / 24 * WIDTH, 12 / 24 * WIDTH
        through = []
        for part in found.line.split("M")[1:]:
            columns = numbers(part)[::2]
            through += [f"a line from {a} to {b}" for a, b in itertools.pairwise(columns) if a < left and b > right]
        return through if found.gaps else [*through, "no gap is drawn"]

    away = range(600, 720)
    control.holds(crossed, minutes(lambda minute: minute % 7, of=[each for each in range(1440) if each not in away]))
    # A history that copies the last value over the time without measurements.
    control.objects(crossed, minutes(lambda minute: 1.0 if minute in away else minute % 7), damage="no gap is drawn")


def test_a_gap_stands_where_nothing_was_measured():
    found = plot("lag", minutes(lambda _: 5.0, of=range(720, 1440)), NOW)
    assert found.gaps == ((0.0, WIDTH / 2),)
    assert "nothing was measured for 12 h of them" in found.text


def test_of_each_column_the_greatest_value_is_drawn():
    """A peak of a minute is no less of a peak."""
    found = plot("lag", minutes(lambda minute: 900.0 if minute == 700 else 0.0), NOW)
    assert min(numbers(found.line)[1::2]) == 2.0  # the upper edge
    assert (found.peak, found.top) == ("15 min", "15 min")
    assert "greatest 15 min" in found.text


def test_a_second_of_lag_is_drawn_low():
    assert min(numbers(plot("lag", minutes(lambda _: 1.0), NOW).line)[1::2]) > HEIGHT * 0.9


def test_what_is_no_number_or_of_another_day_is_left_out():
    points = [[NOW - 60, math.nan], [NOW - 120, math.inf], [NOW - DAY - 1, 9.0], [NOW + 3600, 9.0]]
    found = plot("lag", points, NOW)
    assert (found.line, found.area, found.gaps) == ("", "", ((0.0, WIDTH),))
    assert found.text == "lag in the last 24 hours: nothing was measured."


def test_all_points_stay_within_the_picture():
    found = plot("lag", minutes(lambda minute: -5.0 if minute % 2 else 1e12), NOW)
    places = numbers(found.line)
    assert all(0 <= x <= WIDTH for x in places[::2])
    assert all(0 <= y <= HEIGHT for y in places[1::2])


def test_the_worst_of_many_series_is_the_greatest_of_each_minute():
    assert worst([[[60, 1.0], [121, 5.0]], [[61, 3.0], [120, 2.0], [180, math.nan]]]) == [[61, 3.0], [121, 5.0]]


def test_a_strip_shows_the_newest_polls_to_the_right_and_says_them():
    outcomes = [("published", NOW)] * 30 + [("failed", NOW), ("no_news", None), ("fenced", NOW), ("what?", NOW)]
    found = strip(outcomes)
    assert len(found.marks) == 24
    assert [mark.kind for mark in found.marks[-4:]] == ["failed", "no_news", "skipped", "skipped"]
    assert found.marks[-1].x + 8 == found.width
    assert found.text.startswith("The last 24 polls: 20 brought rows, 1 failed, 1 no news")
    assert strip([]).text == "No poll yet."
    assert strip([("published", NOW)]).marks[0].x == 23 * 8


def test_every_outcome_of_a_poll_has_words():
    assert set(OUTCOMES) == {each.value for each in Result}

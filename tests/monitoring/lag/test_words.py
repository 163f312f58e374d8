"""Durations in words, of the command line and of the status page."""

import pytest

from monitoring.lag.words import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.4, "0 s"), (-0.4, "0 s"), (59.6, "1 min"), (119, "1 min 59 s"), (900, "15 min"),
        (3 * 3600, "3 h"), (5460, "1 h 31 min"), (86_400, "1 day"), (2.5 * 86_400, "2 days 12 h"),
        (400 * 86_400, "400 days"), (-5, "-5 s"), (-3 * 86_400, "-3 days"),
    ],
)  # fmt: skip
def test_a_duration_is_given_in_its_two_largest_units(seconds, text):
    assert duration(seconds) == text

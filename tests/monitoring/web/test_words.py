"""Numbers and moments in words."""

import math

import pytest

from monitoring.web import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (200, "3 min 20 s"), (660, "11 min"), (3600, "1 h"),
        (5460, "1 h 31 min"), (86_400, "1 day"), (90_000, "1 day 1 h"), (6.7 * 86_400, "6 days 16 h"),
        (400 * 86_400, "400 days"), (-5, "0 s"), (None, "not known"), (math.nan, "not known"),
    ],
)  # fmt: skip
def test_a_duration_is_given_in_its_two_largest_units(seconds, text):
    assert words.lasting(seconds) == text


def test_moments_are_given_relative_to_now():
    assert [words.ago(0.2), words.ago(75), words.ago(None)] == ["just now", "1 min 15 s ago", "not known"]
    assert [words.until(75), words.until(-75)] == ["in 1 min 15 s", "due 1 min 15 s ago"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (300 * 1024**2, "300 MiB"), (2**52, "4,096.0 TiB")],
)
def test_sizes_have_a_unit(count, text):
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(0, "0 %"), (0.001, "under 1 %"), (0.999, "99 %"), (1, "100 %"), (None, "not known")]
)
def test_only_exact_shares_are_shown_as_none_or_all(ratio, text):
    assert words.share(ratio) == text


def test_what_is_no_moment_is_none():
    assert words.moment("2026-11-28T17:05:40.500Z") == 1795885540.5
    assert [words.moment(text) for text in (None, "", "<b>", "yesterday")] == [None] * 4

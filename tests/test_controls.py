"""A control is a proof only if one oracle finds nothing with the protection and names the damage without it."""

import pytest

from tests.controls import Control, complaint, counted, differs


def doubled(rows: list[int]) -> list[str]:
    return [f"{row} stands {rows.count(row)} times" for row in sorted(set(rows)) if rows.count(row) > 1]


def lacking(rows: list[int]) -> list[str]:
    return [] if rows else ["nothing is there"]


def test_an_oracle_that_consents_and_then_names_the_damage_is_kept_in_words():
    control = Control()
    control.holds(doubled, [1, 2])
    control.objects(doubled, [1, 1], damage="stands 2 times")
    assert control.words == ["1 stands 2 times"]


def test_an_oracle_that_objects_with_the_protection_is_no_proof():
    with pytest.raises(AssertionError, match="with the protection"):
        Control().holds(doubled, [1, 1])


def test_an_oracle_that_consents_without_the_protection_is_no_proof():
    control = Control()
    control.holds(doubled, [1, 2])
    with pytest.raises(AssertionError, match="it proves nothing"):
        control.objects(doubled, [1, 2], damage="stands 2 times")


def test_another_trouble_than_the_one_expected_is_no_proof():
    control = Control()
    control.holds(doubled, [1])
    with pytest.raises(AssertionError, match="says nothing of 'is lost'"):
        control.objects(doubled, [1, 1], damage="is lost")


def test_each_damage_that_is_expected_has_to_be_named():
    control = Control()
    control.holds(doubled, [1])
    control.objects(doubled, [1, 1, 2, 2, 2], damage=("1 stands 2 times", "2 stands 3 times"))
    assert control.words == ["1 stands 2 times", "2 stands 3 times"]
    with pytest.raises(AssertionError, match="says nothing of '2 stands"):
        control.objects(doubled, [1, 1], damage=("1 stands 2 times", "2 stands 3 times"))


def test_another_oracle_than_the_one_that_consented_is_no_proof():
    control = Control()
    control.holds(doubled, [1])
    with pytest.raises(AssertionError, match="never seen to consent"):
        control.objects(lacking, [], damage="nothing")


def test_what_an_action_raises_is_an_objection():
    assert complaint(lambda: 1) == []
    assert complaint(lambda: int("x")) == ["ValueError: invalid literal for int() with base 10: 'x'"]


def test_what_is_not_as_it_should_be_is_said_with_both():
    assert differs(3, 3) == []
    assert differs(3, 4) == ["3 instead of 4"]


def test_what_is_missing_and_what_is_too_much_is_counted():
    assert counted("ab", "ba") == []
    assert counted("aac", "ab", "letter") == [
        "letter 'a' stands 2 times instead of 1",
        "letter 'b' stands 0 times instead of 1",
        "letter 'c' stands 1 times instead of 0",
    ]

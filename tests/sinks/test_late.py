"""Silver is what one batch over all of bronze gives, whatever came when and however batches were cut."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from foundation import failpoints
from sinks import late
from tests.controls import counted, differs
from tests.seeds import seed_of
from tests.sinks.silver_model import Change, Model, digest
from tests.sinks.silver_tables import Silver

KEYS = [(name, number) for name in (None, "a", "b") for number in range(40)]
BATCHES = 4

A = ("a", 1)


def row(known_from: int, value: float | None, offset: int, *, key: tuple[str, int] = A) -> Change:
    return Change(key, known_from, value, offset)


def withdrawal(known_from: int, offset: int = 0, *, key: tuple[str, int] = A) -> Change:
    return Change(key, known_from, None, offset, is_withdrawn=True)


@pytest.fixture
def silver(tmp_path) -> Silver:
    return Silver(tmp_path)


def histories(choose: random.Random) -> Iterator[Change]:
    """Few clocks and values per key, so that repetitions, conflicts, withdrawals and come-backs abound.

    Offsets are drawn apart from clocks: any row may be late.
    """
    offset = 0
    for key in KEYS:
        for _ in range(choose.randrange(10)):
            clock = choose.randrange(8)
            if choose.random() < 0.2:
                yield Change(key, clock, None, offset, is_withdrawn=True)
            else:
                yield Change(key, clock, choose.choice([None, -1.0, 1.0, 1.0, 2.0]), offset)
            offset += 1


def cut(choose: random.Random, rows: list[Change]) -> list[list[Change]]:
    """Into batches of any length, in an order in which most clocks rise and some do not."""
    rows = sorted(rows, key=lambda each: each.known_from + choose.choice([0, 0, 0, 4, 8]) * choose.random())
    places = sorted(choose.sample(range(1, len(rows)), BATCHES - 1))
    return [rows[first:last] for first, last in zip([0, *places], [*places, len(rows)], strict=True)]


def unlike_one_batch(silver: Silver, rows: list[Change]) -> list[str]:
    """The oracle: both tables and quarantine are what one batch over all rows gives, by the model in plain Python."""
    model, found = Model(rows), []
    tables = (
        ("revisions", silver.target.revisions, model.revisions),
        ("current", silver.target.current, model.current),
    )
    for name, path, expected in tables:
        held = silver.held(path)
        if digest(held) != digest(expected):
            found += counted(map(repr, held), map(repr, expected), f"{name}: ")
    return found + differs(silver.quarantined, model.quarantined)


def require_batch(silver: Silver, rows: list[Change]) -> None:
    assert unlike_one_batch(silver, rows) == []


def test_any_rows_in_any_order_and_any_batches_give_what_one_batch_gives(silver, monkeypatch):
    """After every batch; each may be repeated, or fail between two of its writes and be repeated."""
    print(f"SEED={(seed := seed_of(default=1))}")  # shown when it fails
    choose = random.Random(seed)
    batches = cut(choose, list(histories(choose)))
    before: list[Change] = []
    for batch_id, batch in enumerate(batches):
        point = choose.choice(["", "", "after_deletes", "after_repaired_revisions", "after_revisions"])
        if point:
            monkeypatch.setenv(failpoints.VARIABLE, f"{point}:raise")
            with suppress(RuntimeError):  # not every batch comes by every point
                silver.apply(batch, batch_id)
            monkeypatch.delenv(failpoints.VARIABLE)
        for _ in range(choose.choice([1, 1, 2])):
            silver.apply(batch, batch_id)
        before += batch
        require_batch(silver, before)


def test_control_without_late_handling_it_does_not(silver, monkeypatch, control):
    """With a seed whose late rows reach current; the first half of its batches comes with late handling."""
    choose, before = random.Random(1), list[Change]()
    batches = list(enumerate(cut(choose, list(histories(choose)))))

    def apply(some: list[tuple[int, list[Change]]]) -> list[Change]:
        for batch_id, batch in some:
            silver.apply(batch, batch_id)
            before.extend(batch)
        return before

    half = len(batches) // 2
    control.holds(unlike_one_batch, silver, apply(batches[:half]))
    monkeypatch.setattr(late, "late_keys", lambda *_: None)
    damage = ("revisions: ", "current: ")
    control.objects(unlike_one_batch, silver, apply(batches[half:]), damage=damage)


CONFIRMED = [row(1, 1.5, 0)], [row(10, 1.5, 1)], [row(5, 9.9, 2)]
"""1.5 on the 1st, 1.5 on the 10th, and 9.9 dated the 5th arriving last."""


def test_a_value_that_was_confirmed_after_a_late_one_is_current(silver):
    for batch_id, batch in enumerate(CONFIRMED):
        silver.apply(batch, batch_id)

    assert (silver.revisions, silver.current) == ([0, 1, 2], [1])


def test_control_a_late_version_would_become_current(tmp_path, monkeypatch, control):
    def current(name: str) -> list[str]:
        silver = Silver(tmp_path / name)
        for batch_id, batch in enumerate(CONFIRMED):
            silver.apply(batch, batch_id)
        return counted(silver.current, [1], "as current, version")

    control.holds(current, "with")
    monkeypatch.setattr(late, "late_keys", lambda *_: None)
    control.objects(current, "without", damage="as current, version 1 stands 0 times instead of 1")


@pytest.mark.parametrize("point", ["after_deletes", "after_repaired_revisions"])
def test_a_kill_while_a_key_is_repaired_is_repaired(silver, monkeypatch, point):
    """2.0 comes before a stored 2.0, which is then a repetition: one version is deleted, one appended."""
    silver.apply([row(1, 1.0, 0), row(9, 2.0, 1)], 0)
    batch = [row(5, 2.0, 2)]
    monkeypatch.setenv(failpoints.VARIABLE, f"{point}:raise")
    with pytest.raises(RuntimeError, match=point):
        silver.apply(batch, 1)
    monkeypatch.delenv(failpoints.VARIABLE)
    assert (silver.revisions, silver.current) != ([0, 2], [2])

    silver.apply(batch, 1)

    assert (silver.revisions, silver.current) == ([0, 2], [2])


def test_every_key_that_loses_a_version_has_one_appended_after_it(silver):
    """Gold skips the commit that deletes. A value at a withdrawal's own clock only takes away: A is said again."""
    silver.apply([row(1, 1.0, 0)], 0)
    silver.apply([withdrawal(5)], 1)
    silver.apply([row(5, 1.0, 1)], 2)

    assert (silver.revisions, silver.current) == ([0], [0])
    log = Path(silver.target.revisions, "_delta_log")
    removes = ['"remove"' in commit.read_text() for commit in sorted(log.glob("*.json"))[-2:]]
    assert removes == [True, False]


def test_a_withdrawn_key_leaves_current_and_comes_back_with_the_same_values(silver):
    silver.apply([row(1, 1.0, 0), row(1, 2.0, 1, key=("b", 1))], 0)
    silver.apply([withdrawal(2), withdrawal(3, 1), withdrawal(2, 2, key=("unknown", 1))], 1)
    assert (silver.revisions, silver.current) == ([-1, 0, 1], [1])

    silver.apply([row(4, 1.0, 2)], 2)
    assert (silver.revisions, silver.current) == ([-1, 0, 1, 2], [1, 2])


def test_a_late_version_does_not_bring_a_withdrawn_key_back(silver):
    silver.apply([row(1, 1.0, 0)], 0)
    silver.apply([withdrawal(5)], 1)
    silver.apply([row(3, 2.0, 1)], 2)

    assert (silver.revisions, silver.current) == ([-1, 0, 1], [])


def test_a_withdrawal_that_silver_reads_before_its_row_still_withdraws_it(silver):
    """The two come by two topics, and nothing says which is read first."""
    silver.apply([row(9, 1.0, 0, key=("b", 1)), withdrawal(5)], 0)
    silver.apply([row(3, 2.0, 1), row(6, 1.0, 2, key=("c", 1))], 1)

    assert (silver.revisions, silver.current) == ([-1, 0, 1, 2], [0, 2])


def test_ordinary_batches_ask_nothing_of_bronze(silver, monkeypatch):
    """New values, repetitions, a withdrawal, and the years before of keys that are new: none is late."""
    monkeypatch.setattr(silver.history, "rows_of", lambda *_: pytest.fail("bronze was read"))
    silver.apply([row(5, 1.0, 0), row(5, 1.0, 1, key=("b", 1))], 0)
    silver.apply([row(7, 2.0, 2), row(7, 1.0, 3, key=("b", 1))], 1)
    silver.apply([row(1, 1.0, 4, key=("c", 1)), withdrawal(8)], 2)

    assert (silver.revisions, silver.current) == ([-1, 0, 1, 2, 4], [1, 4])

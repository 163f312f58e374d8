"""Where a clock is too coarse to tell records apart, its last row counts, in any batches; nothing conflicts."""

import random
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import pytest

from foundation import failpoints
from tests.controls import counted
from tests.seeds import seed_of
from tests.sinks.silver_model import Change, Key, digest
from tests.sinks.silver_tables import Silver
from tests.sinks.test_late import cut, histories, row, withdrawal


def versions(rows: Iterable[Change]) -> list[Change]:
    """One pass over all rows in plain Python: the last of each clock, if it differs from the version before it; a
    withdrawal too, if there is none before it."""
    by_key: dict[Key, dict[int, Change]] = defaultdict(dict)
    for change in sorted((each for each in rows if each.is_valid), key=lambda each: each.offset):
        by_key[change.key][change.known_from] = change
    found = []
    for clocks in by_key.values():
        said: tuple[bool, float | None] | None = None
        for _, change in sorted(clocks.items()):
            says = (not change.is_withdrawn, change.value)
            if says != said:
                found.append(change)
                said = says
    return found


def unlike_the_last(silver: Silver, rows: list[Change]) -> list[str]:
    """What revisions and current hold else than that; and rows that are quarantined as contradictions."""
    expected = versions(rows)
    newest = {each.key: each for each in sorted(expected, key=lambda each: each.known_from)}
    current = [each for each in newest.values() if not each.is_withdrawn]
    found = [f"{offset} is set aside: {rule}" for offset, rule in silver.quarantined.items() if rule.startswith("conf")]
    for name, path, wanted in (
        ("revisions", silver.target.revisions, expected),
        ("current", silver.target.current, current),
    ):
        held = silver.held(path)
        if digest(held) != digest(wanted):
            found += counted(map(repr, held), map(repr, wanted), f"{name}: ")
    return found


@pytest.fixture
def silver(tmp_path) -> Silver:
    made = Silver(tmp_path)
    made.target = replace(made.target, last_counts=True)
    return made


def test_any_batches_give_the_last_row_of_every_clock(silver, monkeypatch):
    """Each batch may be repeated, or fail between two of its writes and be repeated."""
    print(f"SEED={(seed := seed_of(default=1))}")  # shown when it fails
    choose, before = random.Random(seed), list[Change]()
    for batch_id, batch in enumerate(cut(choose, list(histories(choose)))):
        point = choose.choice(["", "after_deletes", "after_repaired_revisions", "after_revisions"])
        if point:
            monkeypatch.setenv(failpoints.VARIABLE, f"{point}:raise")
            with suppress(RuntimeError):  # not every batch comes by every point
                silver.apply(batch, batch_id)
            monkeypatch.delenv(failpoints.VARIABLE)
        for _ in range(choose.choice([1, 2])):
            silver.apply(batch, batch_id)
        before += batch
        assert unlike_the_last(silver, before) == []


def test_a_withdrawal_of_the_only_clock_takes_the_value_away(silver):
    rows = [row(1, 1.0, 0), withdrawal(1, 1), row(1, 2.0, 2), withdrawal(1, 3)]
    for batch_id, each in enumerate(rows):
        silver.apply([each], batch_id)
        assert unlike_the_last(silver, rows[: batch_id + 1]) == []
    assert silver.current == []


def test_control_where_the_first_row_of_a_clock_counts_the_later_one_is_hidden(silver, tmp_path, control):
    batches = [[row(1, 1.0, 0), row(1, 2.0, 1)], [row(1, 3.0, 2)], [withdrawal(1, 3)], [row(1, 4.0, 4)]]
    rows = [each for batch in batches for each in batch]
    for batch_id, batch in enumerate(batches):
        silver.apply(batch, batch_id)
    control.holds(unlike_the_last, silver, rows)

    (tmp_path / "other").mkdir()
    other = Silver(tmp_path / "other")
    for batch_id, batch in enumerate(batches):
        other.apply(batch, batch_id)
    control.objects(unlike_the_last, other, rows, damage=("is set aside: conflicting_version", "current: "))

"""One seed for every random test."""

import random
import re
from pathlib import Path

import hypothesis.core
import pytest

from tests import seeds

TESTS = Path(__file__).parent


def test_the_variable_wins_over_the_fixed_seed_and_what_is_no_number_is_refused():
    assert seeds.seed_of({}, default=5) == 5
    assert seeds.seed_of({"SEED": "7"}, default=5) == 7
    with pytest.raises(ValueError, match="seven"):
        seeds.seed_of({"SEED": "seven"})


def test_a_run_says_its_seed_and_hypothesis_draws_by_it(monkeypatch):
    monkeypatch.setattr(hypothesis.core, "global_force_seed", None)
    monkeypatch.delenv("SEED", raising=False)
    seeds.seed_hypothesis()
    assert hypothesis.core.global_force_seed is None, "unset, it draws anew each time"
    monkeypatch.setenv("SEED", "7")
    seeds.seed_hypothesis()
    assert hypothesis.core.global_force_seed == 7
    assert "SEED=7" in seeds.pytest_report_header()


def unseeded(text: str) -> list[str]:
    """Draws of a test that no seed repeats."""
    return re.findall(
        r"\brandom\.Random\(\)|(?<!\.)\brandom\.(?:random|choice|randrange|randint|uniform|shuffle)\(", text
    )


def test_no_test_draws_without_a_seed():
    found = {file.name: unseeded(file.read_text()) for file in TESTS.rglob("*.py") if file != Path(__file__)}
    assert {name: draws for name, draws in found.items() if draws} == {}


def test_control_a_draw_without_a_seed_is_found(control):
    control.holds(unseeded, "chance = random.Random(seed_of()); chance.choice(kinds)")
    control.objects(unseeded, "random.choice(kinds)", damage="random.choice(")
    assert random.Random(7).random() == random.Random(7).random()

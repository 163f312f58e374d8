"""`docs/guarantees.md` promises nothing that no test holds: every test it names exists, every fault met is in it."""

import re
from pathlib import Path

from tests.fault_report import FAULTS

ROOT = Path(__file__).parents[1]
GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
SOURCES = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("*.py")}
DEFINED = {name for text in SOURCES.values() for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}


def unknown(text: str) -> list[str]:
    """Tests and test files that a text names and the repository does not hold."""
    named = re.findall(r"`(test_\w+)`", text)
    files = re.findall(r"`(tests/[\w/]+\.py)`", text)
    return [name for name in named if name not in DEFINED] + [file for file in files if file not in SOURCES]


def test_every_test_that_the_page_names_exists():
    assert unknown(GUARANTEES) == []


def test_control_a_test_that_was_renamed_is_found(control):
    control.holds(unknown, GUARANTEES)
    text = "`test_f1_as_it_was_called_before` in `tests/faults/test_gone.py`"
    damage = ("test_f1_as_it_was_called_before", "tests/faults/test_gone.py")
    control.objects(unknown, text, damage=damage)


def test_every_fault_that_tests_meet_has_its_line():
    ranges = [(int(a), int(b or a)) for a, b in re.findall(r"\bF(\d+)\b(?:\*\*\u2013\*\*F(\d+))?", GUARANTEES)]
    assert {fault for first, last in ranges for fault in range(first, last + 1)} >= set(FAULTS)

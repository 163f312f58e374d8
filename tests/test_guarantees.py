"""`docs/guarantees.md` promises only what a test proves: every test it names exists, is run by the verb that the
page says, and was neither skipped nor failed when it last ran here; every fault met is in it.
"""

import re
from dataclasses import replace

import pytest

from tests.collected import COLLECTED, ROOT, Collected, is_whole, runs
from tests.fault_report import FAULTS
from tests.guarantee_list import VERBS
from tests.guarantees import CONTAINERS, LONG, SHORT, complaints, lines, unshown
from tests.guarantees import FAULTS as TEST_FAULTS
from tests.last_runs import Ended, last_runs, note

GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
SOURCES = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("*.py")}
DEFINED = {name: file for file, text in SOURCES.items() for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}


def unknown(text: str) -> list[str]:
    """Tests and test files that a text names and the repository does not hold."""
    named = re.findall(r"`(test_\w+)`", text)
    files = re.findall(r"`(tests/[\w/]+\.py)`", text)
    return [name for name in named if name not in DEFINED] + [file for file in files if file not in SOURCES]


def test_every_test_that_a_page_names_exists():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    wrong = {str(page.relative_to(ROOT)): unknown(page.read_text(encoding="utf-8")) for page in pages}
    assert {page: names for page, names in wrong.items() if names} == {}


def test_control_a_test_that_was_renamed_is_found(control):
    control.holds(unknown, "`test_every_test_that_a_page_names_exists` in `tests/test_guarantees.py`")
    control.objects(
        unknown,
        "`test_f1_as_it_was_called_before` in `tests/faults/test_gone.py`",
        damage="test_f1_as_it_was_called_before",
    )


def test_every_fault_has_its_line_or_is_said_to_have_none():
    tabled, _, untested = GUARANTEES.partition("## Faults that no test brings about yet")
    said = {int(fault) for fault in re.findall(r"^\* \*\*F(\d+)\*\*", untested, re.MULTILINE)}
    ranges = re.findall(r"\bF(\d+)\b(?:(?:\*\*)?\u2013(?:\*\*)?F(\d+))?", tabled)
    lined = {fault for first, last in ranges for fault in range(int(first), int(last or first) + 1)}
    assert lined == set(FAULTS)
    assert said == set(range(1, max(FAULTS) + 1)) - set(FAULTS), "a fault of the matrix is neither tested nor named"


def test_the_verb_that_the_page_says_runs_each_test(request):
    """In bold: `make test`. Else it or `make test-faults`; after `long:`, `make test-faults-long`.

    Of a run that collects some files only, the tests of those are judged.
    """
    collected = request.config.stash[COLLECTED]
    files = set(SOURCES) if is_whole(request.config) else {each.file for each in collected}
    known = frozenset({name for name, file in DEFINED.items() if file in files} | files)
    assert complaints(lines(GUARANTEES), collected, VERBS, known=known) == []


def test_no_test_that_the_page_names_was_skipped_or_failed_when_it_last_ran_here(request):
    wrong = unshown(lines(GUARANTEES), request.config.stash[COLLECTED], VERBS, last_runs(request.config))
    assert wrong == [], "run them again, with `make test-faults`: until they pass, this machine has not shown it"


# Controls: a small page, and a small collection

QUICK, SLOW, LENGTHY, BROKEN = (Collected("tests/a.py", f"test_{name}", frozenset(marks)) for name, marks in
    {"quick": ["fault"], "slow": ["fault", "slow"], "long": ["fault", "long"], "broken": ["slow"]}.items()
)  # fmt: skip
EVERY = frozenset({"test_quick", "test_slow", "test_long", "test_gone", "tests/a.py"})
PAGE = """
| Promise | Fault | Test | Control: switched off is |
|---|---|---|---|
| One | **F1** | `test_quick` | none |
| Two | F2 | `test_slow`; long: `test_long` | the lock: `test_quick` |
"""


def judged(page: str) -> list[str]:
    return complaints(lines(page), [QUICK, SLOW, LENGTHY], VERBS, known=EVERY)


@pytest.mark.parametrize(
    ("wrong", "damage"),
    [
        (PAGE.replace("F2", "**F2**"), "test_slow: make test does not run test_slow"),
        (PAGE.replace("long: ", ""), "test_long: make test or test-faults does not run test_long"),
        (PAGE.replace("`test_slow`; long: `test_long`", "long: `test_slow`"), "make test-faults-long does not run"),
        (PAGE.replace("**F1** | `test_quick`", "**F1** | `tests/a.py`"), "make test does not run test_slow"),
        (PAGE.replace("`test_slow`", "`test_gone`"), "test_gone is collected by no verb"),
    ],
    ids=["slow in bold", "long unsaid", "slow said to be long", "a file in bold", "not collected"],
)  # fmt: skip
def test_control_a_test_that_another_verb_runs_is_found(control, wrong, damage):
    control.holds(judged, PAGE)
    control.objects(judged, wrong, damage=damage)


def skipped_or_failed(ended: dict[str, Ended]) -> list[str]:
    return unshown(lines(PAGE), [QUICK, SLOW, LENGTHY, BROKEN], VERBS, ended)


@pytest.mark.parametrize(
    ("ended", "damage"),
    [({"test_slow": Ended("skipped", "no room")}, "test_slow skipped when it last ran here: no room"),
     ({"test_quick": Ended("skipped")}, "test_quick skipped"), ({"test_long": Ended("failed")}, "test_long failed")],
)  # fmt: skip
def test_control_a_test_that_was_skipped_or_failed_is_found(control, ended, damage):
    control.holds(
        skipped_or_failed, {"test_slow": Ended("passed"), "test_broken": Ended("failed"), "test_quick": Ended("failed")}
    )
    control.objects(skipped_or_failed, ended, damage=damage)


def test_of_several_parameters_and_phases_the_worst_counts():
    def report(node: str, outcome: str) -> pytest.TestReport:
        return pytest.TestReport(node, ("a", 1, node), {}, outcome, ("a", 1, "Skipped: no room"), "call")

    found: dict[str, Ended] = {}
    for node, outcome in [("a::test_x[1]", "passed"), ("a::test_x[2]", "skipped"), ("a::test_x[3]", "passed")]:
        note(found, report(node, outcome))
    assert found == {"test_x": Ended("skipped", "Skipped: no room")}
    note(found, report("a::test_x[4]", "failed"))
    assert replace(found["test_x"], reason="") == Ended("failed")


def test_the_verbs_are_those_of_the_makefile():
    assert {SHORT, TEST_FAULTS, LONG} <= set(VERBS)
    assert [runs(VERBS[verb], QUICK.marks) for verb in (SHORT, TEST_FAULTS, LONG)] == [True, True, False]
    assert [runs(VERBS[verb], SLOW.marks) for verb in (SHORT, TEST_FAULTS, LONG)] == [False, True, False]
    in_containers = frozenset({"containers"})
    assert [verb for verb in VERBS if runs(VERBS[verb], in_containers)] == [CONTAINERS]
    assert [runs(VERBS[verb], LENGTHY.marks) for verb in (SHORT, TEST_FAULTS, LONG)] == [False, False, True]

"""The list that is printed after a run: of each promise what the run showed; a skipped test is no proof."""

import json
from types import SimpleNamespace

from tests.fault_report import FAULTS, PAGE, ROOT, UNTESTED, by_fault, forbid_skip, reports_of
from tests.guarantee_list import WIDTH, Outcomes, declared, listed, tell, verb_of
from tests.guarantees import lines

SMALL = """
| Promise | Fault | Test | Control: switched off is |
|---|---|---|---|
| Rows are there once | **F2** killed | `test_f2_once`; long: `test_f2_a_day` | the cursor: `test_f2_control_without` |
| | F9 | `tests/faults/test_some.py` | in the same file |
| Nothing else | F1 | `test_f1_gone` | none |
"""
TESTS = {
    f"tests/faults/test_some.py::{name}": Outcomes(name, "tests/faults/test_some.py", verb)
    for name, verb in (("test_f2_once", "test"), ("test_f2_a_day", "test-faults-long"), ("test_f9_idle", "test"))
}


def noted(test: str, *, fault: int | None = 2, is_control: bool = False, words: tuple[str, ...] = ()) -> dict:
    return {
        "test": test, "file": "tests/faults/test_some.py", "verb": "test", "fault": fault, "is_fault": True,
        "control": is_control, "words": list(words),
    }  # fmt: skip


RAN = [
    ("passed", noted("test_f2_once")),
    ("skipped", noted("test_f2_once")),
    ("passed", noted("test_f2_control_without", is_control=True, words=("row 7 stands 2 times",))),
]


def test_a_line_of_the_page_is_a_promise_a_fault_and_the_tests_that_it_names():
    assert [(row.promise, row.fault, row.named) for row in lines(SMALL)] == [
        ("Rows are there once", "F2 killed", ("test_f2_once", "test_f2_a_day", "test_f2_control_without")),
        ("Rows are there once", "F9", ("tests/faults/test_some.py",)),
        ("Nothing else", "F1", ("test_f1_gone",)),
    ]


def test_each_promise_is_printed_with_its_tests_their_verbs_and_what_was_said():
    assert list(listed(SMALL, tell(TESTS, RAN), every=False)) == [
        "",
        "Rows are there once [F2 killed]",
        "  skipped  test     test             test_f2_once",
        "  not run  test     test-faults-long test_f2_a_day",
        "  passed   control  test             test_f2_control_without",
        '                    said: "row 7 stands 2 times"',
        "",
        "Rows are there once [F9]",
        "  skipped   1 tests test             tests/faults/test_some.py",
        "  passed   control  test             test_f2_control_without",
        '                    said: "row 7 stands 2 times"',
        "",
        "1 more promises have no test in this run",
    ]
    assert "Nothing else [F1]" in list(listed(SMALL, tell(TESTS, RAN), every=True))


def test_each_fault_is_printed_with_what_went_wrong_and_what_has_no_test():
    said = list(by_fault(RAN))
    assert said[0].split("  ")[0] == f"F2   {FAULTS[2]}".split("  ", maxsplit=1)[0]
    assert said[0].endswith("  1 held   1 controls  1 SKIPPED")
    assert [line for line in said if "no test yet" in line] == [
        f"F{n:<3} {UNTESTED[n]:58} no test yet" for n in UNTESTED
    ]
    assert said[-1].startswith("1 fault tests were SKIPPED")


def test_what_is_noted_beside_a_report_may_travel_from_another_process():
    """As text: a parallel run sends its reports so."""
    report = SimpleNamespace(user_properties=[["guarantee", json.loads(json.dumps(RAN[2][1]))], ["other", 1]])
    assert reports_of({"passed": [report], "": [report]}) == [RAN[2]]


def test_every_promise_of_the_page_fits_and_names_tests_that_are_declared():
    tests = declared(ROOT / "tests")
    printed = list(listed(PAGE.read_text(encoding="utf-8"), tests, every=True))
    assert max(map(len, printed)) <= WIDTH
    assert [line for line in printed if " ?  " in line] == []
    assert len(printed) > 2 * len(list(lines(PAGE.read_text(encoding="utf-8"))))


def test_the_verb_of_a_test_is_the_one_whose_marks_it_has():
    assert [verb_of(iter(marks)) for marks in ([], ["fault"], ["fault", "slow"], ["slow", "long"])] == [
        "test", "test", "test-faults", "test-faults-long",
    ]  # fmt: skip


def test_control_where_skips_are_allowed_a_fault_test_that_showed_nothing_is_no_failure(control):
    def let_pass(*, is_fault: bool, **environment: str) -> list[str]:
        report = SimpleNamespace(skipped=True, outcome="skipped", longrepr=("file", 1, "Skipped: no tmpfs"))
        forbid_skip(report, is_fault=is_fault, environment=environment)
        return [] if report.outcome == "failed" else [f"it is {report.outcome}: {report.longrepr[2]}"]

    control.holds(let_pass, is_fault=True, CI="true")
    control.holds(let_pass, is_fault=True, NO_SKIPPED_FAULTS="1")
    control.objects(let_pass, is_fault=True, damage="it is skipped: Skipped: no tmpfs")
    control.objects(let_pass, is_fault=False, CI="true", damage="it is skipped: Skipped: no tmpfs")

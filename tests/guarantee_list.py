"""The list of guarantees after a run: each promise of the page, its tests, how they ended, its controls' words.

Everything here is made from the page's text, from the sources' marks and a run's outcomes; see `fault_report`.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

from tests.collected import ROOT, runs, verbs
from tests.guarantees import AIRFLOW, CONTAINERS, FAULTS, LONG, SHORT, lines

VERBS = verbs((ROOT / "Makefile").read_text(encoding="utf-8"))
WIDTH = 140
RESULTS = ("failed", "error", "skipped", "passed", "not run")
"""Worst first: of a test's parameters the worst counts."""


@dataclass
class Outcomes:
    """The outcomes of one test in a run: of all its parameters and phases.

    Attributes:
        words: what oracles said once its control had switched the protection off.
    """

    name: str
    file: str
    verb: str
    fault: int | None = None
    is_control: bool = False
    result: str = "not run"
    words: list[str] = field(default_factory=list)

    def ended(self, result: str) -> None:
        """Add the outcome of one of its parameters."""
        self.result = min(self.result, result, key=RESULTS.index)


def verb_of(marks: Iterable[str]) -> str:
    """The verb of the Makefile that runs a test with these marks, the quickest if there are several."""
    own = frozenset(marks)
    return next(verb for verb in (SHORT, FAULTS, LONG, CONTAINERS, AIRFLOW) if runs(VERBS[verb], own))


def is_control(name: str, said: str | None) -> bool:
    """Whether a test switches a protection off, by its name or its docstring."""
    return "control" in name or "egative control" in (said or "") or (said or "").startswith("Control")


def declared(folder: Path) -> dict[str, Outcomes]:
    """Every test of a folder's files by file and name, with the verb that its marks and its module's give it.

    A test that a file imports runs there with this module's marks.
    """
    found: dict[str, Outcomes] = {}
    for file in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assigned = [each for each in tree.body if isinstance(each, ast.Assign) and _names(each) == ["pytestmark"]]
        of_all = [mark for each in assigned for mark in _marks(each)]
        where = str(file.relative_to(folder.parent))
        for each in tree.body:
            if isinstance(each, ast.FunctionDef) and each.name.startswith("test_"):
                marks = [*of_all, *(mark for node in each.decorator_list for mark in _marks(node))]
                control = is_control(each.name, ast.get_docstring(each))
                found[f"{where}::{each.name}"] = Outcomes(each.name, where, verb_of(marks), is_control=control)
        for name in (name.name for each in tree.body if isinstance(each, ast.ImportFrom) for name in each.names):
            if name.startswith("test_"):
                found[f"{where}::{name}"] = Outcomes(name, where, verb_of(of_all), is_control=is_control(name, None))
    return found


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _marks(node: ast.AST) -> list[str]:
    """`pytest.mark.slow` → slow; of a parametrized test those of its parameters are left out."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("parametrize"):
        return []
    return re.findall(r"pytest\.mark\.(\w+)", ast.unparse(node))


def tell(known: Mapping[str, Outcomes], reports: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Outcomes]:
    """Add the outcomes of a run to what is declared: (outcome, what `fault_report` noted beside the report)."""
    found = dict(known)
    for outcome, noted in reports:
        where = f"{noted['file']}::{noted['test']}"
        test = found.setdefault(where, Outcomes(noted["test"], noted["file"], noted["verb"]))
        test.fault, test.is_control = noted["fault"], noted["control"]
        test.ended(outcome)
        test.words += [each for each in noted["words"] if each not in test.words]
    return found


def listed(page: str, tests: Mapping[str, Outcomes], *, every: bool) -> Iterator[str]:
    """The list, line by line.

    Args:
        every: promises too of which this run had no test.
    """
    left_out = 0
    for line in lines(page):
        carried = [(name, _of(name, tests)) for name in line.named]
        if not every and all(test.result == RESULTS[-1] for _, found in carried for test in found):
            left_out += 1
            continue
        yield ""
        yield from wrap(f"{line.promise} [{line.fault}]".replace("`", ""), WIDTH)
        for name, found in carried:
            yield from _together(name, found, every=every) if name.endswith(".py") else _one_by_one(found)
    if left_out:
        yield ""
        yield f"{left_out} more promises have no test in this run"


SHOWN = 3
"""Objections of one control: those of its other parameters are alike."""


def _of(name: str, tests: Mapping[str, Outcomes]) -> list[Outcomes]:
    """The tests of a file, or those of a name."""
    return [test for test in tests.values() if name in (test.file, test.name)] or [Outcomes(name, "", "?")]


def _together(file: str, found: Iterable[Outcomes], *, every: bool) -> Iterator[str]:
    """How many tests of a file ended how under which verb, and its controls one by one."""
    tests = [test for test in found if every or test.result != RESULTS[-1]]
    counts = Counter((test.result, test.verb) for test in tests if not test.is_control)
    for (result, verb), count in sorted(counts.items()):
        yield _cut(f"{result:8} {count:2} tests {verb:17}{file}", 2)
    yield from _one_by_one(test for test in tests if test.is_control)


def _one_by_one(tests: Iterable[Outcomes]) -> Iterator[str]:
    for test in tests:
        kind = "control" if test.is_control else "test"
        yield _cut(f"{test.result:8} {kind:8} {test.verb:17}{test.name}", 2)
        for said in test.words[:SHOWN]:
            yield _cut(f'said: "{" ".join(said.split())}"', 20)
        if len(test.words) > SHOWN:
            yield " " * 20 + f"and {len(test.words) - SHOWN} more"


def _cut(text: str, indent: int) -> str:
    room = WIDTH - indent
    return " " * indent + (text if len(text) <= room else text[: room - 3] + "...")

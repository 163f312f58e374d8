"""What `docs/guarantees.md` promises, as data: each line's fault, and the tests that carry it under which verb."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.collected import Collected, runs
from tests.last_runs import Ended

SHORT, FAULTS, LONG = "test", "test-faults", "test-faults-long"
CONTAINERS, AIRFLOW = "test-containers", "test-airflow"
"""Verbs of the Makefile."""


@dataclass(frozen=True)
class Line:
    """One line of a table that names a test.

    Attributes:
        promise: in the page's words; a line without goes on with the promise of the line before.
        fault: what is brought about.
        is_bold: whether the page says that `make test` shows it.
        short: tests and test files that it names, those of its control too.
        long: those after the word `long:`.
        named: all of them, in the order of the page.
    """

    promise: str
    fault: str
    is_bold: bool
    short: tuple[str, ...]
    long: tuple[str, ...]
    named: tuple[str, ...]


def lines(page: str) -> Iterator[Line]:
    """The lines of the tables with the columns promise, fault, test, control that name a test."""
    promise = ""
    for text in page.splitlines():
        cells = [each.strip() for each in re.split(r"(?<!\\)\|", text)[1:-1]]
        if len(cells) != 4:
            continue
        promise = cells[0] or promise
        before, after = (_named(part) for part in cells[2].partition("long:")[::2])
        if named := before + after + _named(cells[3]):
            short = tuple(each for each in named if each in before or each not in after)
            bare = cells[1].replace("**", "")
            yield Line(promise, bare, bare != cells[1], short, tuple(after), tuple(dict.fromkeys(named)))


def _named(text: str) -> list[str]:
    return re.findall(r"`(test_\w+|tests/[\w/]+\.py)`", text)


def complaints(
    page: Iterable[Line], collected: Iterable[Collected], verbs: Mapping[str, list[str]], *, known: frozenset[str]
) -> list[str]:
    """Tests that the page names and that its verb does not run.

    Args:
        known: tests and test files that this run collects in any case; others are not judged.
    """
    found: dict[str, list[Collected]] = {}
    for each in collected:
        found.setdefault(each.name, []).append(each)
        found.setdefault(each.file, []).append(each)
    wrong = []
    for line in page:
        shown = (SHORT,) if line.is_bold else (SHORT, FAULTS)
        for name, wanted in [*((each, shown) for each in line.short), *((each, (LONG,)) for each in line.long)]:
            if name not in known:
                continue
            tests = found.get(name, [])
            late = [each.name for each in tests if not any(runs(verbs[verb], each.marks) for verb in wanted)]
            # In bold the whole is meant; elsewhere a file, or a test's other parameters, may go on in a longer verb.
            if not tests:
                wrong.append(f"{name} is collected by no verb")
            elif late and (line.is_bold or len(late) == len(tests)):
                wrong.append(f"{name}: make {' or '.join(wanted)} does not run {late[0]}")
    return wrong


def unshown(
    page: Iterable[Line], collected: Iterable[Collected], verbs: Mapping[str, list[str]], ended: Mapping[str, Ended]
) -> list[str]:
    """Tests that the page names and that were skipped, or failed, when they last ran here.

    What `make test` runs is not held against it when it failed: the run that found it said so, and the next one will.
    """
    named = {name for line in page for name in line.named}
    wrong = {}
    for each in collected:
        last = ended.get(each.name)
        if last is None or last.outcome == "passed" or not {each.name, each.file} & named:
            continue
        if last.outcome == "skipped" or not runs(verbs[SHORT], each.marks):
            wrong[each.name] = (
                f"{each.name} {last.outcome} when it last ran here{': ' if last.reason else ''}{last.reason}"
            )
    return sorted(wrong.values())

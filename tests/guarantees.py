"""What `docs/guarantees.md` promises, as data: each line's fault, and the tests that carry it under which verb."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.collected import Collected, runs
from tests.last_runs import Ended

SHORT, FAULTS, LONG = "test", "test-faults", "test-faults-long"
"""Verbs of the Makefile."""


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        promise: in the page's words.
        is_bold: whether the page says that `make test` shows it.
        named: tests and test files that it names.
        long: those after the word `long:`.
    """

    promise: str
    is_bold: bool
    named: tuple[str, ...]
    long: tuple[str, ...]


def lines(page: str) -> Iterator[Line]:
    """Every line of the tables with the columns promise, fault, test, control."""
    for text in page.splitlines():
        cells = [each.strip() for each in re.split(r"(?<!\\)\|", text)[1:-1]]
        if len(cells) == 4 and (names := _named(cells[2]) + _named(cells[3])):
            before, _, after = cells[2].partition("long:")
            long = _named(after)
            short = tuple(each for each in names if each not in long or each in _named(before))
            yield Line(cells[0], "**" in cells[1], short, tuple(long))


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
        for name, wanted in [*((each, shown) for each in line.named), *((each, (LONG,)) for each in line.long)]:
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
    named = {name for line in page for name in (*line.named, *line.long)}
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

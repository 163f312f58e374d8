"""Which verb of the Makefile runs which test: by pytest's own collection, and by the verbs' own mark expressions."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

ROOT = Path(__file__).parents[1]
COLLECTED = pytest.StashKey["list[Collected]"]()


@dataclass(frozen=True)
class Collected:
    """One test as pytest found it.

    Attributes:
        file: relative to the checkout, such as `tests/test_readers.py`.
        name: of the function, without parameters.
        marks: those of the function, of its module and those that `tests/conftest.py` adds.
    """

    file: str
    name: str
    marks: frozenset[str]


def keep(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Store the collected tests, before marks or names on the command line deselect some."""
    config.stash[COLLECTED] = [
        Collected(
            str(item.path.relative_to(ROOT)),
            getattr(item, "originalname", None) or item.name,
            frozenset(mark.name for mark in item.iter_markers()),
        )
        for item in items
    ]


def is_whole(config: pytest.Config) -> bool:
    """Whether this run collects all tests, and not some files of them."""
    return [Path(config.rootpath, each).resolve() for each in config.args] == [ROOT / "tests"]


def verbs(makefile: str) -> dict[str, list[str]]:
    """Verb → the mark expression of each time that it runs pytest, itself or by another verb."""
    found: dict[str, list[str]] = {}
    started: list[tuple[str, str]] = []
    verb = ""
    for line in makefile.splitlines():
        if target := re.match(r"([a-z-]+):", line):
            verb = target[1]
        elif "/pytest" in line:
            expressions = re.findall(r'-m (?:"([^"]+)"|(\S+))', line)
            found.setdefault(verb, []).extend(quoted or bare for quoted, bare in expressions)
        elif "$(MAKE)" in line:
            started += [(verb, other) for other in re.findall(r" (test-[a-z-]+)", line)]
    for verb, other in started:
        found.setdefault(verb, []).extend(found.get(other, ()))
    return found


_compiled = cache(Expression.compile)


def runs(expressions: list[str], marks: frozenset[str]) -> bool:
    """Whether a verb with these expressions runs a test with these marks."""
    return any(_compiled(each).evaluate(lambda name, **_: name in marks) for each in expressions)

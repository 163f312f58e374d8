"""One form for all negative controls: an oracle that finds nothing with the protection must name the damage without it.

A test whose name says `control` asks for the fixture `control` and hands it the same oracle twice:

    control.holds(doubled, lake)                              # as the product is
    ...                                                       # the protection is switched off, the fault comes again
    control.objects(doubled, lake, damage="stands 2 times")   # as it would be without

An oracle returns what is wrong, in words; an empty list means that all is right. Its words without the protection are
printed with the list of guarantees after the run. A control that does not call both methods fails.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

Oracle = Callable[..., Iterable[str]]
PASSED = pytest.StashKey[bool]()
"""Whether a test's call passed, noted by `tests/fault_report.py`: one that failed need not have asked anything."""


class Control:
    """The results of one control.

    Attributes:
        words: the oracles' words about the damage; empty before the first call.
    """

    def __init__(self) -> None:
        self.words: list[str] = []
        self._consented: set[str] = set()

    def holds(self, oracle: Oracle, *arguments: Any, **named: Any) -> None:
        """The oracle finds nothing: the fault occurred with the protection."""
        found = list(oracle(*arguments, **named))
        assert found == [], f"with the protection, {_name(oracle)} objects: {found[:5]}"
        self._consented.add(_name(oracle))

    def objects(self, oracle: Oracle, *arguments: Any, damage: str | tuple[str, ...], **named: Any) -> None:
        """The same oracle names the damage: the fault occurred without the protection.

        Args:
            damage: text that one of the oracle's words must contain, or several such texts; another problem is no
                proof.
        """
        found = list(oracle(*arguments, **named))
        assert found, f"without the protection, {_name(oracle)} consents: it proves nothing"
        assert _name(oracle) in self._consented, f"{_name(oracle)} was never seen to consent: `holds` comes first"
        for each in (damage,) if isinstance(damage, str) else damage:
            said = [objection for objection in found if each in objection]
            assert said, f"without the protection, {_name(oracle)} says nothing of {each!r}: {found[:5]}"
            self.words.append(said[0])


def _name(oracle: Oracle) -> str:
    return f"{oracle.__module__}.{oracle.__qualname__}"


def complaint(action: Callable[[], Any]) -> list[str]:
    """The error that an action raises, in the form of an oracle: its class and message; nothing if it raises none."""
    try:
        action()
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return []


def differs(found: Any, expected: Any) -> list[str]:
    """Both values, if they differ: an oracle for single values."""
    return [] if found == expected else [f"{found!r} instead of {expected!r}"]


def counted(found: Iterable[Any], expected: Iterable[Any], what: str = "") -> list[str]:
    """Whether each of the expected things is there once, in any order, and nothing else is."""
    there, wanted = Counter(found), Counter(expected)
    return [
        f"{what} {each!r} stands {there[each]} times instead of {wanted[each]}".strip()
        for each in sorted(there | wanted, key=repr)
        if there[each] != wanted[each]
    ]


@pytest.fixture
def control(request: pytest.FixtureRequest) -> Iterator[Control]:
    """A negative control; see the module's docstring."""
    made = Control()
    request.node.control = made
    yield made
    if request.node.stash.get(PASSED, True):
        assert made.words, "a control that switched nothing off, or asked no oracle what came of it"

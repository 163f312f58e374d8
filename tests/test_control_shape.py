"""Every negative control has the one shape of `tests/controls.py`, and says in literal words what damage it expects."""

from pathlib import Path

import pytest

from tests.control_shape import flaws

FILES = sorted(Path(__file__).parent.rglob("test_*.py"))

GOOD = '''
@pytest.mark.parametrize(("jump", "damage"), [(1, "slot 7 stands 2 times"), (2, "slot 8 stands 0 times")])
def test_control_without_the_lock(control, jump, damage):
    control.holds(oracle)
    control.objects(oracle, damage=damage)
    words = ("is lost for ever", f"{jump} stands 2 times")
    control.objects(oracle, damage=words)


def test_of_something_else(lake):
    """No protection is taken away here."""
'''


def test_the_whole_suite_keeps_to_the_shape():
    assert [f"{file.name}: {flaw}" for file in FILES for flaw in flaws(file.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("changed", "damage"),
    [
        (("(control, jump, damage)", "(jump, damage)"), "does not ask for the fixture `control`"),
        (("No protection", "Negative control: no protection"), "does not ask for the fixture `control`"),
        (("    control.holds(oracle)\n", ""), "never calls control.holds"),
        (("damage=damage", "damage=what_it_says()"), "has a damage that is no literal text"),
        (("damage=damage", "damage=\"twice\""), "has a damage of less than 8 characters: 'twice'"),
        (("\"is lost for ever\"", "\"\""), "has a damage of less than 8 characters: ''"),
        (("slot 8 stands 0 times", "TransientError"), "has a class as its damage, and not what it says"),
    ],
    ids=["no fixture", "by its docstring", "no consent", "no literal", "too short", "empty", "a class"],
)  # fmt: skip
def test_control_a_control_without_the_shape_is_found(control, changed, damage):
    control.holds(flaws, GOOD)
    assert changed[0] in GOOD
    control.objects(flaws, GOOD.replace(*changed), damage=damage)

"""The form of a negative control, checked in the sources: both methods are called, the damage is literal text."""

import ast
import re
from collections.abc import Iterator

from tests.guarantee_list import is_control

LEAST = 8
"""Characters of a damage: fewer would be said of anything."""

_CLASS = re.compile(r"[A-Z]\w*(Error|Exception|Unavailable|State|Content)")


def flaws(source: str) -> list[str]:
    """What is wrong with the controls of a test file, in words."""
    tree = ast.parse(source)
    found = []
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test"):
            asks = "control" in {argument.arg for argument in (*each.args.args, *each.args.kwonlyargs)}
            if asks:
                found += [f"{each.name} {flaw}" for flaw in _of(each)]
            elif is_control(each.name, ast.get_docstring(each)):
                found.append(f"{each.name} does not ask for the fixture `control`")
    return found


def _of(test: ast.FunctionDef) -> Iterator[str]:
    """Flaws of one control."""
    calls = [node for node in ast.walk(test) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    asked = {node.func.attr: node for node in calls if ast.unparse(node.func.value) == "control"}  # type: ignore[attr-defined]
    yield from (f"never calls control.{question}" for question in ("holds", "objects") if question not in asked)
    for node in calls:
        if ast.unparse(node.func) == "control.objects":
            damages = [_texts(keyword.value, test) for keyword in node.keywords if keyword.arg == "damage"]
            if not damages or not damages[0]:
                yield "has a damage that is no literal text"
            for text in damages[0] if damages else []:
                if len(text) < LEAST:
                    yield f"has a damage of less than {LEAST} characters: {text!r}"
                if _CLASS.fullmatch(text.strip().rstrip(":")):
                    yield f"has a class as its damage, and not what it says: {text!r}"


def _texts(node: ast.expr, test: ast.FunctionDef) -> list[str]:
    """The texts that an expression may be: literals, tuples of them, names of either in the test or its parameters."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))]
    if isinstance(node, ast.Tuple):
        found = [_texts(each, test) for each in node.elts]
        return [text for texts in found for text in texts] if all(found) else []
    if isinstance(node, ast.Name):
        return [text for value in _values(node.id, test) for text in _texts(value, test)]
    return []


def _values(name: str, test: ast.FunctionDef) -> Iterator[ast.expr]:
    """What a name is given within a test, and by its parameters."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            yield node.value
    for given in test.decorator_list:
        if isinstance(given, ast.Call) and ast.unparse(given.func) == "pytest.mark.parametrize":
            names, cases = given.args[:2]
            every = [each.value for each in names.elts] if isinstance(names, ast.Tuple) else [ast.literal_eval(names)]
            if name in every and isinstance(cases, ast.List):
                for case in cases.elts:
                    values = case.args if isinstance(case, ast.Call) else getattr(case, "elts", [case])
                    yield values[every.index(name)]

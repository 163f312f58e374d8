"""The events of docs/logs.md are those of the code: every event with its level and its component, both ways."""

import ast
import io
import json
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from foundation import log

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "correnteza",
    "foundation",
    "producers",
    "sinks",
    "storage",
    "stream_jobs",
    "schemas",
    "monitoring",
    "migration",
    "replay",
)
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}

Event = tuple[str, str, str]
"""(event, level, component)."""


def listed():
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \|", page, re.MULTILINE)
    assert len({event for event, _, _ in rows}) == len(rows), "an event is listed twice"
    return {(event, level, component) for event, level, component in rows if event != "library_said"}


def logged(text):
    """Every (event, level, component) of a module's log lines, however the logger is named."""
    tree = ast.parse(text)
    components, named = _components(tree), _named(tree)
    found = set()
    for call in (each for each in ast.walk(tree) if isinstance(each, ast.Call) and each.args):
        levels, own = _levels(call.func, named), _components(call.func) or components
        if levels:
            for event in _texts(call.args[0]):
                found |= {(event, level, component) for level in levels for component in own}
    return found


def _name(function):
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _named(tree):
    """Name → what it is given anywhere in a module."""
    found = defaultdict(list)
    for each in ast.walk(tree):
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            found[each.targets[0].id].append(each.value)
    return found


def _levels(function, named):
    """Of a call of a logger's method, or of a name that such methods were given to."""
    if isinstance(function, ast.Attribute) and function.attr in LEVELS:
        return {LEVELS[function.attr]} if "log" in ast.unparse(function.value).lower() else set()
    given = named.get(function.id, ()) if isinstance(function, ast.Name) else ()
    methods = [part for value in given for part in ast.walk(value) if isinstance(part, ast.Attribute)]
    return {LEVELS[each.attr] for each in methods if each.attr in LEVELS and "log" in ast.unparse(each.value).lower()}


def _components(tree):
    """Those that loggers are asked for below a node: `get_logger("monitor")`."""
    calls = (each for each in ast.walk(tree) if isinstance(each, ast.Call) and _name(each.func) == "get_logger")
    return {text for call in calls if call.args for text in _texts(call.args[0])}


def _texts(expression):
    """The texts that it may be: of `"a" if x else "b"` both."""
    if isinstance(expression, ast.IfExp):
        return _texts(expression.body) | _texts(expression.orelse)
    return {expression.value} if isinstance(expression, ast.Constant) and isinstance(expression.value, str) else set()


@cache
def in_code():
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {event for file in files for event in logged(file.read_text(encoding="utf-8"))}


BY_OUTCOME = {("poll_completed", "warning"), ("poll_stopped", "warning"), ("poll_failed", "info")}
"""One call, whose level and event both follow from the outcome: these pairs never come together."""


def differences(code, page):
    code = {each for each in code if each[:2] not in BY_OUTCOME}
    unlisted = [f"{' '.join(each)} is not in docs/logs.md" for each in sorted(code - page)]
    return unlisted + [f"{' '.join(each)} is not in the code" for each in sorted(page - code)]


def test_every_event_is_listed_with_level_and_component_and_nothing_else_is():
    assert differences(in_code(), listed()) == []


def test_control_the_comparison_sees_an_event_that_nobody_listed_and_one_that_nobody_logs(control):
    page = listed()
    control.holds(differences, in_code(), page)
    text = 'log = get_logger("moon")\ndef land(x):\n    log.warning("moon_reached" if x else "moon_missed")\n'
    control.objects(differences, in_code() | logged(text), page, damage="moon_missed warning moon is not in docs")
    control.objects(differences, in_code(), page | {("moon_left", "info", "moon")}, damage="is not in the code")


@pytest.mark.parametrize(
    "text",
    [
        'log = get_logger("moon")\nlog.info("moon_reached")',
        'log.get_logger("moon").info("moon_reached", at=1)',
        'logger = log.get_logger("moon")\nemit = logger.info if 1 else logger.info\nemit("moon_reached")',
    ],
)
def test_a_line_is_found_however_its_logger_is_named(text):
    assert logged(text) == {("moon_reached", "info", "moon")}


def test_events_are_words_in_the_past():
    assert [event for event, _, _ in listed() if not re.fullmatch(r"[a-z]+(_[a-z]+)+", event)] == []


@pytest.mark.parametrize(("form", "is_json"), [("json", True), ("console", False), (None, True)])
def test_the_form_of_lines_is_chosen_or_follows_from_where_they_go(form, is_json):
    to = io.StringIO()
    try:
        log.configure(to=to, form=form)
        log.get_logger("moon").info("moon_reached", at=1)
    finally:
        log.configure()
    line = to.getvalue()
    assert line.startswith("{") == is_json
    assert "\x1b" not in line
    if is_json:
        assert json.loads(line)["event"] == "moon_reached"
    else:
        assert "moon_reached" in line

"""The shipped rules with every duration divided, so that a test need not wait for ten minutes."""

import re
from copy import deepcopy
from typing import Any

SHORTEST_RANGE_SECONDS = 4.0
"""A range must hold some samples."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def scaled(document: dict[str, Any], factor: float) -> dict[str, Any]:
    """A rule file's content whose `for`, `keep_firing_for`, ranges and seconds (`10 * 60`) are so much shorter."""
    made = deepcopy(document)
    for group in made["groups"]:
        for rule in group["rules"]:
            for name in ("for", "keep_firing_for"):
                if name in rule:
                    rule[name] = _text(_seconds(rule[name]) / factor)
            rule["expr"] = expression(rule["expr"], factor)
    return made


def expression(text: str, factor: float) -> str:
    """One expression."""
    text = re.sub(r"\[(\d+[smhd])\]", lambda found: f"[{_range(found[1], factor)}]", text)
    return re.sub(r"(\d+) \* (60|3600|86400)\b", lambda found: f"{int(found[1]) * int(found[2]) / factor:g}", text)


def _range(text: str, factor: float) -> str:
    return _text(max(SHORTEST_RANGE_SECONDS, _seconds(text) / factor))


def _seconds(text: str) -> float:
    return float(text[:-1]) * _SECONDS[text[-1]]


def _text(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"

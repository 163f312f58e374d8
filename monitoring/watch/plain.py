"""The status as plain text in a page."""

from collections.abc import Mapping
from html import escape
from typing import Any


def render(document: Mapping[str, Any], history: Mapping[str, Any]) -> str:
    """A page that lists every table's state."""
    lines = [
        f"{each['layer']}.{each['table']:40} {each['state']:14} {each['records_behind']}" for each in document["layers"]
    ]
    parts = [
        f"{each['part']:12} {'up' if each['up'] else 'down: ' + str(each['reason'])}" for each in document["parts"]
    ]
    text = escape("\n".join([str(document["at"]), "", *parts, "", *lines]))
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>correnteza</title><pre>{text}</pre></html>"

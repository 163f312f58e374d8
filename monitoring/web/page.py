"""The status page: one HTML document that contains its style and pictures, and runs no script."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from monitoring.web import plots, sections, storage, words
from monitoring.web.answer import answer
from monitoring.web.sections import Document, History

RENEW_SECONDS = 60
"""The history gets one point per minute."""

_HERE = Path(__file__).parent


def render(document: Document, history: History, *, renews: bool = True) -> str:
    """The page at one moment. Every text of the document is escaped.

    Args:
        document: as `/status.json` serves it.
        history: kind → `<layer>.<table>` → [seconds since 1970, value], of 24 hours.
        renews: whether the browser asks for it again by itself; `/still` serves one that does not, since a reload
            closes what a reader has opened.
    """
    now = words.moment(document.get("at")) or 0.0
    found = answer(document, now)
    stored, tables = storage.lake(document)
    return _template().render(
        at=words.clock(now) if now else "",
        renew_seconds=RENEW_SECONDS if renews else None,
        answer=found,
        layers=sections.layers(document, history, now),
        sources=sections.sources(document, now),
        retention=sections.retention(document),
        is_retention_known=_is_up(document, "broker"),
        stored=stored,
        tables=tables,
        parts=sections.parts(document, now),
        width=plots.WIDTH,
        height=plots.HEIGHT,
    )


def _is_up(document: Document, name: str) -> bool:
    return any(part.get("part") == name and part.get("up") for part in document.get("parts", []))


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["style"] = Markup((_HERE / "page.css").read_text(encoding="utf-8"))
    return environment.get_template("page.html.j2")

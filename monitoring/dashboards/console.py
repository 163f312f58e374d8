"""The same panels as a page that Prometheus serves itself: a table per panel, no script, no file from elsewhere.

Written for `--web.console.templates`; `{{ }}` is Go's template language with Prometheus' functions.
"""

from html import escape

from monitoring.dashboards.model import Panel, Query, Unit
from monitoring.dashboards.panels import ROWS

SHOWN = {
    "short": "humanize",
    "s": "humanizeDuration",
    "bytes": "humanize1024",
    "Bps": "humanize1024",
    "percentunit": "humanizePercentage",
}
"""Unit → the template function that writes a value."""
AFTER: dict[Unit, str] = {"bytes": "B", "Bps": "B/s"}

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; }
nav a { margin-right: 1rem; }
.panels { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
section section { border: 1px solid #8888; border-radius: 6px; overflow-x: auto; padding: 0 1rem 1rem; }
h3 { margin: .6rem 0 0; }
p { margin: 0 0 .4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid #8884; padding: .15rem .6rem .15rem 0; text-align: left; vertical-align: top; }
td.value { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
pre { border: 1px solid #8888; overflow-x: auto; padding: .5rem; }
"""


def page(title: str, body: str) -> str:
    """A whole page around a body."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def text() -> str:
    """The page's template."""
    links = " ".join(f'<a href="#{row.name}">{escape(row.title)}</a>' for row in ROWS)
    parts = [
        "<h1>correnteza</h1>",
        '<p>Values of now; a title leads to the plot. <a href="runbook.html">Runbook</a> · '
        '<a href="{{ pathPrefix }}/alerts">Alerts</a> · Written by <code>make dashboards</code>.</p>',
        f"<nav>{links}</nav>",
    ]
    for row in ROWS:
        panels = "\n".join(_panel(panel) for panel in row.panels)
        parts.append(
            f'<section id="{row.name}">\n<h2>{escape(row.title)}</h2>\n'
            f'<div class="panels">\n{panels}\n</div>\n</section>'
        )
    return page("correnteza", "\n".join(parts))


def _panel(panel: Panel) -> str:
    labels = [label for label in panel.labels if label != "instance"]
    several = len(panel.queries) > 1 and not labels
    heads = ["", *labels] if several else labels
    head = "".join(f"<th>{label}</th>" for label in heads)
    rows = "\n".join(_rows(query, labels, panel.unit, named=several) for query in panel.queries)
    plot = f"{{{{ pathPrefix }}}}{{{{ `{panel.queries[0].expr}` | graphLink }}}}"
    return (
        f'<section>\n<h3><a href="{plot}">{escape(panel.title)}</a></h3>\n<p>{escape(panel.says)}</p>\n'
        f"<table>\n<tr>{head}<th></th></tr>\n{rows}\n</table>\n</section>"
    )


def _rows(query: Query, labels: list[str], unit: Unit, *, named: bool) -> str:
    shown = query.unit or unit
    name = f"<td>{escape(query.legend)}</td>" if named else ""
    cells = "".join(f'<td>{{{{ . | label "{label}" }}}}</td>' for label in labels)
    value = f'<td class="value">{{{{ . | value | {SHOWN[shown]} }}}}{AFTER.get(shown, "")}</td>'
    sort = f' | sortByLabel "{labels[0]}"' if labels else ""
    why = escape(query.empty_when or "the process does not answer")
    nothing = f'<tr><td colspan="{len(labels) + 2}">no value: {why}</td></tr>'
    row = f"<tr>{name}{cells}{value}</tr>"
    return f"{{{{ range query `{query.expr}`{sort} }}}}{row}\n{{{{ else }}}}{nothing}\n{{{{ end }}}}"

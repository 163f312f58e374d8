"""docs/runbook.md as a page that Prometheus serves, so that an alert's link works while other things are down."""

import re

from markdown_it import MarkdownIt

from monitoring.dashboards.console import page


def text(markdown: str) -> str:
    """The page. An alert's heading has its name as anchor; links to other files of the project become their names."""
    body = MarkdownIt("commonmark").render(markdown)
    body = re.sub(r"<h3>(\w+)</h3>", r'<h3 id="\1">\1</h3>', body)
    body = re.sub(r'<a href="(?!https?:|#)[^"]*">(.*?)</a>', r"<em>\1</em>", body)
    # Characters that Prometheus would read as its own template language.
    body = body.replace("{{", "{{ `{{` }}")
    return page("correnteza: runbook", '<p><a href="correnteza.html">Dashboard</a></p>\n' + body)

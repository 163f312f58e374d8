"""The tables open with every reader that docs/reading.md promises, by the page's own lines."""

import re
from pathlib import Path

import pytest

from tests.monitoring.kit import small_lake
from tests.spark_fixtures import spark

__all__ = ["spark"]

PAGE = Path(__file__).parent.parent / "docs" / "reading.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
READERS = {"polars": "pl.read_delta", "duckdb": "duckdb.sql", "spark": "spark.read"}


@pytest.mark.parametrize(
    "reader", [pytest.param(reader, marks=pytest.mark.integration if reader == "spark" else ()) for reader in READERS]
)
def test_the_pages_lines_print_the_rows(reader, request, tmp_path, monkeypatch, capfd):
    (snippet,) = (each for each in SNIPPETS if READERS[reader] in each)
    small_lake(tmp_path / "var" / "demo")
    monkeypatch.chdir(tmp_path)
    names = {}
    if reader == "spark":
        session = request.getfixturevalue("spark")
        names["spark"] = session
        # The JVM's folder is not the test's.
        snippet = snippet.replace("var/demo", str(tmp_path / "var" / "demo"))
    exec(snippet, names)
    printed = capfd.readouterr().out
    assert "2024-03-04" in printed
    assert "60.0" in printed

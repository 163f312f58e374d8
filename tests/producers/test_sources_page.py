"""docs/sources.md has a section for every source, and what it says of a source's declaration is the declaration's."""

import re
from pathlib import Path

import pytest

from producers import sources
from producers.sources.bcb_focus import RESOURCES
from producers.sources.bcb_sgs import SERIES
from producers.sources.ibge_sidra import TABLES

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
POINTS = ["Sends", "Quirks", "Clock", "Scope", "Windows", "No news", "Terms"]


def sections() -> dict[str, str]:
    """Source → the text below its heading."""
    parts = re.split(r"^## `(\w+)`$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(source: str) -> list[tuple[str, ...]]:
    """The lines of the table in a section, without its head."""
    lines = [line for line in sections()[source].splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def test_every_source_has_its_section_and_no_other_has():
    assert set(sections()) == set(sources.load_all())


@pytest.mark.parametrize("source", sources.load_all())
def test_a_section_says_what_must_be_known_and_the_terms_as_declared(source):
    text = sections()[source]
    assert re.findall(r"^\* \*\*([^*]+)\*\*", text, flags=re.MULTILINE) == POINTS
    assert f"* **Terms** {sources.load(source).terms}\n" in text


def test_the_series_are_those_that_are_declared():
    assert rows("bcb_sgs") == [
        (str(each.code), each.name, each.frequency, str(each.lag_days), "whole" if each.is_revised else "")
        for each in SERIES
    ]


def test_the_tables_are_those_that_are_declared():
    territories = {1: "Brazil", 6: "municipalities"}
    assert rows("ibge_sidra") == [
        (
            str(each.number),
            each.name,
            territories[each.level],
            each.periodicity,
            str(each.lag_days),
            "whole" if each.is_revised else "",
        )
        for each in TABLES
    ]


def test_the_surveys_resources_are_those_that_are_declared():
    assert set(re.findall(r"`(Expectativas?Mercado\w+)`", sections()["bcb_focus"])) == set(RESOURCES)

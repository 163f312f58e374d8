"""docs/add-a-source.md, followed literally: its files in a copy of the tree, its commands, a source's real bytes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from correnteza.embedded import jars
from tests.helpers import environment

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "add-a-source.md"
PACKAGES = (
    "correnteza",
    "foundation",
    "migration",
    "monitoring",
    "producers",
    "replay",
    "schemas",
    "sinks",
    "storage",
    "stream_jobs",
    "tests",
)
BODY = ROOT / "tests" / "golden" / "worldbank_gdp" / "gdp_current_usd_20251111.json"

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]


def files_of_the_page() -> dict[str, str]:
    """Path → content of every file that the page shows: a line with just the path in back-quotes, then the block."""
    return dict(re.findall(r"^`([\w/.]+)`\n```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def commands_of_the_page() -> list[str]:
    """The lines of its shell block."""
    block = re.search(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert block
    return block[1].splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the tree, bytecode too, with the page's files in it."""
    copy = tmp_path / "checkout"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package)
    for file in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / file, copy)
    for name, content in files_of_the_page().items():
        assert not (copy / name).exists(), f"{name} is there already: the page must need no edit"
        (copy / name).write_text(content, encoding="utf-8")
    shutil.copy(BODY, copy / "body.json")
    return copy


def test_the_page_shows_one_contract_one_source_one_table_and_golden_files():
    assert [Path(name).parent.as_posix() for name in files_of_the_page()] == [
        "schemas",
        "producers/sources",
        "stream_jobs/silver/tables",
        "tests/golden/worldbank_gdp",
    ]


def test_the_commands_of_the_page_bring_a_new_source_to_silver_and_verify_holds(checkout, settings, httpserver):
    httpserver.expect_request("/country/BR/indicator/NY.GDP.MKTP.CD").respond_with_data(
        BODY.read_bytes(), content_type="application/json"
    )
    variables = environment(
        settings,
        {
            "PYTHONPATH": str(checkout),
            "CORRENTEZA_JARS": str(jars.folder(settings)),
            "CORRENTEZA_BASE_URLS": json.dumps({"worldbank_gdp": httpserver.url_for("/")}),
        },
    )
    answers = {}
    for command in commands_of_the_page():
        line = re.sub(r"^(correnteza|pytest) ", rf"{sys.executable} -m \1 ", command)
        line = re.sub(r"^python ", f"{sys.executable} ", line)
        done = subprocess.run(
            line, shell=True, cwd=checkout, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        answers[command.split()[1]] = done.stdout

    published = [row for row in json.loads(BODY.read_text())[1] if row["value"] is not None]
    parsed = [json.loads(line) for line in answers["parse"].splitlines()]
    assert len(parsed) == len(json.loads(BODY.read_text())[1])
    assert str(len(published)) in answers["query"]

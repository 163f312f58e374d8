"""What a source brings for the contract suite, and how it is read: `tests/golden/<source>/cases.json`.

    {"cases": [{"name": "salvador-2024", "file": "replay/data/inmet/….CSV", "origin": "real, INMET 2024",
                "dataset": "inmet_hourly", "options": {}, "rows": 8784, "rejects": 0, "sha256": "…"}],
     "format": {"kind": "csv", "header_line": 9, "delimiter": ";", "encoding": "latin-1",
                "required": ["Data"], "added": "refused", "reordered": "refused",
                "bad": {"replace": "2024/01/01;0300 UTC", "with": "x;0300 UTC", "row_number": 3, "reason": "bad_date"}}}

A case's `file` is beside `cases.json`, or a path from the root of the repository; beside it stands `<name>.jsonl`: the
first HEAD lines that `correnteza parse` prints of it. `rows`, `rejects`, `sha256` (of the whole output) and that file
are written by `python -m tests.golden.regenerate <source>`; a reviewer reads their diff.

`format` says what the source's files look like, for the tests that change them. Its first case is the file changed.
    kind         csv, or json
    header_line  csv: the line, from 1, that names the columns
    items        json: the key or the number at which the list of items stands; "" when the body is the list, null when
                 it has columns, not items
    required     names of columns or keys without which nothing may be published
    added        what comes of a new column: "noted", "kept" (in the row), or "refused"
    reordered    "accepted", or "refused" by a source that takes columns by their place
    bad          a replacement that makes one row bad, with the place and reason of its reject
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from producers import sources
from producers.model import Part
from producers.parse_files import Counts, context, lines

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
HEAD = 20
RETRIEVED_AT = datetime(2025, 11, 11, 12, 34, 56, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """One input and what its parser must make of it."""

    source: str
    name: str
    file: Path
    origin: str
    dataset: str
    options: Mapping[str, str]
    rows: int
    rejects: int
    sha256: str

    @property
    def expected(self) -> Path:
        """The first lines of the output."""
        return FOLDER / self.source / f"{self.name}.jsonl"

    @property
    def part(self) -> Part:
        """The part that the file is to its parser."""
        resource = context(self.dataset, self.options).resource or self.file.stem
        return Part(resource, self.file.name, self.file.name, RETRIEVED_AT)


@dataclass(frozen=True)
class Golden:
    """Everything that one source brings."""

    cases: tuple[Case, ...]
    format: Mapping[str, Any]


def load(source: str) -> Golden:
    """What a source brings; fails the test that asks for it when there is nothing, saying what to add."""
    about = FOLDER / source / "cases.json"
    if not about.exists():
        pytest.fail(
            f"{source} brings nothing for the contract suite: put a real answer of it and a cases.json into "
            f"tests/golden/{source}/ (tests/golden/kit.py says what stands in it), run "
            f"`python -m tests.golden.regenerate {source}`, and read what it wrote",
            pytrace=False,
        )
    found = json.loads(about.read_text(encoding="utf-8"))
    cases = []
    for case in found["cases"]:
        beside = FOLDER / source / case["file"]
        file = beside if beside.exists() else ROOT / case["file"]
        texts = {name: case.get(name, "") for name in ("name", "origin", "dataset", "sha256")}
        counts = {name: case.get(name, -1) for name in ("rows", "rejects")}
        cases.append(Case(source=source, file=file, options=case.get("options", {}), **texts, **counts))
    return Golden(tuple(cases), found["format"])


def output(case: Case, folder: Path) -> tuple[list[str], Counts]:
    """What `correnteza parse` prints of a case, from a copy whose time of change is fixed."""
    copy = folder / case.file.name
    shutil.copyfile(case.file, copy)
    os.utime(copy, (RETRIEVED_AT.timestamp(), RETRIEVED_AT.timestamp()))
    counts = Counts()
    printed = lines(sources.load(case.source), case.dataset, copy, context(case.dataset, case.options), counts)
    return list(printed), counts


def digest(printed: list[str]) -> str:
    """SHA-256 of the whole output, a line end after each line."""
    return hashlib.sha256("".join(line + "\n" for line in printed).encode()).hexdigest()

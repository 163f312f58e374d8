"""What the last build was made from, so that the next one makes only what follows from a change."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from foundation.files import replace_file


@dataclass(frozen=True)
class Built:
    """One build.

    Attributes:
        project: hash of the project's files.
        versions: source → its Delta version.
    """

    project: str
    versions: Mapping[str, int]


def read(file: Path) -> Built | None:
    """The last build that succeeded; None if there is none."""
    return Built(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def write(file: Path, built: Built) -> None:
    """Note a build."""
    replace_file(file, json.dumps(asdict(built)))


def hash_of(project: Path) -> str:
    """A hash over the names and bytes of the project's files."""
    found = hashlib.sha256()
    for path in sorted(path for path in project.rglob("*") if path.suffix in (".sql", ".yml")):
        found.update(f"{path.relative_to(project)}\0".encode() + path.read_bytes())
    return found.hexdigest()

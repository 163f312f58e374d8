"""What was migrated: one small file per dataset that says which files are visible, and which were taken back."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from foundation.errors import UnsafeState
from foundation.files import replace_file

State = Literal["publishing", "visible", "rolled back"]


@dataclass(frozen=True)
class FileRecord:
    """One file of a dataset.

    Attributes:
        path: where it was read. sha256: of its bytes then.
        state: `publishing` until all rows were committed once.
        at: when the state was reached, UTC, ISO 8601.
    """

    path: str
    sha256: str
    state: State
    at: str


@dataclass(frozen=True)
class Record:
    """All files of one dataset, by the name under which they were published."""

    dataset: str
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    def with_file(self, part_key: str, file: FileRecord) -> "Record":
        """The record after a file has reached a state."""
        return Record(self.dataset, {**self.files, part_key: file})

    @property
    def visible(self) -> list[str]:
        """Names of the files whose rows are to be seen."""
        return [name for name, file in self.files.items() if file.state == "visible"]


def read(folder: Path, dataset: str) -> Record:
    """The record of a dataset, empty at first. Raises: UnsafeState when its file is damaged."""
    file = folder / f"{dataset}.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return Record(dataset, {name: FileRecord(**each) for name, each in values["files"].items()})
    except FileNotFoundError:
        return Record(dataset)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnsafeState(
            f"{file} is damaged: {error}", hint=f"rm {file}; then correnteza migrate run again"
        ) from error


def read_all(folder: Path) -> Iterator[Record]:
    """The records of all datasets, by name."""
    for file in sorted(folder.glob("*.json")):
        yield read(folder, file.stem)


def write(folder: Path, record: Record) -> None:
    """Keep a record; it is on disk when this returns."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{record.dataset}.json", json.dumps(asdict(record), indent=1, ensure_ascii=False))

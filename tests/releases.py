"""Releases with different contracts: the pipeline's loader reads another folder, and nothing else changes."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas import contracts
from schemas.contracts import Contract

Fields = list[dict[str, Any]]
Release = Callable[..., Contract]
"""(what it does to a contract's fields, one after the other) → the contract that the pipeline loads from now on."""


@contextmanager
def releases(folder: Path, dataset: str, *, partitions: int) -> Iterator[Release]:
    """Release after release of one dataset's contract; today's contracts are back afterwards."""
    shutil.copytree(contracts.FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    file = folder / f"{dataset}.avsc"
    today = json.loads(file.read_text(encoding="utf-8")) | {"partitions": partitions}

    def forget() -> None:
        contracts.load.cache_clear()
        contracts.load_all.cache_clear()

    def release(*changes: Callable[[Fields], object]) -> Contract:
        declared = json.loads(json.dumps(today))
        for change in changes:
            change(declared["fields"])
        file.write_text(json.dumps(declared), encoding="utf-8")
        forget()
        return contracts.load(dataset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contracts, "FOLDER", folder)
        try:
            release()
            yield release
        finally:
            patch.undo()
            forget()


def gains(name: str, kind: Any, default: Any) -> Callable[[Fields], object]:
    """A field before the provenance, where a contract gets new ones."""
    new = {"name": name, "type": kind, "default": default}
    return lambda fields: fields.insert(_place(fields, "published_at"), dict(new))


def loses(name: str) -> Callable[[Fields], object]:
    return lambda fields: fields.pop(_place(fields, name))


def defaults(name: str, default: Any) -> Callable[[Fields], object]:
    return lambda fields: fields[_place(fields, name)].update(default=default)


def _place(fields: Fields, name: str) -> int:
    return next(place for place, field in enumerate(fields) if field["name"] == name)

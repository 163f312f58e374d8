"""The publications that can be generated at full size; the file of each is written once and kept."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from foundation.errors import UsageError
from replay.content import Resource, instant
from replay.volume import mobile, stations
from replay.volume.places import Place

SEED = 7


@dataclass(frozen=True)
class Volume:
    """One publication that can be generated.

    Attributes:
        path: where the replay serves it, in place of what is recorded there.
        unit: of its size; limit: the largest size.
        edition: version of the generator: files of another version are not reused.
        write: writes the file of a size with a seed.
    """

    path: str
    content_type: str
    modified_at: datetime
    unit: str
    limit: int
    edition: int
    write: Callable[[Path, int, int, Sequence[Place]], None]


VOLUMES = {
    "mobile": Volume(
        path="/anatel/acessos/acessos_telefonia_movel.zip",
        content_type="application/x-zip-compressed",
        modified_at=instant("2026-08-03T10:21:44"),
        unit="rows of the newest member",
        limit=mobile.MAX_ROWS,
        edition=2,
        write=mobile.write,
    ),
    "stations": Volume(
        path=f"/inmet/{stations.YEAR}.zip",
        content_type="application/zip",
        modified_at=instant("2026-02-10T14:30:00"),
        unit="stations, each with 8,760 hours",
        limit=stations.MAX_STATIONS,
        edition=1,
        write=stations.write,
    ),
}


def sizes(texts: Sequence[str]) -> dict[str, int]:
    """`name=size` of each volume wanted. Raises: UsageError."""
    found = {}
    for text in texts:
        name, _, size = text.partition("=")
        volume = VOLUMES.get(name)
        if volume is None or not size.isdecimal() or not 1 <= int(size) <= volume.limit:
            known = ", ".join(f"{name}=1…{volume.limit} ({volume.unit})" for name, volume in VOLUMES.items())
            raise UsageError(f"no volume {text!r}; there are {known}")
        found[name] = int(size)
    return found


def resources(
    wanted: Mapping[str, int], folder: Path, places: Sequence[Place], seed: int = SEED
) -> dict[str, Resource]:
    """Path → its answer: the wanted volumes, from files in `folder`, which are written if they are missing.

    Args:
        wanted: name → size, as `sizes` gives it.
        places: Brazil's municipalities.
    """
    found = {}
    for name, size in wanted.items():
        volume = VOLUMES[name]
        file = folder / f"{name}-{size}-{seed}-v{volume.edition}.zip"
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(f".{os.getpid()}.tmp")
            try:
                volume.write(unfinished, size, seed, places)
                unfinished.rename(file)
            finally:
                unfinished.unlink(missing_ok=True)
        found[volume.path] = Resource(file, volume.content_type, volume.modified_at)
    return found

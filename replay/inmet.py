"""INMET's yearly zips, built from the recorded members."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from replay.content import DATA, Resource, build_zip, instant

_FOLDER = DATA / "inmet"
_RUNNING_YEAR = 2024
_LAST_YEAR_IN_A_FOLDER = 2019
_LAST_DATE_OF_DAY_1 = "2024/11/30"

# The running year's file is replaced on every publication day; closed years were published early in the year after.
_RUNNING_MODIFIED_AT = {
    1: instant("2025-11-10T13:02:11"),
    2: instant("2025-11-11T13:04:52"),
    3: instant("2025-11-12T12:58:07"),
}

# Ours, not INMET's: what day 3 corrects in Salvador's file. (date, hour) → column → text. An hour of rain that takes
# 4 March over 50 mm, a temperature, and one hour that had arrived empty.
CORRECTIONS: dict[tuple[str, str], dict[int, str]] = {
    ("2024/03/04", "0900 UTC"): {2: "24,8"},
    ("2024/07/15", "1200 UTC"): {7: "25,1"},
    ("2024/03/03", "0100 UTC"): {2: "0", 7: "28,6", 15: "84"},
}
_CORRECTED_STATION = "_A401_"
_HEADER_LINES = 9


def members(year: int, day: int) -> list[tuple[str, bytes]]:
    """The members of one year's zip on one publication day: (name, bytes), in the zip's order."""
    found = []
    for file in sorted(_FOLDER.glob("*.CSV")):
        name = file.name[file.name.index("INMET_") :]
        if not name.endswith(f"-{year}.CSV"):
            continue
        content = file.read_bytes()
        if year == _RUNNING_YEAR and day == 1:
            name = name.replace("_A_31-12-2024", "_A_30-11-2024")
            content = _until(content, _LAST_DATE_OF_DAY_1)
        elif year == _RUNNING_YEAR and day >= 3 and _CORRECTED_STATION in name:
            content = _corrected(content)
        folder = f"{year}/" if year <= _LAST_YEAR_IN_A_FOLDER else ""
        found.append((folder + name, content))
    return found


def answer(path: str, _query: Mapping[str, str], day: int) -> Resource | None:
    """The zip at `{YYYY}.zip`, or None when the recording has no member of that year."""
    return _resource(path, day)


@cache
def _resource(path: str, day: int) -> Resource | None:
    file = Path(path)
    if file.suffix != ".zip" or not file.stem.isdecimal() or file.name != path:
        return None
    year = int(file.stem)
    parts = members(year, day)
    if not parts:
        return None
    modified_at = _RUNNING_MODIFIED_AT[day] if year == _RUNNING_YEAR else instant(f"{year + 1}-02-10T14:30:00")
    return Resource(build_zip(parts, modified_at), "application/zip", modified_at)


def _until(content: bytes, last_date: str) -> bytes:
    """The file as it was when its last row was the last hour of that date."""
    lines = content.splitlines(keepends=True)
    rows = [line for line in lines[_HEADER_LINES:] if line[:10].decode("ascii") <= last_date]
    return b"".join([*lines[:_HEADER_LINES], *rows])


def _corrected(content: bytes) -> bytes:
    lines = content.decode("latin-1").split("\n")
    for number, line in enumerate(lines):
        fields = line.split(";")
        for column, text in CORRECTIONS.get((fields[0], fields[1]) if len(fields) > 1 else ("", ""), {}).items():
            fields[column] = text
        lines[number] = ";".join(fields)
    return "\n".join(lines).encode("latin-1")

"""ANATEL's fixed-broadband zip, rebuilt in ANATEL's own layout from ten real rows."""

import csv
from functools import cache

from replay.content import DATA, Resource, build_zip, instant

PATH = "acessos/acessos_banda_larga_fixa.zip"
COLUMNS_MEMBER = "Acessos_Banda_Larga_Fixa_2026_Colunas.csv"
TOTAL_MEMBER = "Acessos_Banda_Larga_Fixa_Total.csv"

_FOLDER = DATA / "anatel"
# The data reach August 2026, so these clocks are of 2026, whatever the other sources' days are: nothing is published
# before it happened.
_MODIFIED_AT = {
    1: instant("2026-09-01T10:32:27"),
    2: instant("2026-10-01T11:05:40"),
    3: instant("2026-10-01T11:05:40"),
}
_SPEED_COLUMN = 1
_FIRST_MONTH_COLUMN = 13
# Ours, not ANATEL's: the first row's July 2026 before its correction. From day 2 on the real value stands.
_BEFORE_CORRECTION = (0, "2026-07", "37399")
# A member that is no CSV, as the real zip has one (139,962 bytes there).
_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Count 0/Kids[]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


def columns_csv(day: int) -> bytes:
    """The wide member: BOM, `;`, CRLF, decimal comma, an empty cell where the provider did not report."""
    with (_FOLDER / "derived_broadband_2026_Colunas_BA_10rows.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    if day == 1:
        row, month, value = _BEFORE_CORRECTION
        rows[row][header.index(month)] = value
        header, rows = header[:-1], [row[:-1] for row in rows]
    lines = [header, *(_as_anatel_writes(row) for row in rows)]
    return ("\ufeff" + "".join(";".join(line) + "\r\n" for line in lines)).encode()


def _as_anatel_writes(row: list[str]) -> list[str]:
    """Undo the pandas round trip of the sample: 600.0 → 600,000000 and 33818.0 → 33818."""
    months = [cell.removesuffix(".0") for cell in row[_FIRST_MONTH_COLUMN:]]
    speed = f"{float(row[_SPEED_COLUMN]):.6f}".replace(".", ",")
    return [row[0], speed, *row[_SPEED_COLUMN + 1 : _FIRST_MONTH_COLUMN], *months]


@cache
def resource(path: str, day: int) -> Resource | None:
    """The broadband zip, the only path recorded."""
    if path != PATH:
        return None
    members = [
        (COLUMNS_MEMBER, columns_csv(day)),
        (TOTAL_MEMBER, (_FOLDER / TOTAL_MEMBER).read_bytes()),
        ("Densidades.pdf", _PDF),
    ]
    modified_at = _MODIFIED_AT[day]
    return Resource(build_zip(members, modified_at), "application/x-zip-compressed", modified_at)

"""ANATEL's zips: real rows of accesses in ANATEL's own layout, and a real export of carriers."""

import csv
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from replay.content import DATA, Resource, build_zip, instant

PATH = "acessos/acessos_banda_larga_fixa.zip"
COLUMNS_MEMBER = "Acessos_Banda_Larga_Fixa_2026_Colunas.csv"
TOTAL_MEMBER = "Acessos_Banda_Larga_Fixa_Total.csv"
MOBILE_PATH = "acessos/acessos_telefonia_movel.zip"
STATIONS_PATH = "outorga_e_licenciamento/estacoes_smp.zip"
STATIONS_MEMBER = "csv_natal_licenciamento_nr.csv"

_FOLDER = DATA / "anatel"
Days = Mapping[int, str]

# The data go up to August 2026, so these clocks are in 2026, unlike those of the other sources: nothing is published
# before it happened.
_BROADBAND_AT: Days = {1: "2026-09-01T10:32:27", 2: "2026-10-01T11:05:40", 3: "2026-10-01T11:05:40"}
_MOBILE_AT: Days = {1: "2025-11-04T13:20:11", 2: "2025-11-11T08:15:37", 3: "2025-11-12T09:02:54"}
_STATIONS_AT: Days = {1: "2025-10-21T10:56:40", 2: "2025-11-11T10:41:02", 3: "2025-11-11T10:41:02"}

_SPEED_COLUMN = 1
_FIRST_MONTH_COLUMN = 13  # in both sources' wide files
# Ours, not ANATEL's: the first row's July 2026 before its correction. From day 2 on the real value stands.
_BEFORE_CORRECTION = (0, "2026-07", "37399")
# A member that is no CSV, as the real zip has one (139,962 bytes there).
_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Count 0/Kids[]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)

# Half-year → the layouts in which it is served: both where both exist, so that a reader has to choose.
_MOBILE_LAYOUTS = {
    "201901-201906": ("wide",),
    "201907-201912": ("wide",),
    "202101-202106": ("wide", "long"),
    "202201-202206": ("wide",),
    "202207-202212": ("long",),
}
# Ours, not ANATEL's: the second row's December 2022 before its correction.
_MOBILE_BEFORE_CORRECTION = ("202207-202212", 1, "2022-12", "4498.0")
# Ours, not ANATEL's, all of day 3: June 2022 moves to the member of the months after it, a group gets another name, and
# a provider takes back three of its records.
_MOVED = {"202201-202206": "202201-202205", "202207-202212": "202206-202212"}
_MOVED_MONTH = "2022-06"
_RENAMED = ("TELECOM AMERICAS", "CLARO")
_TAKEN_BACK = ("DADOS", ("2022-10", "2022-11", "2022-12"))
# On day 1 the snapshot does not have the last rows yet. No value is changed.
_STATIONS_ON_DAY_1 = 700

_LONG_COLUMNS = (
    "Grupo Econômico",
    "Empresa",
    "CNPJ",
    "Porte da Prestadora",
    "UF",
    "Município",
    "Código IBGE Município",
    "Código Nacional",
    "Modalidade de Cobrança",
    "Tecnologia",
    "Tecnologia Geração",
    "Tipo de Pessoa",
    "Tipo de Produto",
)


def columns_csv(day: int) -> bytes:
    """Broadband's wide member: BOM, `;`, CRLF, decimal comma, an empty cell where the provider did not report."""
    header, rows = _sample("derived_broadband_2026_Colunas_BA_10rows.csv", ",")
    if day == 1:
        row, month, value = _BEFORE_CORRECTION
        rows[row][header.index(month)] = value
        header, rows = header[:-1], [row[:-1] for row in rows]
    return _written([header, *(_broadband_row(row) for row in rows)])


def total_csv(day: int) -> bytes:
    """The real totals, which end in July 2022, and before them the sums of our ten rows of 2026: those are ours."""
    header, *rows = _table(columns_csv(day))
    sums = dict.fromkeys(header[_FIRST_MONTH_COLUMN:], 0)
    for cells, month in _records([header, *rows]):
        sums[month] += int(cells[month])
    first, rest = (_FOLDER / TOTAL_MEMBER).read_bytes().split(b"\r\n", 1)
    ours = [f"{int(month[:4])};{int(month[5:])};{sums[month]}" for month in sorted(sums, reverse=True)]
    return b"\r\n".join([first, *(line.encode() for line in ours), rest])


def mobile_wide_csv(half_year: str, day: int) -> bytes:
    """A wide member of mobile accesses: BOM, `;`, CRLF, CNPJ with its zeros, an empty cell where there is no record."""
    return _written(_mobile(half_year, day))


def mobile_long_csv(half_year: str, day: int) -> bytes:
    """The same records as a long member: one row per month that has one, the month not padded."""
    lines = [["Ano", "Mês", *_LONG_COLUMNS, "Acessos"]]
    for cells, month in _records(_mobile(half_year, day)):
        year, number = month.split("-")
        lines.append([year, str(int(number)), *(cells[name] for name in _LONG_COLUMNS), cells[month]])
    return _written(lines)


def _records(table: list[list[str]]) -> Iterator[tuple[dict[str, str], str]]:
    """Each row of a wide table with each of its months that has accesses."""
    header, *rows = table
    for row in rows:
        cells = dict(zip(header, row, strict=True))
        yield from ((cells, month) for month in header[_FIRST_MONTH_COLUMN:] if cells[month])


def stations_csv(day: int) -> bytes:
    """The licensing system's export, byte for byte; on day 1 without its last rows."""
    lines = (_FOLDER / STATIONS_MEMBER).read_bytes().splitlines(keepends=True)
    return b"".join(lines[: 1 + _STATIONS_ON_DAY_1] if day == 1 else lines)


def _sample(name: str, delimiter: str) -> tuple[list[str], list[list[str]]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file, delimiter=delimiter))
    return header, rows


def _mobile(half_year: str, day: int) -> list[list[str]]:
    """Header and rows of one half-year, the pandas round trip of the sample undone."""
    header, rows = _sample(f"transcribed_mobile_{half_year}_Colunas_head5.csv", ";")
    changed, row, month, value = _MOBILE_BEFORE_CORRECTION
    if day == 1 and half_year == changed:
        rows[row][header.index(month)] = value
    table = [header, *(_mobile_row(row) for row in rows)]
    return _as_of_day_3(half_year, table) if day == 3 else table


def _as_of_day_3(half_year: str, table: list[list[str]]) -> list[list[str]]:
    """The first half of 2022 without June, and the second with it, under the group's new name, with fewer records."""
    header, *rows = table
    if half_year == "202201-202206":
        return [row[:-1] for row in table]
    if half_year != "202207-202212":
        return table
    product, months = _TAKEN_BACK
    for row in rows:
        row[header.index("Grupo Econômico")] = row[header.index("Grupo Econômico")].replace(*_RENAMED)
        for month in months if row[header.index("Tipo de Produto")] == product else ():
            row[header.index(month)] = ""
    june_header, *june_rows = _mobile("202201-202206", 2)
    june = june_header.index(_MOVED_MONTH)
    filler = [""] * len(header[_FIRST_MONTH_COLUMN:])
    return [
        [*header[:_FIRST_MONTH_COLUMN], _MOVED_MONTH, *header[_FIRST_MONTH_COLUMN:]],
        *([*row[:_FIRST_MONTH_COLUMN], row[june], *filler] for row in june_rows),
        *([*row[:_FIRST_MONTH_COLUMN], "", *row[_FIRST_MONTH_COLUMN:]] for row in rows),
    ]


def _table(content: bytes) -> list[list[str]]:
    """Rows of a file that `_written` wrote."""
    return [line.split(";") for line in content.decode("utf-8-sig").splitlines()]


def _mobile_row(row: list[str]) -> list[str]:
    """1778972000174 → 01778972000174, 1.0 → 1, NaN → empty."""
    months = [cell.removesuffix(".0").replace("NaN", "") for cell in row[_FIRST_MONTH_COLUMN:]]
    return [row[0].zfill(14), *row[1:_FIRST_MONTH_COLUMN], *months]


def _broadband_row(row: list[str]) -> list[str]:
    """Undo the pandas round trip of the sample: 600.0 → 600,000000 and 33818.0 → 33818."""
    months = [cell.removesuffix(".0") for cell in row[_FIRST_MONTH_COLUMN:]]
    speed = f"{float(row[_SPEED_COLUMN]):.6f}".replace(".", ",")
    return [row[0], speed, *row[_SPEED_COLUMN + 1 : _FIRST_MONTH_COLUMN], *months]


def _written(lines: list[list[str]]) -> bytes:
    return ("\ufeff" + "".join(";".join(line) + "\r\n" for line in lines)).encode()


def _broadband_members(day: int) -> list[tuple[str, bytes]]:
    return [
        (COLUMNS_MEMBER, columns_csv(day)),
        (TOTAL_MEMBER, total_csv(day)),
        ("Densidades.pdf", _PDF),
    ]


def _mobile_members(day: int) -> list[tuple[str, bytes]]:
    members = []
    for half_year, layouts in _MOBILE_LAYOUTS.items():
        name = f"Acessos_Telefonia_Movel_{_MOVED.get(half_year, half_year) if day == 3 else half_year}"
        if "long" in layouts:
            members.append((f"{name}.csv", mobile_long_csv(half_year, day)))
        if "wide" in layouts:
            members.append((f"{name}_Colunas.csv", mobile_wide_csv(half_year, day)))
    return members


def _stations_members(day: int) -> list[tuple[str, bytes]]:
    return [(STATIONS_MEMBER, stations_csv(day))]


_ZIPS: Mapping[str, tuple[Callable[[int], list[tuple[str, bytes]]], Days]] = {
    PATH: (_broadband_members, _BROADBAND_AT),
    MOBILE_PATH: (_mobile_members, _MOBILE_AT),
    STATIONS_PATH: (_stations_members, _STATIONS_AT),
}


def answer(path: str, _query: Mapping[str, str], day: int) -> Resource | None:
    """One of the three zips."""
    return _resource(path, day)


@cache
def _resource(path: str, day: int) -> Resource | None:
    if path not in _ZIPS:
        return None
    members, modified_at = _ZIPS[path]
    clock = instant(modified_at[day])
    return Resource(build_zip(members(day), clock), "application/x-zip-compressed", clock)

"""docs/data-dictionary.md, generated from the declarations: `python -m stream_jobs.gold.dictionary` prints it."""

from collections.abc import Iterable

from schemas.classes import MEANINGS, ORGANISATION, PERSONAL, PUBLIC, by_column
from schemas.contracts import datasets, load_all
from sinks import quarantine
from stream_jobs.columns import bronze_classes, silver_classes
from stream_jobs.gold.model import Column, GoldTable, StaticTable, discover

FIRST_DATES = {
    "inmet_hourly": "2000-05 (Brasília, the first automatic station)",
    "inmet_stations": "2000-05",
    "openmeteo_archive": "1940-01-01",
    "bcb_ptax": "1984-11-28 (US dollar)",
    "anatel_mobile_accesses": "2019-01 per municipality",
    "anatel_broadband_accesses": "2007-03, monthly since 2011",
    "anatel_base_stations": "the first snapshot that was fetched",
    "bcb_sgs 1": "1984-11-28",
    "bcb_sgs 432": "1999-03-05",
    "bcb_sgs 433": "1980-01",
    "bcb_sgs 188": "1979-04",
    "bcb_sgs 189": "1989-06",
    "bcb_sgs 24364": "2003-01",
    "bcb_sgs 24369": "2012-03",
    "bcb_sgs 22099": "1996-01",
    "bcb_sgs": "of the series",
    "bcb_focus ExpectativasMercadoSelic": "2022 or before",
    "ibge_sidra": "2001 (estimates of population)",
}
"""The first period that a source publishes. A lake begins where its first poll or backfill does."""

_NAMED = (PUBLIC, ORGANISATION, PERSONAL)

_HEAD = """# Data dictionary
Written from the declarations in `stream_jobs/gold/` by `make dictionary`; a test compares it with them. Types are
Spark's. Null means not known, never zero. `*_on` is a civil date, `*_at` and `known_from` are instants in UTC. *First*
is the first period that the source publishes; a lake begins where its first poll or backfill did.

*Class* is what a column says about people:

{classes}

No personal column is in gold (`tests/schemas/test_classes.py`). The classes of bronze and silver are at the end."""

_LOWER = """
## Classes in silver
Of `silver.<dataset>` and `silver.<dataset>_revisions`; what is not named is technical.

| table | public | organisation | personal |
|---|---|---|---|"""

_LOWEST = """
## Classes in bronze
`key` is what the fields of the natural key are; `record` and `value` are what the strictest field of the record is.
All other columns of bronze are technical, and `ops` has technical ones alone.

| table | key | record, value |
|---|---|---|"""


def text() -> str:
    """The whole page."""
    head = _HEAD.format(classes="\n".join(f"* {name}: {meaning}" for name, meaning in MEANINGS.items()))
    gold = (line for table in discover().values() for line in _section(table))
    return "\n".join([head, *gold, _LOWER, *_of_silver(), _LOWEST, *_of_bronze()]) + "\n"


def _of_silver() -> Iterable[str]:
    tables = {name: silver_classes(contract) for name, contract in datasets().items()}
    for name, classes in {**tables, quarantine.NAME: quarantine.CLASSES}.items():
        cells = (", ".join(f"`{column}`" for column, each in classes.items() if each == kind) for kind in _NAMED)
        yield f"| `{name}` | " + " | ".join(cells) + " |"


def _of_bronze() -> Iterable[str]:
    for contract in (each for each in load_all().values() if not each.compacted):
        classes = bronze_classes(contract)
        yield f"| `{contract.name.replace('.', '_')}` | {classes['key']} | {classes['record']} |"


def _section(table: GoldTable | StaticTable) -> Iterable[str]:
    yield ""
    yield f"## `{table.name}`"
    inputs = table.inputs if isinstance(table, GoldTable) else ()
    made_from = f" Made from {', '.join(f'`{each.dataset}`' for each in inputs)}." if inputs else ""
    yield f"{table.about} Key: {', '.join(f'`{key}`' for key in table.keys)}.{made_from}"
    yield ""
    yield "| column | type | class | meaning | unit | formula | source | first |"
    yield "|---|---|---|---|---|---|---|---|"
    classes = by_column(table.classes)
    for column in table.columns:
        kind = classes.get(column.name, "")
        cells = (f"`{column.name}`", column.type, kind, column.meaning, column.unit, column.formula, column.source)
        yield "| " + " | ".join([*(cell.replace("|", "\\|") for cell in cells), _first(column)]) + " |"


def _first(column: Column) -> str:
    return "; ".join(FIRST_DATES[source] for source in FIRST_DATES if source == column.source) or _of_either(column)


def _of_either(column: Column) -> str:
    """For a column that is computed from several datasets: the first period of each."""
    named = [dataset for dataset in FIRST_DATES if f"{dataset}," in f"{column.source}," and " " not in dataset]
    return "; ".join(FIRST_DATES[dataset] for dataset in named) if column.source else ""


if __name__ == "__main__":
    print(text(), end="")

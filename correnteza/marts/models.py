"""The parts of the dbt project that follow from our declarations: `python -m correnteza.marts.models` writes them.

The legacy's tables and rule sets have one definition, in `migration/`, which `correnteza query` runs in DuckDB. Here it
becomes models for Spark: table names become `source(…)`, and what Spark spells differently is replaced.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from migration import rule_sets, views
from schemas.contracts import load
from stream_jobs.gold import model as gold
from stream_jobs.gold.telecom import IS_OF_PEOPLE

PROJECT = Path(__file__).parents[2] / "deploy" / "dbt"

GOLD = ("external_factors_daily", "fact_5g_municipality", "dim_date", "dim_municipality", "dim_operator")
SILVER = {
    "anatel_mobile_accesses": (
        "ANATEL's mobile accesses of a month and combination, newest version per key",
        ("accesses", "known_from"),
    )
}
"""Silver table that marts read → what a row is, and the columns that they read beside its key."""

WRITTEN = "{# Written by `make marts` from migration/: change it there. #}"

# DuckDB's words → Spark's, where no spelling is common to both.
_WORDS = (
    (r'"([^"]+)"', r"`\1`"),
    (r"isodow\((\w+)\)", r"(weekday(\1) + 1)"),
    (r"date_on - (DATE '[-\d]+')", r"datediff(date_on, \1)"),
    (r"\b(gold)\.(\w+)", r"{{ source('\1', '\2') }}"),
    (r"\s+ORDER BY \S+\s*$", ""),
)


def files() -> dict[str, str]:
    """Path below the project → text."""
    salvador = rule_sets.days(views.SALVADOR)
    unified = ", ".join(f'"{name}"' for name in rule_sets.UNIFIED_COLUMNS)
    every_day = rule_sets.unified_v1(rule_sets.days(None))
    day = ("data_referencia",)
    models = {
        "climasalvador": (day, views.CLIMATE),
        "indicadoreseconomicos": (day, views.ECONOMY),
        "expansao5g": (day, views.EXPANSION),
        "legacy_etl_v1": (("date_on",), rule_sets.etl_v1(salvador)),
        "legacy_unified_v1": (
            ("municipality_code", "date_on"),
            f"SELECT municipality_code, date_on, {unified} FROM ({every_day})",
        ),
    }
    found = {f"models/legacy/{name}.sql": _model(keys, query) for name, (keys, query) in models.items()}
    found["models/sources.yml"] = "\n".join(_sources()) + "\n"
    found["macros/accesses.sql"] = f"{WRITTEN}\n{{% macro is_of_people() %}}{IS_OF_PEOPLE}{{% endmacro %}}\n"
    return found


def for_spark(query: str) -> str:
    """A query of ours as a model's text."""
    for pattern, word in _WORDS:
        query = re.sub(pattern, word, query)
    return query


def _model(keys: tuple[str, ...], query: str) -> str:
    lines = [line.rstrip() for line in for_spark(query).splitlines() if line.strip()]
    margin = min(len(line) - len(line.lstrip()) for line in lines)
    text = "\n".join(line[margin:] for line in lines)
    return f"{WRITTEN}\n{{{{ config(unique_key={list(keys)}) }}}}\n{text}\n"


def _sources() -> Iterator[str]:
    """Tables of the pipeline that the marts read, with their columns' meanings and a test of their keys."""
    yield "# Written by `make marts` from the declarations of silver and gold."
    yield "sources:"
    declared = gold.discover()
    yield from _schema("gold", "Streamed by the driver, docs/data-dictionary.md; dbt only reads it.")
    for name in GOLD:
        table = declared[name]
        columns = ((column.name, column.meaning) for column in table.columns)
        yield from _table(name, table.about, columns, table.keys)
    yield from _schema("silver", "Streamed by the driver, docs/data-model.md; dbt only reads it.")
    for name, (about, read) in SILVER.items():
        key = load(name).key
        yield from _table(name, about, ((column, "") for column in (*key, *read)), key, is_nullable=True)


def _schema(name: str, about: str) -> Iterator[str]:
    yield from (f"- name: {name}", f"  schema: {name}", f"  description: {_quoted(about)}", "  tables:")


def _table(
    name: str, about: str, columns: Iterator[tuple[str, str]], keys: tuple[str, ...], *, is_nullable: bool = False
) -> Iterator[str]:
    yield from (f"  - name: {name}", f"    description: {_quoted(about)}", "    columns:")
    for column, meaning in columns:
        yield f"    - name: {column}"
        if meaning:
            yield f"      description: {_quoted(meaning)}"
    yield from (
        "    data_tests:",
        "    - key_is_unique:",
        "        arguments:",
        f"          columns: [{', '.join(keys)}]",
    )
    if is_nullable:
        yield "          never_null: false"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("{", "(").replace("}", ")") + "'"


def write() -> None:
    """Write all of them."""
    for name, text in files().items():
        (PROJECT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()

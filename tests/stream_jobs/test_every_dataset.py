"""Contracts of every kind through real Kafka, Spark and Delta: what their types hold is in silver to the last digit."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pytest

from schemas.arrow import arrow_schema
from schemas.contracts import PROVENANCE, Contract, datasets, load
from stream_jobs.running.supervisor import drain
from stream_jobs.silver.job import SilverJob
from stream_jobs.silver.tables.model import SilverTable, discover
from tests.records import PUBLISHED
from tests.samples import changed, sample

OF_EVERY_KIND = [
    "anatel_base_stations",  # a map, and a key of nothing but text
    "anatel_mobile_accesses",  # twelve fields of the key may be null
    "ibge_sidra",  # decimals of 38 digits
    "openmeteo_archive",  # a boolean that may be null
]
AND_MORE = [
    "bcb_focus",  # keys that may be null, and decimals
    "ibge_municipalities",  # a boolean that is never null
]
"""Each kind stands above too, but not together."""

NASTY = [
    "",
    "'; DROP TABLE x; --",
    "a\\'b\"c`",
    "line\nbreak\ttab\x00nul",
    "x" * 40 + "1",  # Delta keeps 32 characters of a text as a file's bound
    "x" * 40 + "2",
    "\U0010ffff" * 40,
    "%_like ${spark.app.id}",
]
"""Texts that a bound must survive, as a literal and as a file's statistic."""


def prune_by(contract: Contract) -> str:
    """The key's first period or instant, else its first field."""
    schema = arrow_schema(contract)
    return next((name for name in contract.key if pa.types.is_temporal(schema.field(name).type)), contract.key[0])


def rows_of(contract: Contract) -> list[dict[str, Any]]:
    rows = [sample(contract, number) for number in range(4)]
    if prune_by(contract) == contract.key[0] and pa.types.is_string(arrow_schema(contract).field(contract.key[0]).type):
        rows += [sample(contract, 4, **{contract.key[0]: text}) for text in NASTY]
    return rows


def bring(pipeline: Any, names: list[str]) -> None:
    """Bronze, then silver, up to the present."""
    tables = [SilverTable(name, prune_by(load(name)), ()) for name in names]  # without rules: samples break them
    for jobs in ([pipeline.bronze(name) for name in names], [SilverJob(each, pipeline.driver) for each in tables]):
        drain(jobs, at_once=4, stop=Event())


def held(pipeline: Any, table: str, contract: Contract) -> list[str]:
    """A table's rows without what the pipeline adds; maps in any order."""
    names = [name for name in contract.fields if name not in PROVENANCE]
    schema = arrow_schema(contract)
    rows = [
        {name: dict(row[name]) if pa.types.is_map(schema.field(name).type) else row[name] for name in names}
        for row in pipeline.rows(table)
    ]
    return texts(rows)


def texts(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in an order of their own; equal texts are equal values, decimals to the last digit."""
    return sorted(repr({name: plain(value) for name, value in row.items()}) for row in rows)


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted(value.items())
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


@pytest.mark.parametrize(
    "names", [pytest.param(OF_EVERY_KIND, id="every kind"), pytest.param(AND_MORE, id="more", marks=pytest.mark.slow)]
)
def test_a_correction_reaches_silver_whatever_a_record_is_made_of(pipeline, names):
    """Twice the same rows, one of them corrected: revisions gain that one, current replaces that one."""
    pipeline.declare(*names)
    published = {name: rows_of(load(name)) for name in names}
    corrected = {name: changed(load(name), rows[0]) for name, rows in published.items()}
    for name, rows in published.items():
        pipeline.publish(name, *rows)
    bring(pipeline, names)
    later = {"retrieved_at": PUBLISHED + timedelta(days=1), "chunk_id": "chunk-2"}
    for name, rows in published.items():
        again = [corrected[name], *rows[1:]]
        # The same entries in another order are the same value.
        turned = [{n: dict(reversed(v.items())) if isinstance(v, dict) else v for n, v in row.items()} for row in again]
        pipeline.publish(name, *(row | later | {"row_number": number} for number, row in enumerate(turned)))
    bring(pipeline, names)

    for name, rows in published.items():
        contract = load(name)
        assert held(pipeline, f"silver.{name}", contract) == texts([corrected[name], *rows[1:]]), name
        assert held(pipeline, f"silver.{name}_revisions", contract) == texts([corrected[name], *rows]), name
    # These records came without manifests.
    assert pipeline.contradictions(*names, without=("manifests = rows",), has_rules=False) == {}


@pytest.mark.parametrize("dataset", sorted(datasets()))
def test_every_dataset_declares_its_silver_table(dataset):
    """Bounds of a column that can be null would leave rows out that a batch must be compared with."""
    table, contract = discover()[dataset], load(dataset)

    assert table.prune_by in contract.key
    assert not arrow_schema(contract).field(table.prune_by).nullable


def test_the_data_model_lists_every_dataset_as_it_is():
    page = (Path(__file__).parents[2] / "docs" / "data-model.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    listed = {row[0].strip("`"): row for row in rows if len(row) == 4 and row[0].strip("`") in datasets()}

    assert listed.keys() == datasets().keys()
    for name, table in discover().items():
        assert listed[name][3] == table.prune_by
        assert listed[name][2] in (", ".join(load(name).key), "every column but accesses")

"""`correnteza explain-row`: from a gold row back to the bytes it was made from."""

import json
from dataclasses import asdict
from typing import Annotated

import pyarrow as pa
import typer

from correnteza import printing
from correnteza.arguments import key_of
from correnteza.settings import Settings
from monitoring.lake import Lake
from monitoring.reading.lineage import MOST_VERSIONS, Step, explain
from stream_jobs.gold.reference import FOLDER

SHOWN = 12
"""Versions per dataset on a screen; `--json` has more."""


def command(
    table: Annotated[str, typer.Argument(help="A gold table, such as external_factors_daily.")],
    key: Annotated[list[str], typer.Argument(metavar="COLUMN=VALUE...", help="Every key column.")],
    json_: Annotated[bool, typer.Option("--json", help=f"JSON, with {MOST_VERSIONS} versions per dataset.")] = False,
) -> None:
    """Trace a gold row back: silver versions, offsets in bronze, chunks, payload hashes, URLs.

    Example: correnteza explain-row external_factors_daily date_on=2024-06-28 municipality_code=2927408
    """
    pairs, name = key_of(key, "date_on=2024-06-28"), table.removeprefix("gold.")
    settings = Settings()
    row, steps = explain(Lake(settings.lake_root), settings.archive_root, name, pairs, reference=FOLDER)
    if json_:
        found = printing.plain({"row": row, "inputs": [asdict(step) for step in steps]})
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))
        return
    print(f"gold.{name}")
    for column, value in row.items():
        if value is not None:
            print(f"  {column} = {value}")
    for step in steps:
        _print(step)


def _print(step: Step) -> None:
    print(f"\n◄─ silver.{step.dataset}_revisions: {step.versions} versions")
    if not step.versions:
        return
    shown = step.shown[:SHOWN]
    names = list(dict.fromkeys(name for each in shown for name in each if name != "chunk_id"))
    columns = {name: [str(each.get(name, "")) for each in shown] for name in names}
    print(printing.as_table(pa.table(columns)).rsplit("\n", 1)[0])
    if step.versions > len(shown):
        print(f"… and {step.versions - len(shown)} more (--json shows {MOST_VERSIONS})")
    for origin in step.origins:
        print(f"  ◄─ chunk {origin.chunk_id}: {origin.part}, fetched {origin.retrieved_at}")
        print(f"     ◄─ payload sha256 {origin.payload_sha256} ◄─ {origin.url or 'the archive does not hold it'}")

"""`correnteza explain-row`: from a gold row back to the bytes it was made from."""

import json
from dataclasses import asdict
from typing import Annotated

import pyarrow as pa
import typer

from correnteza import printing
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.lineage import MOST_VERSIONS, Step, explain
from stream_jobs.gold.reference import FOLDER

SHOWN = 12
"""Versions per dataset on a screen; `--json` has more."""


def command(
    table: Annotated[str, typer.Argument(help="A gold table, such as external_factors_daily.")],
    key: Annotated[list[str], typer.Argument(metavar="COLUMN=VALUE...", help="Every key column.")],
    json_: Annotated[bool, typer.Option("--json", help=f"JSON, with {MOST_VERSIONS} versions per dataset.")] = False,
) -> None:
    """Walk a gold row back: silver versions, offsets in bronze, chunks, payload hashes, URLs.

    Example: correnteza explain-row external_factors_daily date_on=2024-06-28 municipality_code=2927408
    """
    if wrong := [text for text in key if "=" not in text]:
        raise UsageError(f"{wrong[0]!r} is not COLUMN=VALUE", hint="such as date_on=2024-06-28")
    settings = Settings()
    pairs = dict(text.split("=", 1) for text in key)
    row, steps = explain(Lake(settings.lake), settings.archive, table.removeprefix("gold."), pairs, reference=FOLDER)
    if json_:
        print(json.dumps({"row": row, "inputs": [asdict(step) for step in steps]}, default=str, ensure_ascii=False))
        return
    print(f"gold.{table.removeprefix('gold.')}")
    for name, value in row.items():
        if value is not None:
            print(f"  {name} = {value}")
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

"""`correnteza migrate inspect|plan|run|verify|report|rollback|compare`: leave SQLite and CSV."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from correnteza import audit, migrating
from correnteza.arguments import confirm
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import UnsafeState, UsageError
from foundation.redact import unescaped
from migration import compare as comparing
from migration import inspect as inspecting
from migration import mapping_text, record, views
from migration import report as reporting
from monitoring.lake import Lake
from producers.legacy import mapping as mappings
from producers.session import Tally

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Bring the tables of an old system: SQLite files and CSV files.

    1. `inspect FILE` proposes a mapping: what the columns are.  2. `plan` reads all rows by it and publishes nothing.
    3. `run` publishes them.  4. `correnteza run all --once` brings them to silver.  5. `verify` compares them with the
    file, digit by digit, and `report` writes it down.  `rollback` takes them back.  docs/migration.md shows all of it.
    """,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A SQLite database or a CSV file.")]
MappingFile = Annotated[Path, typer.Argument(metavar="MAPPING", help="The mapping, as `inspect` proposes one.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of the form that the mapping describes.")]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="As the mapping names it, such as legacy_clima.")]


@app.command("inspect")
def inspect(
    file: File,
    table: Annotated[str | None, typer.Option(help="The SQLite table; without it all tables are listed.")] = None,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Read a file to its end and print the mapping that it seems to need; of a database without --table, its tables.

    The file is opened for reading only. What is odd stands as a comment beside its column: look at it, correct the
    mapping, and go on with `correnteza migrate plan MAPPING FILE`.
    """
    form = Form.of(json_, csv_, output if output is None or output.suffix != ".toml" else None)
    if table is None and inspecting.is_sqlite(file):
        names, kinds, rows = zip(*inspecting.tables(file), strict=True) if inspecting.tables(file) else ((), (), ())
        form.give(pa.table({"table": names, "kind": kinds, "rows": pa.array(rows, pa.int64())}))
        typer.echo(f"next: correnteza migrate inspect {file} --table {names[0] if names else 'NAME'}", err=True)
        return
    found = inspecting.inspect(file, table)
    text = mapping_text.toml(found)
    if output is not None and output.suffix == ".toml":
        if output.exists():
            raise UsageError(f"{output} exists", hint="name another file, or remove it first")
        output.write_text(text, encoding="utf-8")
        typer.echo(f"next: correnteza migrate plan {output} {file}", err=True)
        return
    columns = [
        {
            "name": survey.name,
            "field": column.field,
            "type": proposal.type,
            "rows": survey.rows,
            "nulls": survey.absent + sum(survey.nulls.values()),
            "misfits": proposal.misfits,
            "suspicious": "; ".join(proposal.suspicious),
        }
        for (survey, proposal), column in zip(found.columns, found.mapping.columns, strict=True)
    ]
    document = {
        "format": 1,
        "rows": found.rows,
        "bad_rows": found.bad_rows,
        "duplicates": found.duplicates,
        "not_utf8": found.not_utf8,
        "notes": found.notes,
        "mapping": found.mapping.model_dump(mode="json"),
        "columns": columns,
    }
    form.give(pa.Table.from_pylist(columns), people=text.rstrip("\n"), document=json.dumps(document, indent=1))


@app.command()
def plan(mapping: MappingFile, files: Files, json_: Json = False, csv_: Csv = False, output: Output = None) -> None:
    """Read every row as it would be published, and publish nothing: rows, rejects with reasons, keys that repeat.

    Exit 3 when two rows of a file have the same key: silver would keep one of them.
    """
    form = Form.of(json_, csv_, output)
    read = mappings.load(mapping)
    found = [migrating.plan(read, file) for file in files]
    rows = [
        {
            "file": each.file,
            "accepted": each.accepted,
            "rejected": each.rejected,
            "chunks": each.chunks,
            "reasons": ", ".join(f"{reason} {times}" for reason, times in each.reasons.most_common()),
        }
        for each in found
    ]
    shown = [(each.file, reject) for each in found for reject in each.shown]
    form.give(pa.Table.from_pylist(rows))
    for file, reject in shown:
        raw = reject.raw[:80].decode(errors="backslashreplace")
        typer.echo(f"  {file} row {reject.row_number}: {reject.reason.value}: {reject.detail}: {raw}", err=True)
    typer.echo(f"next: correnteza migrate run {mapping} {' '.join(map(str, files))}", err=True)


@app.command()
def run(mapping: MappingFile, files: Files) -> None:
    """Publish the rows of files, a transaction per chunk; again it publishes nothing, and after a kill it goes on.

    The file is archived first, and its rows go through Kafka like every other row. Bad rows become rejects with their
    bytes and a reason. A driver that runs already must be started again to see a new dataset.
    """
    settings, read = Settings(), mappings.load(mapping)
    for file in files:
        tally = migrating.run(settings, read, file, on_chunk=_show(file.name))
        said = f"{tally.rows:,} rows, {tally.rejects:,} rejects, {tally.withdrawn:,} withdrawn in {tally.chunks} chunks"
        print(f"{file.name}: {said if tally.chunks else 'published already'}")
        if tally.held:
            print(f"  {tally.held} withdrawals are held: correnteza withdrawals list")
    typer.echo(f"next: correnteza run all --once, then: correnteza migrate verify {read.dataset}", err=True)


@app.command()
def verify(
    dataset: Dataset,
    from_: Annotated[Path | None, typer.Option("--from", help="Folder of the files, if they were moved.")] = None,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Compare every file with what Delta holds of it: counts and SHA-256 per chunk, sums per month, bounds, nulls.

    The files are read again, without the code that published them. Exit 3 on a difference.
    """
    form = Form.of(json_, csv_, output)
    found = migrating.findings_of(Settings(), dataset, from_).files
    columns = ("file", "chunk_id", "first_row", "published", "rejected", "stored", "source_sha256", "holds")
    rows = [
        {name: each.file if name == "file" else getattr(chunk, name) for name in columns}
        for each in found
        for chunk in each.chunks
    ]
    problems = [problem for each in found for problem in each.problems()]
    form.give(pa.Table.from_pylist(rows) if rows else pa.table({name: [] for name in columns}))
    for each in found:
        counted = f"{each.accepted:,} rows and {each.rejected:,} rejects in {len(each.chunks)} chunks"
        compared = f"{len(each.columns)} columns and {len(each.months)} sums"
        typer.echo(f"{each.file}: {counted}, {compared} compared", err=True)
    if problems:
        for problem in problems[:20]:
            typer.echo(f"  {problem}", err=True)
        raise UnsafeState(f"{len(problems)} comparison(s) of {dataset} do not hold", hint="correnteza run all --once")


@app.command()
def report(
    dataset: Dataset,
    from_: Annotated[Path | None, typer.Option("--from", help="Folder of the files, if they were moved.")] = None,
    output: Annotated[Path | None, typer.Option(help="A new file, .html or .json. Unset: JSON is printed.")] = None,
) -> None:
    """Write down the migration of a dataset, to be read and signed: what came, what was rejected, what differs.

    Everything is compared as by `verify`, and beside that with what was measured on the same days. Exit 3 when a
    comparison does not hold; the report says which.
    """
    if output is not None and (output.exists() or output.suffix not in {".html", ".json"}):
        why = "exists" if output.exists() else "ends in neither .html nor .json"
        raise UsageError(f"{output} {why}", hint="name another file")
    found = migrating.findings_of(Settings(), dataset, from_)
    if output is None or output.suffix == ".json":
        text = json.dumps(reporting.document(found), indent=1, ensure_ascii=False, default=str)
    else:
        text = reporting.page(found)
    if output is None:
        print(text)
    else:
        output.write_text(text, encoding="utf-8")
        typer.echo(f"{output} is written", err=True)
    if found.problems:
        raise UnsafeState(f"{len(found.problems)} comparison(s) of {dataset} do not hold", hint="see the report")


@app.command()
def compare(
    municipality: Annotated[str, typer.Option(help="IBGE code of a capital.")] = views.SALVADOR,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Run the legacy's two rule sets and ours on the same measured days, and list by cause where they differ.

    `etl_v1` are the formulas of the loaders of ClimaSalvador, IndicadoresEconomicos and Expansao5G; `unified_v1` those
    of unified_dataset_with_factors. docs/legacy-factors.md says why ours are otherwise.
    """
    form = Form.of(json_, csv_, output)
    form.give(pa.Table.from_pylist(list(comparing.compare(Lake(Settings().lake_root), municipality))))


@app.command()
def rollback(
    dataset: Dataset,
    files: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="Names of files; all if none.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take migrated rows back: every row is withdrawn, views hide them at once. Bronze, archive and `as-of` keep them.

    Killed and called again it goes on. `migrate run` brings the rows again.
    """
    settings = Settings()
    known = record.read(migrating.records_folder(settings), dataset).files
    chosen = files or list(known)
    if not yes:
        confirm("rollback", f"Take back {len(chosen)} file(s) of {dataset}?")
    audit.record(settings, "migrate rollback", dataset, files=chosen)
    for name in chosen:
        tally = migrating.rollback(settings, dataset, name, on_chunk=_show(name))
        print(f"{name}: {tally.withdrawn:,} rows withdrawn" if tally.chunks else f"{name}: taken back already")
    typer.echo("next: correnteza run all --once", err=True)


def _show(name: str) -> Callable[[Tally], None]:
    """Progress on a terminal; nothing elsewhere."""
    out = unescaped(sys.stderr)

    def show(tally: Tally) -> None:
        if out.isatty():
            print(f"\r{name}: {tally.rows:,} rows, {tally.rejects:,} rejects", end="", file=out, flush=True)

    return show

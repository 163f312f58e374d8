"""How every command prints rows: as a table, `--json`, `--csv`, and `--output FILE` for any of them.

A command takes `Json`, `Csv` and `Output`, makes a `Form` from them before it begins to work, and passes its rows to
it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import typer

from correnteza import printing
from foundation.errors import UsageError
from foundation.files import replace_file, share

Json = Annotated[bool, typer.Option("--json", help="JSON with exact values, instead of the table.")]
Csv = Annotated[
    bool, typer.Option("--csv", help="CSV with a header and exact values; an apostrophe stands before a formula.")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", help="A new file to write instead of printing: .json, .csv or .parquet."),
]

Kind = Literal["table", "json", "csv", "parquet"]


@dataclass(frozen=True)
class Form:
    """The form of the output.

    Attributes:
        output: the file to write; None for stdout.
    """

    kind: Kind
    output: Path | None

    @classmethod
    def of(cls, json_: bool, csv_: bool, output: Path | None = None) -> "Form":
        """The form from the options; without `--json` and `--csv` the file's ending decides.

        Raises: UsageError when the options contradict each other, or the file exists.
        """
        if json_ and csv_:
            raise UsageError("--json and --csv exclude each other")
        asked: Kind | None = "json" if json_ else "csv" if csv_ else None
        if output is None:
            return cls(asked or "table", None)
        if output.exists():
            raise UsageError(f"{output} exists", hint="name another file, or remove it first")
        if not output.parent.is_dir():
            raise UsageError(f"there is no folder {output.parent}", hint=f"mkdir -p {output.parent}")
        endings: dict[str, Kind] = {".json": "json", ".csv": "csv", ".parquet": "parquet"}
        kind = asked or endings.get(output.suffix)
        if kind is None:
            raise UsageError(
                f"the ending of {output} names no format",
                hint="end it in .json, .csv or .parquet, or add --json or --csv",
            )
        return cls(kind, output)

    def give(self, table: pa.Table, *, people: str | None = None, document: str | None = None) -> None:
        """Print or write the rows.

        Args:
            people: the text for people, if it is not just the aligned table.
            document: the JSON text, if it is not just an array of rows.
        """
        if self.kind == "parquet" and self.output is not None:
            import pyarrow.parquet as pq  # imported here: no other form needs it, and it takes time

            partial = self.output.with_name(f".{self.output.name}.{os.getpid()}.partial")
            try:
                pq.write_table(table, partial)
                share(partial)
                partial.replace(self.output)
            finally:
                partial.unlink(missing_ok=True)
        elif self.kind == "json":
            self._text(printing.as_json(table) if document is None else document)
        elif self.kind == "csv":
            self._text(printing.as_csv(table))
        else:
            self._text(printing.as_table(table, printing.terminal_width()) if people is None else people)
        if self.output is not None:
            typer.echo(f"{table.num_rows} rows in {self.output}", err=True)

    def _text(self, text: str) -> None:
        if self.output is None:
            print(text)
        else:
            replace_file(self.output, text + "\n")
            share(self.output)

"""What more rows and more topics need, from measured unit costs and a workload of your own. It measures nothing itself.

    python -m benchmarks.scale                                  the example, as in docs/scale.md
    python -m benchmarks.scale --rows-per-day 5e7 --topics 40   your numbers
    python -m benchmarks.scale --file mine.toml                 the same from a file, with unit costs of your own:

        rows_per_day = 5e7
        topics = 40
        in_store = true
        [costs]                        # names and units: the table of docs/scale.md
        lake_bytes = 90

An option stands above the file. The sums are plain: benchmarks/scale_model.py.
"""

import argparse
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks import scale_page
from benchmarks.scale_model import Workload


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables of a workload, or the page."""
    given = vars(_parser().parse_args(arguments))
    file, as_page = given.pop("file"), given.pop("page")
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")) if file else {}
        load = Workload(**values | {name: value for name, value in given.items() if value is not None})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        sys.exit(f"{file}: {error}")
    except ValidationError as error:
        sys.exit(
            "\n".join(f"{'.'.join(map(str, each['loc'])) or 'workload'}: {each['msg']}" for each in error.errors())
        )
    print(scale_page.page() if as_page else f"{scale_page.tables(load)}\n{scale_page.limits(load)}", end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--file", type=Path, metavar="TOML", help="with any of the names below, and [costs]")
    parser.add_argument("--page", action="store_true", help="print docs/scale.md, which is of the defaults")
    for name, field in Workload.model_fields.items():
        if name == "costs":
            continue
        more: dict[str, Any] = (
            {"action": argparse.BooleanOptionalAction, "default": None}
            if field.annotation is bool
            else {"type": _number, "metavar": "N"}
        )
        text = f"{field.description}; {field.default:,}" if "type" in more else str(field.description)
        parser.add_argument(f"--{name.replace('_', '-')}", help=text.replace("%", "%%"), **more)
    return parser


def _number(text: str) -> float:
    return float(text)


if __name__ == "__main__":
    main()

"""Quick commands such as `status` import no heavy package: Spark alone would take a second."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"pyspark", "py4j", "delta", "pandas", "polars", "matplotlib", "duckdb", "faust", "mode", "aiokafka",
         "holidays", "jinja2", "httpx2", "fastavro", "stamina", "prometheus_client"}  # fmt: skip
"""What none of the quick commands needs."""
OF_TABLES = {"pyarrow", "numpy", "deltalake", "confluent_kafka", "pydantic"}
"""What help does not need besides."""

RUN = """
import sys
{first}
from correnteza.cli import main
sys.argv[1:] = {arguments!r}
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""


def imported(home: Path, arguments: list[str], unwanted: set[str], first: str = "") -> list[str]:
    """Unwanted packages that a command has imported when it is done.

    Args: first: a statement that runs before it.
    """
    found = subprocess.run(
        [sys.executable, "-c", RUN.format(first=first, arguments=arguments)],
        env={**os.environ, "CORRENTEZA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout
    return [f"it has imported {name}" for name in found.stderr.splitlines()[-1].split() if name in unwanted]


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [("status", HEAVY), ("status --json", HEAVY), ("config show", HEAVY), ("--help", HEAVY | OF_TABLES)],
)
def test_a_quick_command_imports_nothing_heavy(tmp_path, command, unwanted):
    assert imported(tmp_path, command.split(), unwanted) == []


def test_control_the_check_sees_an_import(tmp_path, control):
    control.holds(imported, tmp_path, ["--help"], {"duckdb"})
    control.objects(imported, tmp_path, ["--help"], {"duckdb"}, "import duckdb", damage="it has imported duckdb")

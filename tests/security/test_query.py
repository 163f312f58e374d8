"""A query reaches the lake's tables and nothing else, whatever it says (`Lake.lock_down`)."""

import pyarrow as pa
import pytest

from correnteza.commands import query
from foundation.errors import UsageError
from monitoring.lake import Lake

OUTSIDE = (
    "FROM read_csv('{file}')",
    "FROM '{file}'",
    "FROM read_text('{file}')",
    "FROM read_blob('{file}')",
    "FROM glob('{folder}/*')",
    "FROM sniff_csv('{file}')",
    "COPY (SELECT 1) TO '{folder}/written.csv'",
    "EXPORT DATABASE '{folder}/exported'",
    "ATTACH '{folder}/attached.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FROM read_csv('https://example.org/x.csv')",
    "FROM a_variable_of_python",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET temp_directory = '{folder}/spilled'",
    "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "CALL enable_logging(storage = 'file', storage_path = '{folder}/logged')",
)
"""Every way out that DuckDB has, as statements."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "known.csv").write_text("a,b\n1,2\n")
    return tmp_path


def reached(lake, folder, statements=OUTSIDE):
    """The oracle: which statements were carried out."""
    a_variable_of_python = pa.table({"a": [1]})
    found = []
    for statement in statements:
        said = statement.format(folder=folder, file=folder / "known.csv")
        try:
            lake.sql(said)
        except UsageError:
            continue
        found.append(f"it was carried out: {statement}")
    assert a_variable_of_python.num_rows == 1
    return found + [f"there is now {each.name}" for each in folder.iterdir() if each.name not in ("known.csv", "lake")]


def locked(root):
    lake = Lake(root)
    lake.lock_down()
    return lake


def test_a_query_reaches_no_file_no_extension_no_other_database_and_no_setting(folder):
    assert reached(locked(folder / "lake"), folder) == []


def test_control_without_the_lock_a_query_reads_and_writes_files(folder, control):
    control.holds(reached, locked(folder / "lake"), folder)
    damage = ("carried out: FROM read_csv('{file}')", "there is now written.csv", "carried out: SET lock_conf")
    control.objects(reached, Lake(folder / "lake"), folder, damage=damage)


def test_what_a_query_may_do_it_still_can(folder):
    assert locked(folder / "lake").value("SELECT sum(x) FROM range(10) t(x)") == 45


def test_the_command_locks_down_what_it_asks(folder, monkeypatch):
    monkeypatch.setenv("CORRENTEZA_HOME", str(folder))
    with pytest.raises(UsageError, match="file system operations are disabled"):
        query.command(f"FROM read_text('{folder / 'known.csv'}')")

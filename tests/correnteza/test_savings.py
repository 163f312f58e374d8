"""`status` prints what maintenance would save: the same as `maintain --dry-run`, and without Spark."""

import csv
import io
import json
import os
import time

import pytest

from correnteza.savings import streamed
from correnteza.settings import Settings
from stream_jobs.running import inputs
from tests.controls import differs
from tests.helpers import run_here
from tests.monitoring.kit import small_lake

TABLE = "silver.bcb_sgs_revisions"
LEFT_BYTES = 300_000


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A small lake, in which one table has twenty files more, and what a killed attempt left nine days ago."""
    root = tmp_path_factory.mktemp("home")
    kit = small_lake(root)
    for _ in range(20):
        kit.append(TABLE, kit.rows(TABLE, "series_code = 432"))
    left = kit.path(TABLE) / ("a" * 32) / "part-left.parquet"
    left.parent.mkdir()
    left.write_bytes(bytes(LEFT_BYTES))
    os.utime(left, (time.time() - 9 * 86_400,) * 2)
    return root


def said(home, *arguments):
    done = run_here(Settings(home=home), arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_could_be_saved_is_what_maintain_would_do(home):
    status = {each["table"]: each["saving"] for each in json.loads(said(home, "status", "--json"))["tables"]}
    maintain = json.loads(said(home, "maintain", "--dry-run", "--json"))["tables"]
    assert status == {
        each["table"]: {
            "small_files": each["would_compact"],
            "into": each["into"],
            "free_bytes": each["would_free_bytes"],
            "held_back_by": each["held_back_by"],
        }
        for each in maintain
    }
    assert status[TABLE]["small_files"] > 20
    assert (status[TABLE]["into"], status[TABLE]["free_bytes"]) == (1, LEFT_BYTES)


def test_people_read_it_per_table_and_in_a_last_line(home):
    printed = said(home, "status")
    (line,) = (each for each in printed.splitlines() if each.startswith("silver.bcb_sgs "))
    assert "20 files, 0.3 MiB" in line
    assert printed.splitlines()[-1].startswith("maintenance would make 1 files of 21 small ones and free 0.3 MiB")
    rows = csv.DictReader(io.StringIO(said(home, "status", "--csv")))
    (row,) = (row for row in rows if (row["layer"], row["table"]) == ("silver", "bcb_sgs"))
    assert (row["small_files"], row["into"], row["free_bytes"]) == ("21", "1", str(LEFT_BYTES))


def unlike(found):
    """Whether the list that needs no Spark names the same tables as the queries themselves."""
    return differs({query: sorted(tables) for query, tables in found.items()},
                   {query: sorted(tables) for query, tables in inputs.declared().items()})  # fmt: skip


def test_control_status_knows_every_query_s_inputs_and_one_that_is_missing_is_seen(control):
    control.holds(unlike, streamed())
    control.objects(unlike, {**streamed(), "gold.fact_fx_daily": ()}, damage="'gold.fact_fx_daily': []")

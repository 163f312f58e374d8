"""Every command prints rows in the same way: the same options, refusals and values in every format."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from correnteza.cli import app
from correnteza.commands import quality
from correnteza.rows import Form
from foundation.errors import UsageError

ROWS = pa.table({"name": ["a", "b"], "value": [1, 2]})


def test_each_format_goes_to_stdout(capsys):
    Form.of(True, False).give(ROWS)
    assert json.loads(capsys.readouterr().out) == ROWS.to_pylist()
    Form.of(False, True).give(ROWS)
    assert capsys.readouterr().out == "name,value\na,1\nb,2\n"
    Form.of(False, False).give(ROWS)
    assert capsys.readouterr().out.endswith("(2 rows)\n")


def test_the_ending_of_a_file_names_its_format_and_stdout_stays_empty(tmp_path, capsys):
    for ending in ("json", "csv", "parquet"):
        Form.of(False, False, tmp_path / f"x.{ending}").give(ROWS)
    assert json.loads((tmp_path / "x.json").read_text()) == ROWS.to_pylist()
    assert list(csv.reader((tmp_path / "x.csv").open())) == [["name", "value"], ["a", "1"], ["b", "2"]]
    assert pq.read_table(tmp_path / "x.parquet") == ROWS
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.csv", "x.json", "x.parquet"]
    said = capsys.readouterr()
    assert (said.out, said.err.count("2 rows in ")) == ("", 3)


def test_an_option_stands_above_the_ending(tmp_path):
    Form.of(True, False, tmp_path / "x.txt").give(ROWS)
    assert json.loads((tmp_path / "x.txt").read_text()) == ROWS.to_pylist()


def test_what_contradicts_itself_or_would_overwrite_is_refused(tmp_path):
    (tmp_path / "there.csv").touch()
    for arguments, message in (
        ((True, True), "exclude each other"),
        ((False, False, tmp_path / "there.csv"), "exists"),
        ((False, False, tmp_path / "x.txt"), "names no format"),
        ((False, False, tmp_path / "nowhere" / "x.csv"), "no folder"),
    ):
        with pytest.raises(UsageError, match=message):
            Form.of(*arguments)


PRINT_ROWS = (
    "query", "as-of", "revisions", "features", "quality", "sources", "status", "verify", "doctor", "maintain",
    "dead-letters list", "withdrawals list", "forecasts list", "forecasts report", "topics plan", "schemas plan",
    "config show",
)  # fmt: skip


@pytest.mark.parametrize("verb", PRINT_ROWS)
def test_every_verb_that_prints_rows_takes_the_same_options(verb):
    told = CliRunner().invoke(app, [*verb.split(), "--help"], terminal_width=200).stdout
    assert [option for option in ("--json", "--csv", "--output") if option not in told] == []


def test_days_are_durations_for_people_and_stay_exact_for_machines():
    lags = pa.table({"seen": [3, 0], "seen_median_days": pa.array([0.0104, None], pa.float64())})
    assert quality._in_words(lags).to_pylist() == [
        {"seen": 3, "seen_median_lag": "14 min"},
        {"seen": 0, "seen_median_lag": None},
    ]

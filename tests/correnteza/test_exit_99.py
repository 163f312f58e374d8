"""`--exit-99`: a scheduler sees that nothing was new; a person's shell sees success."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from correnteza.arguments import NOTHING_NEW
from correnteza.cli import app
from foundation.errors import UnsafeState
from tests.monitoring.kit import small_lake


@pytest.fixture
def home(tmp_path, monkeypatch):
    small_lake(tmp_path)
    monkeypatch.setenv("CORRENTEZA_HOME", str(tmp_path))
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, arguments)


def test_forecasts_are_loaded_from_the_home_s_folder_and_then_nothing_is_new(home):
    assert run("forecasts", "load", "--exit-99").exit_code == NOTHING_NEW, "there is no folder"
    row = {
        "dataset_id": "parts", "model_version": "v1", "source": "notebook",
        "generated_at": datetime(2025, 11, 11, tzinfo=UTC), "series_id": "BA",
        "date_on": date(2030, 1, 1), "value": 1.0,
    }  # fmt: skip
    (home / "forecasts").mkdir()
    pq.write_table(pa.Table.from_pylist([row]), home / "forecasts" / "drop.parquet")
    (home / "forecasts" / "drop.parquet.partial").write_bytes(b"half a file")
    first = run("forecasts", "load", "--exit-99")
    assert (first.exit_code, "1 rows, forecast" in first.stdout) == (0, True)
    assert run("forecasts", "load", "--exit-99").exit_code == NOTHING_NEW
    assert run("forecasts", "load").exit_code == 0


def test_marts_whose_sources_did_not_change_are_nothing_new(home, monkeypatch):
    monkeypatch.setattr("correnteza.commands.marts.marts.changed_sources", lambda where: [])
    assert [run("marts", "build", *each).exit_code for each in ((), ("--exit-99",))] == [0, NOTHING_NEW]


def test_tables_that_a_driver_writes_are_nothing_to_do(home, monkeypatch):
    assert run("maintain", "--exit-99").exit_code == 0, "no driver"
    monkeypatch.setattr("correnteza.commands.maintain._maintained", lambda *_: False)
    assert run("maintain", "--exit-99").exit_code == NOTHING_NEW
    assert isinstance(run("maintain").exception, UnsafeState)
    monkeypatch.setattr("correnteza.commands.maintain._maintained", lambda where, table, _: table < "gold")
    assert isinstance(run("maintain", "--exit-99").exception, UnsafeState), "some could be maintained, and some not"

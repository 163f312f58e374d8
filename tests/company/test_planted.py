"""No row of the lake is copied into the metadata databases, not even one that breaks rules or was forecast."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.lake import Lake
from sinks import forecasts
from tests.company.lake import OPERATORS, lake_of_marts
from tests.company.postgres import holding, postgres
from tests.company.test_metadata import ROLES, applied, ask, settings_of, url_of

pytestmark = pytest.mark.company

PLANTED = "987654321"
MADE = datetime(2025, 11, 11, 6, tzinfo=UTC)
TABLE = "silver.anatel_mobile_accesses"


def test_control_what_is_planted_in_the_lake_is_in_no_table_of_the_three_databases(spark, tmp_path, control):
    from correnteza import tracking
    from correnteza.suites import run

    kit = lake_of_marts(tmp_path)
    kit.change(TABLE, accesses=f"-{PLANTED}", where=f"cnpj = '{OPERATORS[0]}'")
    row = {
        "dataset_id": "parts", "model_version": "v1", "source": "notebook", "generated_at": MADE,
        "series_id": f"series-{PLANTED}", "date_on": date(2026, 1, 1), "value": float(PLANTED),
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "drop.parquet")
    path = str(tmp_path / "lake/gold/forecasts")
    forecasts.load(tmp_path / "drop.parquet", path, now=MADE)
    with postgres() as server:
        settings = settings_of(server, tmp_path)
        applied(settings)
        judged = run.run(spark, str(kit.lake), [TABLE], settings.results_of_suites)
        assert "accesses_not_negative" in {each.expectation for each in judged if each.broken}
        tracking.track(Lake(kit.lake), path, settings.tracking, tmp_path / "locks")
        assert ask(url_of(server, "gx", "great_expectations"), "SELECT count(*) FROM validation_results") > [(0,)]
        assert ask(url_of(server, "mlflow", "mlflow_tracking"), "SELECT count(*) FROM runs") == [(1,)]
        control.holds(holding, server, ROLES, PLANTED)
        ask(
            url_of(server, "mlflow", "mlflow_tracking"),
            f"INSERT INTO tags (key, value, run_uuid) SELECT 'x', '{PLANTED}', run_uuid FROM runs",
        )
        control.objects(holding, server, ROLES, PLANTED, damage="mlflow_tracking holds 987654321")

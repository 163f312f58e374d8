"""Every forecast file has one run in the real MLflow, whatever is repeated."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.lake import Lake
from sinks import forecasts

pytestmark = pytest.mark.company

MADE = datetime(2025, 11, 11, 6, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    for number in range(3):
        row = {
            "dataset_id": "parts", "model_version": f"v{number}", "source": "notebook",
            "generated_at": MADE + timedelta(days=number), "series_id": "BA", "date_on": date(2026, 1, 1), "value": 1.0,
        }  # fmt: skip
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / f"{number}.parquet")
        load(tmp_path, number)
    return tmp_path


def load(home, number: int) -> str:
    path = str(home / "lake/gold/forecasts")
    return forecasts.load(home / f"{number}.parquet", path, now=MADE + timedelta(days=9, minutes=number))[0]


def track(home):
    from correnteza import tracking

    lake = Lake(home / "lake")
    return tracking.track(lake, str(home / "lake/gold/forecasts"), uri(home), home / "locks")


def uri(home) -> str:
    return f"sqlite:///{home}/mlflow.db"


def runs(home):
    """All runs that MLflow holds, by its own client."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    client = MlflowClient(uri(home))
    experiment = client.get_experiment_by_name("forecasts")
    return client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)


def twice(home) -> list[str]:
    counted = Counter(run.data.tags["payload_sha256"] for run in runs(home))
    return [f"drop {digest[:8]} has {times} runs" for digest, times in counted.items() if times > 1]


def test_control_a_drop_has_one_run_with_its_version_of_gold_and_its_hash(home, control, monkeypatch):
    first = track(home)
    assert [each.is_new for each in first] == [True] * 3
    found = {run.data.tags["payload_sha256"]: run for run in runs(home)}
    for number, each in enumerate(first):
        tags = found[each.payload_sha256].data.tags
        assert each.payload_sha256 == load(home, number)
        assert (tags["dataset_id"], tags["model_version"], tags["gold_version"]) == (
            "parts",
            f"v{number}",
            f"{number + 1}",
        )
        assert found[each.payload_sha256].info.status == "FINISHED"

    assert [(each.run_id, each.is_new) for each in track(home)] == [(each.run_id, False) for each in first]
    control.holds(twice, home)
    monkeypatch.setattr("correnteza.tracking._runs", lambda *_: {})
    track(home)
    control.objects(twice, home, damage="has 2 runs")


def test_a_run_that_was_left_open_or_deleted_is_the_drop_s_run(home):
    from mlflow import MlflowClient

    client = MlflowClient(uri(home))
    experiment = client.create_experiment("forecasts")
    digests = [load(home, number) for number in range(2)]
    made = [client.create_run(experiment, tags={"payload_sha256": each}).info.run_id for each in digests]
    client.delete_run(made[1])
    found = {each.payload_sha256: each for each in track(home)}
    assert [(found[each].run_id, found[each].is_new) for each in digests] == [(run_id, False) for run_id in made]
    assert {run.info.status for run in runs(home) if run.info.lifecycle_stage == "active"} == {"FINISHED"}
    assert twice(home) == []

"""One run of MLflow per forecast drop: what was loaded, from which bytes, into which version of gold.

No model and no file goes there. Only the environment that `make company` makes has MLflow.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitoring.lake import Lake
from sinks import forecasts
from sinks.locks import exclusive

EXPERIMENT = "forecasts"
TABLE = "gold.forecasts"
HASH = "payload_sha256"
LOCK = "mlflow.forecasts"


@dataclass(frozen=True)
class Tracked:
    """A drop and its run. is_new: whether the run was made now."""

    dataset_id: str
    model_version: str
    gold_version: int | None
    payload_sha256: str
    run_id: str
    is_new: bool


def track(lake: Lake, path: str, uri: str, locks: Path) -> list[Tracked]:
    """Give every loaded drop its run, once: a drop that has one keeps it, even one that somebody deleted in MLflow.

    Args:
        path: of the Delta table of forecasts.
        uri: where MLflow keeps its runs; its tables are made at first use.
        locks: folder of the table locks: two of these at once would both find no run.

    Raises: TableIsTakenError when another process does it now.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # before the import, which starts it
    from mlflow import MlflowClient

    with exclusive(locks, LOCK):
        client = MlflowClient(uri)
        held = client.get_experiment_by_name(EXPERIMENT)
        experiment = held.experiment_id if held else client.create_experiment(EXPERIMENT)
        runs = _runs(client, experiment)
        versions = forecasts.versions(path)
        return [_tracked(client, experiment, runs, drop, versions) for drop in lake.rows(_DROPS)]


_DROPS = f"""
    SELECT forecast_id, dataset_id, model_version, source, generated_at, loaded_at, count(*) AS rows
    FROM {TABLE} GROUP BY ALL ORDER BY loaded_at, forecast_id"""


def _runs(client: Any, experiment: str) -> dict[str, Any]:
    """Hash → its run, deleted ones too."""
    from mlflow.entities import ViewType

    return {run.data.tags[HASH]: run for run in _pages(client, experiment, ViewType.ALL) if HASH in run.data.tags}


def _pages(client: Any, experiment: str, view: Any) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment], run_view_type=view, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _tracked(
    client: Any, experiment: str, runs: dict[str, Any], drop: dict[str, Any], versions: dict[str, int]
) -> Tracked:
    digest = str(drop["forecast_id"])
    version = versions.get(digest)
    run = runs.get(digest)
    is_new = run is None
    if run is None:
        tags = {name: str(drop[name]) for name in ("dataset_id", "model_version", "source", "rows")}
        tags |= {"generated_at": drop["generated_at"].isoformat(), "gold_table": TABLE, HASH: digest}
        tags["gold_version"] = "unknown" if version is None else str(version)
        at = int(drop["loaded_at"].timestamp() * 1000)
        name = f"{drop['dataset_id']} {drop['model_version']}"
        run = client.create_run(experiment, start_time=at, tags=tags, run_name=name)  # with its tags, or not at all
    if run.info.status == "RUNNING" and run.info.lifecycle_stage == "active":
        client.set_terminated(run.info.run_id)
    return Tracked(drop["dataset_id"], drop["model_version"], version, digest, run.info.run_id, is_new)

"""One DAG per row of jobs.json (`make dags`), each with one task: a command. Nothing of correnteza is imported."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, MultipleCronTriggerTimetable, Param
from commands import CorrentezaOperator

JOBS = Path(__file__).with_name("jobs.json")
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
LONGEST_WAIT = timedelta(minutes=30)


def schedule(job: dict[str, Any]) -> Any:
    """The job's calendar, or the data it follows; None if a person starts it."""
    if job["crons"]:
        return MultipleCronTriggerTimetable(*job["crons"], timezone=job["zone"])
    return [Asset(uri) for uri in job["follows"]] or None


def dag_of(job: dict[str, Any]) -> DAG:
    """The DAG of a job. Slots that passed while nothing ran are not made up for: a poll covers those before it."""
    with DAG(
        dag_id=job["name"],
        description=job["about"],
        schedule=schedule(job),
        start_date=BEGIN,
        catchup=False,
        max_active_runs=1,
        params={name: Param(type="string", minLength=1) for name in job["asks"]},
        tags=["correnteza"],
    ) as dag:
        CorrentezaOperator(
            task_id=job["command"][0],
            arguments=job["command"],
            inlets=[Asset(uri) for uri in job["reads"]],
            outlets=[Asset(job["makes"])] if job["makes"] else [],
            retries=job["retries"],
            retry_delay=timedelta(seconds=job["retry_seconds"]),
            retry_exponential_backoff=True,
            max_retry_delay=LONGEST_WAIT,
            execution_timeout=timedelta(hours=job["hours"]),
        )
    return dag


for each in json.loads(JOBS.read_text(encoding="utf-8"))["jobs"]:
    globals()[each["name"]] = dag_of(each)

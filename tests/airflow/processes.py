"""Airflow's three processes over a database, killed with all below them at the end."""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from correnteza.embedded import ports
from correnteza.healthy import answers
from tests.airflow.environment import installed, variables
from tests.helpers import wait_for

SECONDS = 300
"""For a process to answer, on a machine that is busy."""


@contextmanager
def airflow(home: Path, dags: Path, database: str, **more: str) -> Iterator[None]:
    """Migrate the database, then run api-server, scheduler and dag-processor.

    Args:
        database: URL of Airflow's own role.
        more: variables of the processes, and so of the commands that they start.
    """
    port, health, logs = ports.free(), ports.free(), ports.free()
    environment = variables(
        home,
        AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=database,
        AIRFLOW__CORE__EXECUTOR="LocalExecutor",
        AIRFLOW__CORE__PARALLELISM="2",
        AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="False",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"http://127.0.0.1:{port}/execution/",
        AIRFLOW__API__HOST="127.0.0.1",
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__API__SECRET_KEY=secrets.token_hex(32),
        AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(32),
        AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT=str(health),
        AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT=str(logs),
        **more,
    )
    program = str(installed() / "airflow")
    subprocess.run([program, "db", "migrate"], env=environment, check=True, capture_output=True, timeout=SECONDS)
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> None:
        with (home / f"{name}.txt").open("wb") as log:
            # A session of its own: what it starts can be ended with it.
            begun = subprocess.Popen(
                [program, name], env=environment, stdout=log, stderr=log, cwd=home, start_new_session=True
            )
        running.append(begun)

    try:
        start("api-server")  # first: a task that begins before it answers loses a try
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/api/v2/monitor/health"), "the api-server", SECONDS)
        start("dag-processor")
        start("scheduler")
        yield
    finally:
        for each in running:
            os.killpg(each.pid, signal.SIGKILL)
            each.wait()

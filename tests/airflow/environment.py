"""Airflow's own Python and programs, and how they are started by tests: with a folder of their own, and no example."""

import os
from pathlib import Path

import pytest

from tests.helpers import ROOT

BIN = ROOT / ".airflow" / "bin"
DAGS = ROOT / "deploy/airflow/dags"


def installed() -> Path:
    """The folder of Airflow's programs. Fails the test where there is none: the verb that runs it installs it."""
    return BIN if (BIN / "airflow").exists() else pytest.fail("no Airflow here: make airflow")


def variables(home: Path, **more: str) -> dict[str, str]:
    """The environment of an Airflow process; nothing of the caller's own settings comes into it."""
    ours = ("AIRFLOW", "_AIRFLOW", "CORRENTEZA_", "PYTHON")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return clean | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        **more,
    }

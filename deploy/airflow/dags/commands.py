"""An operator that runs one command of correnteza, without a shell, and knows its exit codes."""

import os
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

CHECKOUT = Path(__file__).resolve().parents[3]

NOTHING_NEW = 99
HOPELESS = {
    2: "an argument or a setting is wrong",
    3: "going on could lose or double data, or a check does not hold",
}
"""Exit codes after which another try would end the same way: a person is needed. All others are worth another try."""

_OURS_ALONE = ("AIRFLOW", "_AIRFLOW", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Beginnings of variables that a command does not get: Airflow's addresses and keys, and where its Python looks."""


def ended(code: int) -> None:
    """What the end of a command means to Airflow.

    Raises: AirflowSkipException if nothing was new; AirflowFailException if another try is hopeless; else
        AirflowException, after which Airflow tries again.
    """
    if code == NOTHING_NEW:
        raise AirflowSkipException("nothing new")
    if code in HOPELESS:
        raise AirflowFailException(f"exit code {code}: {HOPELESS[code]}")
    if code:
        raise AirflowException(f"exit code {code}")


def program() -> str:
    """The command of the checkout that this file is in; else the one that PATH finds."""
    own = CHECKOUT / ".venv" / "bin" / "correnteza"
    return str(own) if own.exists() else shutil.which("correnteza") or "correnteza"


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: Airflow's, without what is Airflow's alone."""
    return {name: value for name, value in variables.items() if not name.startswith(_OURS_ALONE)}


class CorrentezaOperator(BaseOperator):
    """Runs `correnteza` with arguments, in the folder that Airflow was started in.

    Its output is in the task's log, and nowhere else: rows of the lake do not come into Airflow's database.
    """

    template_fields = ("arguments",)

    def __init__(self, *, arguments: Sequence[str], **named: Any) -> None:
        super().__init__(do_xcom_push=False, **named)
        self.arguments = list(arguments)

    @cached_property
    def process(self) -> SubprocessHook:
        """The command's process. It is made where the task runs: a DAG is read in other processes, too."""
        return SubprocessHook()

    def execute(self, context: Context) -> None:
        """Run the command to its end. Raises: as `ended`."""
        command = [program(), *self.arguments]
        done = self.process.run_command(command, env=environment(os.environ), cwd=str(Path.cwd()))
        ended(done.exit_code)

    def on_kill(self) -> None:
        """Airflow ends the task: SIGTERM lets a poll reach the end of a chunk."""
        self.process.send_sigterm()

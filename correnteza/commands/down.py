"""`correnteza down`: stop the processes of this home, also those that a killed `up` left behind."""

import sys

from correnteza.embedded.processes import clear_leftovers, lock_holder, lock_home, stop_tree
from correnteza.settings import Settings

STOP_SECONDS = 180.0
"""Longest orderly stop: first a streaming batch, then polls, registry and broker."""


def command() -> None:
    """Stop the processes that `up` started here, also those that a killed `up` left behind."""
    settings = Settings()
    run = settings.run.resolve()
    holder = lock_holder(run)
    if holder is not None:
        stop_tree(holder.pid, seconds=STOP_SECONDS)
    stopped = [f"up (pid {holder.pid})"] if holder else []
    if run.exists():
        with lock_home(run, settings.home):
            stopped += clear_leftovers(run)
            (run / "endpoints.json").unlink(missing_ok=True)
    print(f"stopped: {', '.join(stopped) or 'nothing ran'}", file=sys.stderr)

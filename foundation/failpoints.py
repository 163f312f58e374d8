"""Named places where a test may make this process die, wait or fail.

They do nothing unless `CORRENTEZA_FAILPOINT` names them, and the command line refuses that variable under the
production profile. Form: `NAME[@N]:ACTION`, N = which passage acts (default 1), ACTION one of

    kill         SIGKILL to this process's own group leader: nothing is flushed, no handler runs
    wait=PATH    stop here until PATH exists; `PATH.reached` is created on arrival
    raise        raise RuntimeError, every time from passage N on
"""

import os
import signal
import time
from pathlib import Path

VARIABLE = "CORRENTEZA_FAILPOINT"

_passages: dict[str, int] = {}


def failpoint(name: str) -> None:
    """Act if the environment names this point; otherwise this costs one dictionary look-up."""
    armed = os.environ.get(VARIABLE)
    if not armed:
        return
    target, _, action = armed.partition(":")
    point, _, passage = target.partition("@")
    if point != name:
        return
    _passages[name] = _passages.get(name, 0) + 1
    wanted = int(passage or 1)
    if action == "raise" and _passages[name] >= wanted:
        raise RuntimeError(f"failure point {name}")
    if _passages[name] != wanted:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action.startswith("wait="):
        gate = Path(action.removeprefix("wait="))
        gate.with_name(gate.name + ".reached").touch()
        while not gate.exists():
            time.sleep(0.02)

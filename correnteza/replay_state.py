"""How a command learns that its home belongs to a replay: the file `run/replay.json`, which `up --replay` writes.

A command beside a running replay gets the variables of the replay's components, so that it has their clock, sources
and tables. After the replay has ended the file stays, and a command says that the home was filled by a replay.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from foundation import clock

ENDED = "the data of this home come from a replay, which does not run now: they are compared with today's date"


def write(run: Path, variables: Mapping[str, str]) -> None:
    """Say that this process runs a replay. Args: variables: those of its components."""
    from correnteza.embedded.processes import creation_of, write_json

    pid = os.getpid()
    write_json(run / "replay.json", {"pid": pid, "created": creation_of(pid), "variables": dict(variables)})


def join(run: Path) -> str | None:
    """Add the variables of the replay that runs in this home to the environment, unless it sets a clock itself.

    Returns: what the user must know about the clock; None for a home that no replay has used.
    """
    if clock.VARIABLE in os.environ:
        return None
    try:
        state = json.loads((run / "replay.json").read_text())
    except FileNotFoundError:
        return None
    from correnteza.embedded.processes import is_alive  # takes a tenth of a second, and most homes have no replay

    if not is_alive(state["pid"], state["created"]):
        return ENDED
    os.environ.update(state["variables"])
    return f"a replay runs in this home: its clock says {clock.now():%Y-%m-%d %H:%M} UTC"

"""Write a line for each command that removes something or makes a final decision: who did what, to what, and when.

`<home>/audit.jsonl` is only ever appended to, a JSON object a line; the same goes to the log as `command_audited`.
"""

import getpass
import json
import os
import socket
from typing import Any

from correnteza.settings import Settings
from foundation import clock
from foundation.log import get_logger
from foundation.redact import inside


def record(settings: Settings, verb: str, on: str, **details: Any) -> None:
    """Write the line before the action, so that a failed attempt is recorded, too.

    Args:
        verb: as on the command line, such as `withdrawals accept`.
        on: the object of the action.

    Raises: OSError when the line cannot be written; then the action must not be carried out.
    """
    line = inside({"verb": verb, "on": on, "by": user(), "host": socket.gethostname(), "pid": os.getpid(), **details})
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "audit.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": clock.now().isoformat(), **line}, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    get_logger("audit").info("command_audited", **line)


def user() -> str:
    """The name of the user; the number if there is no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"

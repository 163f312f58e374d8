"""What happened in a run and when: one JSON line an event, written at once."""

import json
import threading
import time
from pathlib import Path
from typing import Any


class Timeline:
    """One run's events, in a file of its own.

    Attributes:
        path: JSON lines with `seconds` since the start, `event`, `target` and what else the event tells.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._began = time.monotonic()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Since the start of the run."""
        return time.monotonic() - self._began

    def note(self, event: str, target: str = "", **details: Any) -> None:
        """Write one event."""
        line = {"seconds": round(self.seconds, 3), "event": event, "target": target, **details}
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps(line, default=str) + "\n")

    def close(self) -> None:
        """Nothing is noted afterwards."""
        with self._lock:
            self._file.close()

"""What is looked at, part by part: each in a thread of its own, so that none takes another along."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from foundation.errors import CorrentezaError
from foundation.log import get_logger
from foundation.redact import redacted

HANGING_SECONDS = 30.0
"""A look that takes longer counts as none: the part is down until it has ended well."""
STUCK_SECONDS = 120.0
"""A look that takes longer than this is why the monitor itself is no longer healthy."""

log = get_logger("monitor")


class PartlyKnown(Exception):
    """A part is down, and something is known even so."""

    def __init__(self, known: object, cause: Exception) -> None:
        super().__init__(str(cause))
        self.known = known
        self.cause = cause


@dataclass
class Part:
    """One part: the last thing it said, and how that went.

    Attributes:
        look: gives what is there now; raises whatever.
        value: of the last look; of one that failed only what it knew in spite of that.
        last_good: of the last look that ended well.
        is_up: whether the last look ended well.
        succeeded_at: seconds since 1970.
        seconds: how long the last look took.
        reason: why it is down, in words without secrets.
    """

    name: str
    look: Callable[[], Any]
    value: Any = None
    last_good: Any = None
    is_up: bool = False
    succeeded_at: float | None = None
    seconds: float | None = None
    reason: str | None = "not looked at yet"
    hint: str | None = None
    looks: int = 0
    began: float | None = None
    ended: float | None = None

    def look_once(self) -> None:
        """Look, and remember how it went; no exception leaves."""
        self.began = time.monotonic()
        value, error = None, None
        try:
            value = self.look()
        except PartlyKnown as partly:
            value, error = partly.known, partly.cause
        except Exception as failure:
            error = failure
        self.seconds = time.monotonic() - self.began
        if error is None:
            self.succeeded_at, self.last_good = time.time(), value
        self._tell(error)
        # One assignment each: who reads meanwhile sees the last look, or this one.
        self.value = value
        self.is_up = error is None
        self.ended = time.monotonic()
        self.began = None
        self.looks += 1

    def _tell(self, error: Exception | None) -> None:
        """Say in the log what has changed, and nothing else."""
        reason = None if error is None else redacted(f"{error}" if isinstance(error, CorrentezaError) else repr(error))
        if error is not None and (self.is_up or not self.looks):
            log.warning("part_lost", part=self.name, error=reason)
        elif error is None and self.looks and not self.is_up:
            log.info("part_returned", part=self.name)
        self.reason = reason
        self.hint = redacted(error.hint) if isinstance(error, CorrentezaError) and error.hint else None

    def hangs(self, seconds: float) -> bool:
        """Whether a look has been under way for longer."""
        began = self.began
        return began is not None and time.monotonic() - began > seconds

    @property
    def known(self) -> Any:
        """What the last look gave; None while it is down or hangs, and knew nothing."""
        return None if self.hangs(HANGING_SECONDS) else self.value

    @property
    def answers(self) -> bool:
        """Whether it is up now."""
        return self.is_up and not self.hangs(HANGING_SECONDS)

    @property
    def why_down(self) -> str | None:
        """In words; None while it is up."""
        if self.hangs(HANGING_SECONDS):
            return f"a look at it has been under way for more than {HANGING_SECONDS:.0f} s"
        return None if self.is_up else self.reason


@dataclass
class Parts:
    """All parts, looked at again and again.

    Attributes:
        after_each: called in the part's thread when it was looked at; what it raises is logged.
    """

    by_name: Mapping[str, Part]
    every: float
    after_each: Callable[[], None] = lambda: None
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """A thread per part."""
        for part in self.by_name.values():
            threading.Thread(target=self._run, args=(part,), name=f"look-{part.name}", daemon=True).start()

    def stop(self) -> None:
        """No further looks; one that is under way is not waited for."""
        self._stop.set()

    def look_at_all(self) -> None:
        """Once, one after the other, in this thread."""
        for part in self.by_name.values():
            part.look_once()
        self.after_each()

    def stuck(self) -> list[str]:
        """Parts that are not looked at any more."""
        return [name for name, part in self.by_name.items() if part.hangs(STUCK_SECONDS)]

    @property
    def is_complete(self) -> bool:
        """Whether every part has been looked at."""
        return all(part.looks for part in self.by_name.values())

    def _run(self, part: Part) -> None:
        while not self._stop.is_set():
            part.look_once()
            try:
                self.after_each()
            except Exception:
                log.exception("sample_failed", part=part.name)
            self._stop.wait(self.every)

"""The parts that the monitor reads, each in a thread of its own, so that a part that hangs does not affect the
others."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from foundation.errors import CorrentezaError
from foundation.log import get_logger
from foundation.redact import redacted

HANGING_SECONDS = 30.0
"""If a look takes longer, the part counts as down until the look has succeeded."""
STUCK_SECONDS = 120.0
"""If a look takes longer than this, the monitor itself is no longer healthy."""

log = get_logger("monitor")


class PartlyKnown(Exception):
    """A part is down, but some values are known."""

    def __init__(self, known: object, cause: Exception) -> None:
        super().__init__(str(cause))
        self.known = known
        self.cause = cause


@dataclass
class Part:
    """One part: its last value, and whether reading it succeeded.

    Attributes:
        look: returns the present value; may raise anything.
        value: of the last look; after a failure only the values that are known nevertheless.
        last_good: of the last look that succeeded.
        is_up: whether the last look succeeded.
        succeeded_at: seconds since 1970.
        seconds: how long the last look took.
        reason: why it is down, without secrets.
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
        """Look once and store the result; raises nothing."""
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
        # One assignment each, so that readers see the last look or this one.
        self.value = value
        self.is_up = error is None
        self.ended = time.monotonic()
        self.began = None
        self.looks += 1

    def _tell(self, error: Exception | None) -> None:
        """Log a change of the part's state."""
        reason = None if error is None else redacted(f"{error}" if isinstance(error, CorrentezaError) else repr(error))
        if error is not None and (self.is_up or not self.looks):
            log.warning("part_lost", part=self.name, error=reason)
        elif error is None and self.looks and not self.is_up:
            log.info("part_returned", part=self.name)
        self.reason = reason
        self.hint = redacted(error.hint) if isinstance(error, CorrentezaError) and error.hint else None

    def hangs(self, seconds: float) -> bool:
        """Whether the running look has taken longer than this."""
        began = self.began
        return began is not None and time.monotonic() - began > seconds

    @property
    def known(self) -> Any:
        """The value of the last look; None if the part is down or hangs and no value is known."""
        return None if self.hangs(HANGING_SECONDS) else self.value

    @property
    def answers(self) -> bool:
        """Whether it is up now."""
        return self.is_up and not self.hangs(HANGING_SECONDS)

    @property
    def why_down(self) -> str | None:
        """The reason in words; None while it is up."""
        if self.hangs(HANGING_SECONDS):
            return f"a look at it has been under way for more than {HANGING_SECONDS:.0f} s"
        return None if self.is_up else self.reason


@dataclass
class Parts:
    """All parts, read periodically.

    Attributes:
        after_each: called in the part's thread after each look; its exceptions are logged.
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
        """Begin no further look, and do not wait for a running one."""
        self._stop.set()

    def look_at_all(self) -> None:
        """Read all parts once, one after the other, in this thread."""
        for part in self.by_name.values():
            part.look_once()
        self.after_each()

    def stuck(self) -> list[str]:
        """Parts whose look hangs."""
        return [name for name, part in self.by_name.items() if part.hangs(STUCK_SECONDS)]

    @property
    def is_complete(self) -> bool:
        """Whether every part was read at least once."""
        return all(part.looks for part in self.by_name.values())

    def _run(self, part: Part) -> None:
        while not self._stop.is_set():
            part.look_once()
            try:
                self.after_each()
            except Exception:
                log.exception("sample_failed", part=part.name)
            self._stop.wait(self.every)

"""Faulty answers that a test requests: faults that the sources' servers have shown."""

import threading
from collections import defaultdict, deque
from dataclasses import dataclass

from foundation.errors import UsageError
from replay.content import DATA, Reply

KINDS = ("html-200", "truncated", "500", "503", "429", "reset", "slow-drip", "redirect", "replaced")
"""html-200   a web page with status 200
truncated  half of the bytes that were promised, then the connection is closed
500 503    the server's own trouble
429        too many requests, with the Retry-After and the body that the script gives
reset      the connection is reset, without an answer
slow-drip  the right answer, a byte each tenth of a second
redirect   302 to the script's location
replaced   from this answer on the same bytes are a newer edition: another ETag, a second later
"""
_BLOCK_PAGE = DATA / "anatel" / "head4000_html_saved_as_data.html"
_BROKEN = b"<html><h1>Internal Server Error</h1></html>"


@dataclass(frozen=True)
class Fault:
    """One faulty answer.

    Attributes:
        retry_after: the header of a 429 or 503; None sends none.
        body: of a 429 or 503.
        location: where a redirect leads, absolute or not.
    """

    kind: str
    retry_after: str | None = None
    body: str = ""
    location: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no fault {self.kind!r}; there are {', '.join(KINDS)}")
        if (self.kind == "redirect") != bool(self.location):
            raise UsageError("a redirect needs a location, and nothing else takes one")

    def reply(self) -> Reply | None:
        """What is answered in place of the right answer; None when that one is sent, or nothing is."""
        match self.kind:
            case "html-200":
                return Reply(200, _BLOCK_PAGE.read_bytes(), "text/html; charset=windows-1252")
            case "500":
                return Reply(500, _BROKEN, "text/html")
            case "429" | "503":
                wait = {"Retry-After": self.retry_after} if self.retry_after is not None else {}
                return Reply(int(self.kind), self.body.encode(), headers=wait)
            case "redirect":
                return Reply(302, b"", "text/html", {"Location": self.location})
            case _:
                return None


class Script:
    """The faults of the next answers, by path. A path that ends with `/` means all paths below it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Fault | None]] = {}
        self._editions: defaultdict[str, int] = defaultdict(int)

    def add(self, path: str, fault: Fault, *, times: int = 1, after: int = 0) -> None:
        """Add a fault for `times` answers of a path, after `after` more correct ones."""
        with self._lock:
            self._waiting.setdefault(path, deque()).extend([None] * after + [fault] * times)

    def next(self, path: str) -> Fault | None:
        """Take the fault for this answer, if there is one."""
        with self._lock:
            for scripted, waiting in self._waiting.items():
                if waiting and (scripted == path or (scripted.endswith("/") and path.startswith(scripted))):
                    fault = waiting.popleft()
                    if fault and fault.kind == "replaced":
                        self._editions[path] += 1
                    return fault
        return None

    def edition(self, path: str) -> int:
        """How often the script has replaced what is at this path."""
        with self._lock:
            return self._editions.get(path, 0)

"""The error family. The caller chooses between retry, dead letter and stop by class, never by reading a message.

CorrentezaError            exit 1
├── UsageError             exit 2   a wrong argument or setting
├── UnsafeState            exit 3   going on could lose or double data; never "repaired" by skipping
├── DependencyUnavailable  exit 4   broker, registry or source does not answer
│   └── TransientError              worth retrying as it is: timeout, 429, 5xx
├── InvalidContent         exit 1   an answer that is not the requested data (an HTML page, a truncated zip)
└── FencedError            exit 75  another producer with our transactional id took over: end this one at once
"""


class CorrentezaError(Exception):
    """Base of every error raised here on purpose.

    Args:
        message: what happened, and where.
        hint: the command or setting to try next; printed on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(CorrentezaError):
    """An argument or a setting is wrong."""

    exit_code = 2


class UnsafeState(CorrentezaError):
    """Going on could lose or double data."""

    exit_code = 3


class DependencyUnavailable(CorrentezaError):
    """Broker, registry or source cannot be reached."""

    exit_code = 4


class TransientError(DependencyUnavailable):
    """Worth retrying unchanged."""


class InvalidContent(CorrentezaError):
    """The source's answer is not the requested data."""


class FencedError(CorrentezaError):
    """A newer producer holds our transactional id (EX_TEMPFAIL: a supervisor may start us again)."""

    exit_code = 75

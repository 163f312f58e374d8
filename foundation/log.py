"""Structured logging: one line per unit of work, event names `noun_past_verb`, fields instead of sentences."""

import logging
import os
import sys
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from foundation.redact import redact

Format = Literal["json", "console"]


def configure(*, debug: bool = False, to: TextIO = sys.stderr, form: Format | None = None) -> None:
    """Send structured lines to stderr or another stream.

    Args: form: one JSON object per line, or text for people; None: text on a terminal, JSON elsewhere.
    """
    on_terminal = to.isatty()
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=on_terminal and "NO_COLOR" not in os.environ)
        if form == "console" or (form is None and on_terminal)
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=to),
        cache_logger_on_first_use=False,
    )


def get_logger(component: str) -> FilteringBoundLogger:
    """A logger whose every line names its component.

    It reads the configuration at each line, so a module may create its logger before `configure` has run.
    """
    return cast(FilteringBoundLogger, structlog.get_logger(component=component))


class _Adopted(logging.Handler):
    """Writes a library's log records in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        get_logger(record.name.partition(".")[0]).log(
            record.levelno, "library_said", logger=record.name, message=record.getMessage(), exc_info=record.exc_info
        )


def adopt_library_logs(level: int = logging.WARNING) -> None:
    """Send log records of libraries, from this level on, to the same stream as our own."""
    logging.basicConfig(level=level, handlers=[_Adopted()], force=True)

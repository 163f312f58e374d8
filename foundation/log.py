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

    Args: form: one JSON object a line, or lines for people; None: for people on a terminal, JSON elsewhere.
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

    It asks for the configuration at each line, so a module may make its logger before `configure` has run.
    """
    return cast(FilteringBoundLogger, structlog.get_logger(component=component))


class _Adopted(logging.Handler):
    """Says what a library says, in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        get_logger(record.name.partition(".")[0]).log(
            record.levelno, "library_said", logger=record.name, message=record.getMessage(), exc_info=record.exc_info
        )


def adopt_library_logs(level: int = logging.WARNING) -> None:
    """Send what libraries log with the standard library, from this level on, where our own lines go."""
    logging.basicConfig(level=level, handlers=[_Adopted()], force=True)

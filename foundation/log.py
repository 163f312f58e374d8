"""Structured logging: one line per unit of work, event names `noun_past_verb`, fields instead of sentences."""

import logging
import os
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor


def configure(*, debug: bool = False, to: TextIO = sys.stderr) -> None:
    """Send structured lines to stderr or another stream: for people on a terminal, as JSON elsewhere."""
    on_terminal = to.isatty()
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ)
        if on_terminal
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
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

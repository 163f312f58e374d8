"""Keep a stack's processes running until a signal, or until one of them cannot be kept running."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from correnteza.embedded.processes import bound_log, end_group
from correnteza.embedded.restarts import Restarts
from correnteza.embedded.stack import Stack
from foundation import notify
from foundation.errors import CorrentezaError, UnsafeState
from foundation.log import get_logger

LOOK_SECONDS = 0.2

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asked this process to end. Not an Exception, so that no handler treats it as an error."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def signals_raise() -> Iterator[None]:
    """The first SIGTERM, SIGINT or SIGHUP raises Stopped; further ones are ignored, so that stopping is not
    interrupted."""

    def stop(number: int, _: FrameType | None) -> NoReturn:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    before = {each: signal.signal(each, stop) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def supervise(stack: Stack) -> NoReturn:
    """Start processes that died again, with back-off, without limit.

    Raises:
        UnsafeState: a child says (exit code 3) that going on is unsafe.
        CorrentezaError: a child keeps dying, or cannot run with its settings.
    """
    log = get_logger("up")
    now = time.monotonic()
    restarts = {name: Restarts() for name in stack.services}
    started = dict.fromkeys(stack.services, now)
    due: dict[str, float] = {}
    while True:
        now = time.monotonic()
        for name, service in list(stack.services.items()):
            bound_log(service.program.log)
            if name in due:
                if now >= due[name]:
                    del due[name]
                    stack.run(service)
                    started[name] = now
                continue
            code = stack.processes[name].poll()
            if code is None:
                continue
            end_group(stack.processes[name].pid)
            wait = restarts[name].after_death(code, now - started[name])
            if wait is None:
                kind = UnsafeState if code == UnsafeState.exit_code else CorrentezaError
                raise kind(
                    f"{name} ended with exit code {code} and is not started again; its log: {service.program.log}"
                )
            log.warning("child_died", child=name, exit_code=code, restart_seconds=wait, log=str(service.program.log))
            due[name] = now + wait
        notify.alive()
        time.sleep(LOOK_SECONDS)

"""`correnteza schedule` as a Faust application: it elects a leader, ticks, and shares the requests among workers.

Faust does nothing else. Its limits and the solutions (each occurred in a test):

* an event whose agent raised counts as done: Scheduler.work lets no exception leave
* more than one event at a time of a partition can lose one: isolated partitions, in order
* a fenced producer that goes on with what it remembers can publish twice: it ends with its poll. The next slot's poll
  makes one again, which reads its cursors after it has fenced; the other sources' polls go on meanwhile
* a worker that joins takes over partitions, and Faust would start the actors of them again: ForPartitions does not
* a worker can be alive and consume nothing: the watchdog ends it, with exit code 75
* blocking work would stop the heartbeats: polls and ticks run in threads
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.types import ServiceT
from faust.types.auth import CredentialsT
from faust.web import Request, Response, View
from mode.supervisors import OneForOneSupervisor

from foundation import kafka, log, notify
from foundation.errors import CorrentezaError, FencedError
from foundation.redact import redacted
from producers.schedule import watchdog
from producers.schedule.canary import Canary
from producers.schedule.scheduler import Scheduler
from schemas.queues import APP, REQUEST_PARTITIONS, REQUESTS

TICK_SECONDS = 1.0

SESSION_SECONDS, HEARTBEAT_SECONDS = 6.0, 2.0
"""After a worker was killed, its partitions and leadership move to another one when the session time is over."""

STOP_SECONDS = 40.0
"""How long SIGTERM waits for polls to reach the end of a chunk, and then Faust to leave the group."""

STALLED = FencedError.exit_code
"""EX_TEMPFAIL: a supervisor may start us again."""


def run(scheduler: Scheduler, *, port: int, stall_seconds: float, folder: Path, canary: Canary | None) -> int:
    """Run until SIGTERM or Ctrl-C; returns the exit code.

    Args:
        port: of `/healthz` on the loopback interface.
        stall_seconds: after so long without progress the process ends with exit code 75.
        folder: Faust insists on one and puts nothing into it.
        canary: sent while this worker leads; None for none.
    """
    log.adopt_library_logs()
    return asyncio.run(_Worker(scheduler, port, folder, canary).run(stall_seconds))


class ForPartitions(OneForOneSupervisor):
    """Starts no actor again that was cancelled, because another worker has its partition now.

    Faust makes a new actor when the partition comes back. mode's own strategy would start the cancelled one, and raise
    SystemExit if a second one follows within 10 ms: two requests under way were enough to end the whole worker.
    """

    async def restart_services(self, services: list[ServiceT]) -> None:
        """Of what has ended, start again what was not cancelled."""
        cancelled = [each for each in services if isinstance(each.crash_reason, asyncio.CancelledError)]
        self.discard(*cancelled)
        await super().restart_services([each for each in services if each not in cancelled])


class _Worker:
    def __init__(self, scheduler: Scheduler, port: int, folder: Path, canary: Canary | None) -> None:
        self._scheduler = scheduler
        self._canary = canary
        self._log = log.get_logger("schedule")
        self._topic = scheduler.prefix + REQUESTS
        # One thread a partition, so that no request waits for a thread, and one for ticks.
        self._threads = ThreadPoolExecutor(REQUEST_PARTITIONS + 1, thread_name_prefix="poll")
        self._app = _app(scheduler, port, folder)
        self._signal: asyncio.Future[object] | None = None
        self._has_started = False
        self._declare()

    def _declare(self) -> None:
        app, scheduler = self._app, self._scheduler
        topic = app.topic(self._topic, partitions=REQUEST_PARTITIONS, key_serializer="raw", value_serializer="raw")

        @app.timer(TICK_SECONDS)  # type: ignore[untyped-decorator]
        async def tick() -> None:
            await self._in_thread(scheduler.tick, app.is_leader)

        @app.agent(topic, isolated_partitions=True, supervisor_strategy=ForPartitions)
        async def work(requests: Any) -> None:
            async for value in requests:
                if not await self._in_thread(scheduler.work, value):
                    await asyncio.Event().wait()  # stopping: going on would acknowledge requests that were not done

        @app.page("/healthz")
        async def healthz(view: View, request: Request) -> Response:
            health = scheduler.health(is_leader=app.is_leader(), assigned=self._assigned())
            return view.json(health, status=200 if health["is_progressing"] else 503)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _assigned(self) -> list[int]:
        # Wait until Faust has made its consumer: another thread that asks for it would make a second one.
        assigned = tuple(self._app.consumer.assignment()) if self._has_started else ()
        return [place.partition for place in assigned if place.topic == self._topic]

    async def run(self, stall_seconds: float) -> int:
        loop = asyncio.get_running_loop()
        self._signal = loop.create_future()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._on_signal, each)
        watchdog.watch(lambda: self._scheduler.why_no_progress(self._assigned()), stall_seconds, _end_stalled)
        await self._app.start()
        self._has_started = True
        notify.ready()
        if self._canary is not None:
            self._canary.watch(self._app.is_leader, self._scheduler.stopping)
        self._log.info("worker_started", health=f"http://127.0.0.1:{self._app.conf.web_port}/healthz", pid=os.getpid())
        ended: asyncio.Future[object] = asyncio.ensure_future(self._app.wait_until_stopped())
        await asyncio.wait([self._signal, ended], return_when=asyncio.FIRST_COMPLETED)
        if not self._signal.done():
            self._log.error("worker_crashed", error=str(self._app.crash_reason))
            _end_now()  # an exit would wait for the threads of polls under way, for hours perhaps
        await self._stop()
        return 0

    def _on_signal(self, number: int) -> None:
        """The first signal lets polls reach the end of a chunk; the second one ends at once. Both are safe."""
        if self._scheduler.stopping.is_set():
            os._exit(128 + number)
        self._scheduler.stopping.set()
        self._log.info("worker_stopping", signal=number)
        asyncio.get_running_loop().call_later(STOP_SECONDS, os._exit, 128 + number)
        assert self._signal is not None
        self._signal.set_result(number)

    async def _stop(self) -> None:
        while not self._scheduler.is_idle:
            await asyncio.sleep(0.05)
        await self._app.stop()
        self._threads.shutdown(wait=False)
        self._log.info("worker_stopped")


def end(error: CorrentezaError) -> NoReturn:
    """End the process at once, from any thread: what it has not committed, another worker will do."""
    print(f"error: {redacted(str(error))}", file=sys.stderr, flush=True)
    os._exit(error.exit_code)


def _end_stalled(trouble: str, seconds: float) -> None:
    log.get_logger("schedule").error("worker_stalled", trouble=trouble, seconds=round(seconds, 1))
    _end_now()


def _end_now() -> NoReturn:
    sys.stderr.flush()
    os._exit(STALLED)


def _app(scheduler: Scheduler, port: int, folder: Path) -> faust.App:
    """The Faust application: at-least-once, without tables and own topics; it serves only `/healthz`."""
    return faust.App(
        id=scheduler.prefix + APP,
        broker=";".join(f"kafka://{host.strip()}" for host in scheduler.bootstrap.split(",")),
        broker_credentials=_credentials(kafka.login_of(scheduler.bootstrap)),
        store="memory://",
        datadir=folder,
        topic_allow_declare=False,
        topic_partitions=REQUEST_PARTITIONS,
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        # A poll may take hours and must not delay a rebalance; a request that is delivered twice is recognised as old.
        stream_wait_empty=False,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=port,
        web_in_thread=True,  # it still answers, and reports it, if the event loop hangs
        web_router_enabled=False,
        web_tables_enabled=False,
        web_stats_enabled=False,
        web_graph_enabled=False,
        web_metrics_enabled=False,
    )


def _credentials(login: kafka.Login) -> CredentialsT | None:
    tls = login.tls()
    if login.is_sasl:
        return SASLCredentials(mechanism=login.mechanism, username=login.user, password=login.password, ssl_context=tls)
    return SSLCredentials(tls) if tls else None

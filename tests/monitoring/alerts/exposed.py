"""Three processes that export values of a test: the shipped scrape jobs without a pipeline."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.monitoring.alerts.cases import STATES

NOW = object()
"""A value that is the present time."""
PARTS = ("broker", "registry", "lake", "checkpoints", "disk", "schedule", "driver")
TABLES = (("bronze", "bcb_sgs"), ("silver", "bcb_sgs"), ("gold", "external_factors_daily"))


class FakeMetrics:
    """The values of each job; a job that is down does not answer.

    Attributes:
        series: job → series with its labels → value, or NOW.
        down: jobs that do not answer.
    """

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.series: dict[str, dict[str, Any]] = {"monitor": _monitor(), "stream": {}, "schedule": {}}
        self.series["stream"]['correnteza_batch_rows_total{layer="bronze",outcome="read"}'] = 100
        self.series["schedule"]["correnteza_leader"] = 1

    def set(self, job: str, **series: Any) -> None:
        """Change values by a metric's name without prefix; all its series take the value, and None takes them out."""
        for name, value in series.items():
            for each in [each for each in self.series[job] if each.partition("{")[0] == f"correnteza_{name}"]:
                if value is None:
                    del self.series[job][each]
                else:
                    self.series[job][each] = value

    def part(self, name: str, *, is_up: bool) -> None:
        """A part of the monitor."""
        self.series["monitor"][f'correnteza_up{{part="{name}"}}'] = int(is_up)

    def text(self, job: str) -> str:
        """As Prometheus reads it."""
        now = time.time()
        return "".join(f"{name} {now if value is NOW else value}\n" for name, value in self.series[job].items())


@contextmanager
def exposed() -> Iterator[tuple[FakeMetrics, dict[str, list[int]]]]:
    """Serve a healthy pipeline's metrics. Returns: what to change, and job → ports."""
    state = FakeMetrics()
    servers = {job: ThreadingHTTPServer(("127.0.0.1", 0), _handler(state, job)) for job in state.series}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state, {job: [server.server_address[1]] for job, server in servers.items()}
    for server in servers.values():
        server.shutdown()
        server.server_close()


def _monitor() -> dict[str, Any]:
    found: dict[str, Any] = {f'correnteza_up{{part="{each}"}}': 1 for each in PARTS}
    found |= {f'correnteza_part_last_success_timestamp_seconds{{part="{each}"}}': NOW for each in PARTS}
    found |= {f'correnteza_canary_newest_timestamp_seconds{{stage="{each}"}}': NOW for each, _ in TABLES}
    found["correnteza_canary_interval_seconds"] = 0.5  # five of them pass within the divided ten minutes
    for layer, table in TABLES:
        of = f'layer="{layer}",table="{table}"'
        found |= {f"correnteza_lag_records{{{of}}}": 0, f"correnteza_lag_seconds{{{of}}}": 0}
        found[f"correnteza_query_last_commit_timestamp_seconds{{{of}}}"] = time.time() - 3600
        found |= {f'correnteza_query_state{{{of},state="{each}"}}': int(each == "ok") for each in STATES}
    found |= {
        'correnteza_retention_seconds_to_loss{table="bcb_sgs"}': 600_000,
        'correnteza_retention_used_ratio{table="bcb_sgs"}': 0.01,
        'correnteza_dead_letters_open{dataset="bcb_sgs"}': 0,
        'correnteza_lost_records_total{dataset="bcb_sgs"}': 0,
        'correnteza_source_circuit_open{source="bcb_sgs"}': 0,
        'correnteza_source_overdue_slots{source="bcb_sgs"}': 0,
        'correnteza_source_periods_missing{source="bcb_sgs"}': 0,
        'correnteza_open_transaction_seconds{dataset="bcb_sgs"}': 0,
        "correnteza_broker_offline_partitions": 0,
        "correnteza_broker_under_replicated_partitions": 0,
        "correnteza_disk_free_bytes": 50e9,
        "correnteza_disk_size_bytes": 100e9,
    }
    return found


def _handler(state: FakeMetrics, job: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if job in state.down:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(state.text(job).encode())

        def log_message(self, *arguments: Any) -> None:
            """Requests are not logged."""

    return Handler

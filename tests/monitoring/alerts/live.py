"""A Prometheus and an Alertmanager with the shipped rules and shorter durations, and a receiver of their messages."""

import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import yaml

from correnteza.embedded import ports
from tests.helpers import ROOT, wait_for
from tests.monitoring.alerts.promtool import documents, written
from tests.monitoring.alerts.scaled import scaled
from tests.tools import program, started_in

JOBS = ("monitor", "stream", "schedule")
SHIPPED = ROOT / "deploy/prometheus"


@dataclass(frozen=True)
class Notification:
    """One alert in a message that Alertmanager sent.

    Attributes:
        receiver: `page`, `ticket` or `watchdog`. status: `firing` or `resolved`.
        at: when the message came, by the monotonic clock.
    """

    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    at: float

    @property
    def name(self) -> str:
        return self.labels["alertname"]


@dataclass
class Receiver:
    """The receiver of all messages, in order."""

    messages: list[Notification] = field(default_factory=list)

    def fired(self, since: float = 0.0) -> list[Notification]:
        """Alerts that were reported as firing, without the Watchdog."""
        return [
            each for each in self.messages if each.status == "firing" and each.at > since and each.name != "Watchdog"
        ]

    def pages(self, since: float = 0.0) -> set[str]:
        """Names of the alerts that were sent as pages."""
        return {each.name for each in self.fired(since) if each.receiver == "page"}

    def newest(self, name: str, since: float, **labels: str) -> Notification | None:
        """The newest message about an alert."""
        found = [
            each
            for each in self.messages
            if each.name == name and each.at > since and labels.items() <= dict(each.labels).items()
        ]
        return found[-1] if found else None


@dataclass
class Alerting:
    """Prometheus, Alertmanager and the receiver of one test."""

    prometheus: str
    alertmanager: str
    receiver: Receiver

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The values of an expression now."""
        found = _get(f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        return list(found["data"]["result"])

    def wait_told(self, name: str, status: str, since: float, seconds: float, **labels: str) -> Notification:
        """Until the newest message about an alert has this status."""

        def told() -> Notification | None:
            newest = self.receiver.newest(name, since, **labels)
            return newest if newest is not None and newest.status == status else None

        return wait_for(told, f"{name} {labels} is told as {status}; told were {self.receiver.messages}", seconds)

    def page(self, path: str) -> str:
        """What Prometheus serves."""
        try:
            with urllib.request.urlopen(f"{self.prometheus}{path}", timeout=30) as answer:
                return str(answer.read().decode())
        except HTTPError as error:
            pytest.fail(f"{path}: {error.read().decode()}")

    def wait_quiet(self, seconds: float, besides: Sequence[str] = ()) -> None:
        """Until all targets are scraped, the Watchdog was sent, and nothing fires or is about to.

        Args: besides: alerts that may.
        """

        def is_quiet() -> bool:
            scraped = self.query("count by (job) (up)")
            pending = _get(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
            names = {each["labels"]["alertname"] for each in pending} | set(self.firing())
            return (
                len(scraped) == len(JOBS)
                and names <= {"Watchdog", *besides}
                and self.receiver.newest("Watchdog", 0) is not None
            )

        wait_for(is_quiet, "all is quiet", seconds)

    def firing(self) -> list[str]:
        """Alerts that fire now, inhibited ones too; the Watchdog is none of them."""
        found = _get(f"{self.alertmanager}/api/v2/alerts?active=true&inhibited=true")
        return sorted({each["labels"]["alertname"] for each in found} - {"Watchdog"})


@contextmanager
def alerting(
    folder: Path,
    targets: Mapping[str, Sequence[int]],
    factor: float,
    *,
    without: Sequence[str] = (),
    inhibits: bool = True,
    every: str = "500ms",
    group_wait: str = "1s",
) -> Iterator[Alerting]:
    """Run both beside the block.

    Args:
        targets: job → ports on this machine. without: alerts that are left out.
        inhibits: whether consequences are kept back, as shipped.
        every: how often targets are scraped and rules evaluated, and how long an answer may take.
        group_wait: how long a message waits for its cause. Shipped are 30 s, far more than real processes differ by
            in noticing a cause and what follows from it; that difference is not divided.
    """
    folder.mkdir(parents=True, exist_ok=True)
    receiver = Receiver()
    hook = ThreadingHTTPServer(("127.0.0.1", 0), _hook(receiver))
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    main, other = ports.free(), ports.free()
    started: list[subprocess.Popen[bytes]] = []
    try:
        config = _alertmanager(hook.server_address[1], group_wait, inhibits=inhibits)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
        started.append(
            _start(
                folder,
                "prometheus-alertmanager",
                f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/alertmanager",
                f"--web.listen-address=127.0.0.1:{other}",
                "--cluster.listen-address=",
            )
        )
        (folder / "prometheus.yml").write_text(
            yaml.safe_dump(_prometheus(folder, targets, other, factor, without, every))
        )
        started.append(
            _start(
                folder,
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{main}",
                f"--web.console.templates={SHIPPED}/consoles",
                f"--web.console.libraries={SHIPPED}/consoles",
                "--rules.alert.resend-delay=1s",
            )
        )
        made = Alerting(f"http://127.0.0.1:{main}", f"http://127.0.0.1:{other}", receiver)
        for process, url in zip(started, (f"{made.alertmanager}/-/ready", f"{made.prometheus}/-/ready"), strict=True):
            wait_for(lambda process=process, url=url: _is_ready(process, url), url)
        yield made
    finally:
        for process in started:
            process.kill()
            process.wait()
        hook.shutdown()
        hook.server_close()


def _prometheus(
    folder: Path,
    targets: Mapping[str, Sequence[int]],
    alertmanager: int,
    factor: float,
    without: Sequence[str],
    every: str,
) -> dict[str, Any]:
    """The shipped configuration, with this test's ports and intervals."""
    config: dict[str, Any] = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in targets[job["job_name"]]]}]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager}"]}]
    rules = {name: scaled(document, factor) for name, document in documents().items()}
    for document in rules.values():
        for group in document["groups"]:
            group["rules"] = [rule for rule in group["rules"] if rule["alert"] not in without]
    config["rule_files"] = [str(file) for file in written(folder / "rules", rules)]
    return config


def _alertmanager(hook: int, group_wait: str, *, inhibits: bool) -> dict[str, Any]:
    """The shipped configuration, with this test's address and hardly any wait."""
    config: dict[str, Any] = yaml.safe_load((SHIPPED / "alertmanager.yml").read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": group_wait, "group_interval": "1s"}
    for receiver in config["receivers"]:
        receiver["webhook_configs"][0]["url"] = f"http://127.0.0.1:{hook}/{receiver['name']}"
    if not inhibits:
        config["inhibit_rules"] = []
    return config


def _hook(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for each in message["alerts"]:
                receiver.messages.append(
                    Notification(self.path[1:], each["status"], each["labels"], each["annotations"], time.monotonic())
                )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Requests are not logged."""

    return Hook


def _start(folder: Path, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    file = program(name)
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen([file, *arguments], stdout=log, stderr=subprocess.STDOUT, cwd=started_in(file, folder))


def _is_ready(process: "subprocess.Popen[bytes]", url: str) -> bool:
    assert process.poll() is None, f"it ended with {process.returncode}: {process.args[0]}, see its log"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)

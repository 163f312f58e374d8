"""The embedded schema registry: Apicurio on an H2 file, through its Confluent-compatible API."""

import urllib.error
import urllib.request
from pathlib import Path

from correnteza.embedded import ports
from correnteza.embedded.class_archive import archive_options
from correnteza.embedded.processes import Program
from correnteza.embedded.service import Service

JVM = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")

MANAGEMENT_PORT = 9000
"""On the loopback interface. It is fixed, because in a container the registry has its own network."""


def registry(home: Path, logs: Path, jar_folder: Path, java: Path, listen: str | None = None) -> Service:
    """The registry of this home; `<home>/registry` is its own.

    Args:
        listen: host:port for clients. None: the loopback interface, at a port that is stored.
    """
    own = home / "registry"
    own.mkdir(parents=True, exist_ok=True)
    if listen is None:
        port = ports.remembered(own / "ports.json", ("api", "management"))
        host, api, management = ports.HOST, port["api"], port["management"]
    else:
        host, _, given = listen.rpartition(":")
        api, management = int(given), MANAGEMENT_PORT
    options = {
        "quarkus.http.host": host,
        "quarkus.http.port": api,
        "quarkus.management.host": ports.HOST,
        "quarkus.management.port": management,
        # By default there is one line per request.
        "quarkus.log.level": "WARN",
        "quarkus.http.access-log.enabled": "false",
        "apicurio.storage.kind": "sql",
        "apicurio.storage.sql.kind": "h2",
        "apicurio.datasource.username": "sa",
        "apicurio.datasource.password": "sa",
        # WRITE_DELAY=0: without it H2 acknowledges a schema first and writes it later; kill -9 in between loses it.
        "apicurio.datasource.url": f"jdbc:h2:file:{own / 'registry'};WRITE_DELAY=0",
    }
    command = [
        str(java / "bin" / "java"),
        *JVM,
        *archive_options(jar_folder, "registry"),
        *(f"-D{name}={value}" for name, value in options.items()),
        "-jar",
        str(jar_folder / "registry" / "quarkus-run.jar"),
    ]
    health = f"http://{ports.HOST}:{management}/health/ready"
    return Service(
        Program("registry", command, logs / "registry.log", is_foreign=True),
        is_ready=lambda: _answers(health),
        address=f"http://{host}:{api}/apis/ccompat/v7",
    )


def _answers(url: str) -> bool:
    # A local address: proxies from the environment must not be used.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

"""The embedded Kafka broker: one KRaft node, broker and controller in one small JVM."""

import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from correnteza.embedded import fenced_start, jars, ports
from correnteza.embedded.class_archive import archive_options, of_kit, used
from correnteza.embedded.processes import Program, environment
from correnteza.embedded.service import Service
from foundation import kafka
from foundation.errors import UnsafeState

# Serial collector and first-tier compiler: half the CPU at the start, and the broker of one machine is never the
# bottleneck.
_SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
JVM = ("-Xms256m", "-Xmx512m", *_SMALL, "-XX:+ExitOnOutOfMemoryError")

CONTROLLER_PORT = 9093
"""On the loopback interface. It is fixed, because in a container the broker has its own network."""

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{address},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{address}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.quorum.bootstrap.servers={controller}
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=2
log.cleaner.dedupe.buffer.size=4194304
"""

_CONTROLLER_ALONE = """\
process.roles=controller
node.id=1
listeners=CONTROLLER://{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.bootstrap.servers={controller}
log.dirs={data}
broker.session.timeout.ms=500
broker.heartbeat.interval.ms=100
"""
"""Of the controller that fences a killed broker (`fenced_start`): no broker speaks to it."""

_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{{yyyy-MM-dd'T'HH:mm:ss.SSS}}{{UTC}}Z %p %m (%c{{1}})%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
logger.told.name = {told}
logger.told.level = INFO
"""


def broker(home: Path, logs: Path, jar_folder: Path, java: Path, listen: str | None = None) -> Service:
    """The broker of this home, its storage formatted.

    Args:
        home: `<home>/kafka` is the broker's own: data, configuration, cluster id, ports.
        java: a Java home.
        listen: host:port for clients. None: the loopback interface, at a port that is stored.

    Raises:
        UnsafeState: the storage cannot be formatted, or belongs to another cluster id.
    """
    own = home / "kafka"
    own.mkdir(parents=True, exist_ok=True)
    if listen is None:
        port = ports.remembered(own / "ports.json", ("client", "controller"))
        listen, controller = f"{ports.HOST}:{port['client']}", f"{ports.HOST}:{port['controller']}"
    else:
        controller = f"{ports.HOST}:{CONTROLLER_PORT}"
    data = own / "data"
    properties, alone = own / "server.properties", own / "controller.properties"
    properties.write_text(_PROPERTIES.format(address=listen, controller=controller, data=data))
    alone.write_text(_CONTROLLER_ALONE.format(controller=controller, data=data))
    on_path = ["-cp", ":".join(map(str, jars.class_path(jar_folder, "kafka")))]
    program = str(java / "bin" / "java")
    base = [program, _logging(own / "log4j2.properties", "kafka.server.KafkaRaftServer")]
    of_controller = [program, _logging(own / "controller-log4j2.properties", "org.apache.kafka.controller")]
    small = ["-Xmx128m", *_SMALL, *used(of_kit(jar_folder, "kafka")), *on_path]
    _format(own, [*base, *small], properties)
    command = fenced_start.command(
        data,
        [*of_controller, *small, "kafka.Kafka", str(alone)],
        [*base, *JVM, *archive_options(jar_folder, "kafka"), *on_path, "kafka.Kafka", str(properties)],
    )
    return Service(
        Program("broker", command, logs / "broker.log", is_foreign=True),
        is_ready=lambda: answers_metadata(listen),
        address=listen,
    )


def _logging(file: Path, told: str) -> str:
    """Java's option for a logging of warnings and of what one logger tells. Args: told: the logger's name."""
    file.write_text(_LOGGING.format(told=told))
    return f"-Dlog4j2.configurationFile={file}"


def answers_metadata(bootstrap: str) -> bool:
    """Whether a broker answers a metadata request."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    host, _, port = bootstrap.partition(":")
    if not ports.accepts(host, int(port)):
        return False
    try:
        return bool(AdminClient(kafka.client(bootstrap)).list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def new_cluster_id() -> str:
    """16 random bytes as Kafka writes them. It never begins with a dash, because Kafka's tools would read it as an
    option."""
    while True:
        identity = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not identity.startswith("-"):
            return identity


def _format(own: Path, java: list[str], properties: Path) -> None:
    """Format new storage with a cluster id, once: `cluster.id` is written when that has succeeded."""
    data, identity = own / "data", own / "cluster.id"
    if identity.exists():
        return
    if any(data.rglob("*.log")):
        raise UnsafeState(f"{data} holds a broker's data, but {identity} is gone", hint=f"restore {own} whole")
    shutil.rmtree(data, ignore_errors=True)  # an interrupted format
    cluster_id = new_cluster_id()
    tool = ["kafka.tools.StorageTool", "format", "--standalone", "-t", cluster_id, "-c", str(properties)]
    format_it = Program("broker", [*java, *tool], own / "format.log", is_foreign=True)
    answer = subprocess.run(format_it.command, env=environment(format_it), capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise UnsafeState(
            f"the broker's storage in {data} cannot be formatted: {(answer.stderr or answer.stdout).strip()}",
            hint=f"look at the files in {own}",
        )
    identity.write_text(cluster_id)

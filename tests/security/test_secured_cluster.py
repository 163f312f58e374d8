"""A cluster with authentication and ACLs: each component works there with the rights of its role, and has no others."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from deltalake import DeltaTable

from correnteza import acls
from correnteza.settings import Settings
from foundation import kafka
from replay.server import serve
from schemas.contracts import load, load_all
from tests.helpers import PATIENCE_SECONDS, UNMODIFIED, Command, environment, run_to_its_end, wait_for
from tests.secured_cluster import PASSWORDS, SecuredCluster, secured_cluster

pytestmark = pytest.mark.integration

SOURCE = "bcb_ptax"
TOPIC = load(SOURCE).topic
ROLES = ("admin", "poller", "stream", "monitor", "stranger")
DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}

Run = Callable[..., Any]

PATIENT = f"""
from correnteza.cli import main
from correnteza.commands import status
from monitoring.lag import waiting

status.CONNECT_WITHIN_SECONDS = status.ANSWER_WITHIN_SECONDS = waiting.ANSWER_WITHIN_SECONDS = {PATIENCE_SECONDS}
main()
"""
"""`status` waits for its answer for as long as tests do, and not for a second or two."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[SecuredCluster]:
    """A broker that requires TLS, a password and an ACL; the superuser has granted each role its rights."""
    with secured_cluster(tmp_path_factory.mktemp("secured")) as running:
        contracts = list(load_all().values())
        # One source's transactional id, and not all of them: S6.
        wanted = acls.rights(contracts, "", sources=[SOURCE])
        acls.apply(running.internal, wanted, {role: f"User:{role}" for role in acls.ROLES})
        yield running


@pytest.fixture
def run(cluster, services, home, tmp_path) -> Run:
    """Run a command as one of the users, on this cluster and the registry that all tests share."""

    def command(user: str, *arguments: str, start: Sequence[str] = UNMODIFIED, **variables: str) -> Any:
        own = Settings(home=home, kafka_bootstrap=None, registry_url=services.registry_url)
        return run_to_its_end(own, tmp_path, start, arguments, {**cluster.variables(user), **variables})

    return command


def client(cluster: SecuredCluster, user: str, **options: Any) -> dict[str, Any]:
    """A client of a user's; the logins of this process are by address, and so are not used here."""
    return {
        "bootstrap.servers": cluster.bootstrap,
        **cluster.login(user).of_librdkafka(),
        "log_level": 0,
        "socket.timeout.ms": 50_000,  # less than a transaction may take, as librdkafka demands
        **options,
    }


def may_write(cluster: SecuredCluster, user: str) -> bool:
    """To the topic of data."""
    errors: list[KafkaError | None] = []
    producer = Producer(client(cluster, user, **{"message.timeout.ms": PATIENCE_SECONDS * 1000}))
    producer.produce(TOPIC, b"value", b"key", on_delivery=lambda error, _: errors.append(error))
    producer.flush()
    return _is_allowed(errors[0])


def may_read(cluster: SecuredCluster, user: str) -> bool:
    """The topic of data."""
    reader = Consumer(client(cluster, user, **{"group.id": kafka.READERS, "enable.partition.eof": True}))
    reader.assign([TopicPartition(TOPIC, 0, 0)])
    try:
        message = wait_for(lambda: reader.poll(1.0), f"an answer to {user}, who reads")
        error = message.error()
        return _is_allowed(None if error is None or error.code() == KafkaError._PARTITION_EOF else error)
    finally:
        reader.close()


def may_create(cluster: SecuredCluster, user: str) -> bool:
    """A topic of another name."""
    admin = AdminClient(client(cluster, user))  # the name keeps the client until its answer has come
    return _may(admin.create_topics([NewTopic("another.v1", 1)]))


def may_publish(cluster: SecuredCluster, user: str, source: str) -> bool:
    """Take over the transactional id of a source."""
    producer = Producer(client(cluster, user, **{"transactional.id": f"correnteza.{source}"}))
    try:
        producer.init_transactions(30)
    except KafkaException as error:
        return _is_allowed(error.args[0])
    return True


def may_grant(cluster: SecuredCluster, user: str) -> bool:
    """Itself, or anybody, any right."""
    rule = AclBinding(
        ResourceType.TOPIC,
        "another.v1",
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    admin = AdminClient(client(cluster, user))
    return _may(admin.create_acls([rule]))


def _may(answers: Any) -> bool:
    for answer in answers.values():
        try:
            answer.result()
        except KafkaException as error:
            return _is_allowed(error.args[0])
    return True


def _is_allowed(error: KafkaError | None) -> bool:
    if error is None:
        return True
    assert error.code() in DENIED, error  # another trouble says nothing about rights
    return False


RIGHTS: dict[str, tuple[Callable[..., bool], set[str]]] = {
    "write data": (may_write, {"poller"}),
    "read data": (may_read, {"stream", "monitor"}),
    "create topics of other names": (may_create, set()),
    "grant rights": (may_grant, {"admin"}),
    "publish its source": (lambda cluster, user: may_publish(cluster, user, SOURCE), {"poller"}),
    "publish another source": (lambda cluster, user: may_publish(cluster, user, "bcb_sgs"), set()),
}
"""What one can do → who may."""


def too_much_or_too_little(cluster: SecuredCluster, what: str) -> list[str]:
    """The oracle: who may do something, and should not, or the other way round."""
    able, allowed = RIGHTS[what]
    found = {user for user in ROLES if able(cluster, user)}
    return [f"{user} may {what}" for user in sorted(found - allowed)] + [
        f"{user} may not {what}" for user in sorted(allowed - found)
    ]


@pytest.fixture
def declared(cluster, run) -> None:
    """The topics are there, made by the administrator's role."""
    done = run("admin", "topics", "apply")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("what", RIGHTS)
def test_each_role_may_do_its_work_and_nothing_else(cluster, declared, what):
    assert too_much_or_too_little(cluster, what) == []


def test_control_a_rule_for_everybody_lets_a_stranger_in(cluster, declared, control):
    control.holds(too_much_or_too_little, cluster, "write data")
    rule: tuple[Any, ...] = (ResourceType.TOPIC, TOPIC, ResourcePatternType.LITERAL, "User:*", "*")
    rule += (AclOperation.WRITE, AclPermissionType.ALLOW)
    admin = AdminClient(kafka.client(cluster.internal))
    _may(admin.create_acls([AclBinding(*rule)]))
    try:
        wait_for(lambda: may_write(cluster, "stranger"), "the rule is in force")
        control.objects(too_much_or_too_little, cluster, "write data", damage="stranger may write data")
    finally:
        for removed in admin.delete_acls([AclBindingFilter(*rule)]).values():
            removed.result()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"CORRENTEZA_KAFKA_PASSWORD_FILE": "", "CORRENTEZA_KAFKA_PASSWORD": "wrong"}, "does not let us in"),
        ({"CORRENTEZA_KAFKA_CA": ""}, "certificate verify failed"),
        (
            dict.fromkeys(
                (
                    "CORRENTEZA_KAFKA_SECURITY",
                    "CORRENTEZA_KAFKA_USER",
                    "CORRENTEZA_KAFKA_PASSWORD_FILE",
                    "CORRENTEZA_KAFKA_CA",
                ),
                "",
            ),
            "the broker does not answer",
        ),
    ],
    ids=["a wrong password", "an unknown authority", "no encryption"],
)
def test_a_wrong_login_is_refused_with_the_reason(cluster, services, home, tmp_path, changed, said):
    variables = {name: value for name, value in {**cluster.variables("admin"), **changed}.items() if value}
    own = Settings(home=home, kafka_bootstrap=None, registry_url=services.registry_url)
    done = run_to_its_end(own, tmp_path, UNMODIFIED, ("topics", "plan"), variables)
    assert (done.returncode, said in done.stderr) == (4, True), done.stderr


def places_of_passwords(folder: Path, *said: str) -> list[str]:
    """The oracle: where a password stands that was handed over in a file."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [
        f"the password of {user} stands in {file.relative_to(folder)}"
        for file in files
        for user, password in PASSWORDS.items()
        if password.encode() in file.read_bytes()
    ] + [f"the password of {user} is said" for user, password in PASSWORDS.items() if password in "".join(said)]


def test_a_record_goes_from_poll_to_bronze_to_status_with_the_rights_of_each_role(cluster, declared, run, home):
    with serve(day=1) as replay:
        urls = json.dumps({SOURCE: replay.base_urls[SOURCE]})
        clock = f"{datetime(2025, 11, 12, 15, tzinfo=UTC).isoformat()}@1@{time.time()}"
        polled = run("poller", "poll", SOURCE, "--json", CORRENTEZA_BASE_URLS=urls, CORRENTEZA_CLOCK=clock)
    assert polled.returncode == 0, polled.stderr
    streamed = run("stream", "run", "bronze", "--once")
    assert streamed.returncode == 0, streamed.stderr
    bronze = DeltaTable(str(home / "lake" / "bronze" / SOURCE))
    assert bronze.to_pyarrow_table().num_rows > 100
    status = run("monitor", "status", "--json", start=("-c", PATIENT))
    assert status.returncode == 0, status.stderr
    behind = {(row["layer"], row["table"]): row["records_behind"] for row in json.loads(status.stdout)["layers"]}
    assert behind["bronze", SOURCE] == 0
    assert places_of_passwords(home, *(each.stdout + each.stderr for each in (polled, streamed, status))) == []


def test_a_worker_of_the_schedule_logs_in_too(cluster, declared, services, home, tmp_path):
    """Faust has a client of its own."""
    own = Settings(home=home, kafka_bootstrap=None, registry_url=services.registry_url)
    variables = environment(own, {**cluster.variables("poller"), "CORRENTEZA_CANARY_INTERVAL_SECONDS": "0"})
    arguments = ("--log-format", "json", "schedule", "--source", SOURCE)
    worker = Command(arguments, tmp_path, variables, tmp_path / "worker.log")
    try:
        wait_for(lambda: "requests_emitted" in worker.said or worker.poll() is not None, "the worker leads")
        assert worker.poll() is None, worker.said
    finally:
        worker.terminate()
        assert worker.wait() == 0, worker.said

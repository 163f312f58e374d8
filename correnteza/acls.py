"""What each component may do on a Kafka cluster with an authorizer: the smallest set of rights with which it works.

One principal per component. Kafka's `StandardAuthorizer` refuses what no rule allows, unless
`allow.everyone.if.no.acl.found` is set.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from foundation import kafka
from foundation.errors import CorrentezaError
from producers.redrive import REDRIVES
from schemas import queues
from schemas.contracts import Contract, ours

ROLES = {
    "admin": "`topics apply`, `topics acls --apply`, `doctor`",
    "poller": "`schedule`, `poll`, `dead-letters redrive` and `discard`, `withdrawals accept` and `discard`",
    "stream": "`run`, `rebuild`, `checkpoint`, `verify`, `maintain`",
    "monitor": "`monitor`, `status`",
}
"""Component → the commands that it runs."""

TIMEOUT_SECONDS = 30
_SPARK_GROUPS = "spark-kafka-source-"
"""Spark names a consumer group of this beginning for each query; nothing is committed to it."""


@dataclass(frozen=True)
class Right:
    """Some operations that a component may do on one resource.

    Attributes:
        resource: `topic`, `group`, `transactional id` or `cluster`.
        is_prefix: whether `name` is the beginning of the names meant.
    """

    role: str
    resource: str
    name: str
    operations: tuple[str, ...]
    is_prefix: bool = False

    @property
    def pattern(self) -> str:
        """Kafka's word for how the name is meant."""
        return "prefixed" if self.is_prefix else "literal"


def rights(
    contracts: Iterable[Contract], prefix: str, *, shadow_group: str | None = None, sources: Sequence[str] = ()
) -> list[Right]:
    """Every right of every component, on our own topics: who owns a topic grants what is read of it.

    Args:
        prefix: of topics, groups and transactional ids.
        shadow_group: the group that the monitor commits bronze's offsets to, if any.
        sources: those that the poller may publish; none stands for all.
    """
    data = {prefix + contract.topic: contract for contract in ours(contracts)}
    own = [prefix + name for name in queues.PARTITIONS]
    return [
        *_admin([*data, *own]),
        *_poller(data, own, prefix, sources),
        *(Right("stream", "topic", name, ("describe", "read")) for name in data),
        Right("stream", "group", _SPARK_GROUPS, ("read",), is_prefix=True),
        Right("stream", "group", kafka.READERS, ("read",)),
        *(Right("monitor", "topic", name, ("describe", "describe_configs", "read")) for name in [*data, *own]),
        Right("monitor", "group", kafka.READERS, ("read",)),
        Right("monitor", "cluster", "kafka-cluster", ("describe",)),
        *([Right("monitor", "group", shadow_group, ("describe", "read"))] if shadow_group else []),
    ]


def _admin(topics: Iterable[str]) -> Iterator[Right]:
    for name in topics:
        yield Right(
            "admin", "topic", name, ("alter", "alter_configs", "create", "delete", "describe", "describe_configs")
        )
    yield Right("admin", "cluster", "kafka-cluster", ("alter", "describe"))


def _poller(data: Mapping[str, Contract], own: Iterable[str], prefix: str, sources: Sequence[str]) -> Iterator[Right]:
    for name, contract in data.items():
        # A poller reads its cursors and what was redriven, not the data that it publishes.
        reads = ("read",) if contract.compacted or contract.name == REDRIVES else ()
        yield Right("poller", "topic", name, ("describe", *reads, "write"))
    for name in own:
        yield Right("poller", "topic", name, ("describe", "read", "write"))
    yield Right("poller", "group", prefix + queues.APP, ("describe", "read"))
    yield Right("poller", "group", kafka.READERS, ("read",))
    # Who has a transactional id can fence the source of that id, and so must not have another's.
    ids = f"{prefix}correnteza."
    for source in sources:
        yield Right("poller", "transactional id", ids + source, ("describe", "write"))
    if not sources:
        yield Right("poller", "transactional id", ids, ("describe", "write"), is_prefix=True)


def apply(bootstrap: str, wanted: Iterable[Right], principals: Mapping[str, str]) -> int:
    """Grant what is not granted yet; returns how many rules are new. Again is harmless. Nothing is taken away.

    Args:
        principals: role → principal, such as `User:poller`; a role that is not named gets nothing.

    Raises:
        CorrentezaError: the cluster refuses it: it has no authorizer, or we may not alter it.
        TransientError: it does not answer.
    """
    admin = AdminClient(kafka.client(bootstrap, {"socket.timeout.ms": TIMEOUT_SECONDS * 1000}))
    bindings = {
        each for right in wanted if right.role in principals for each in _bindings(right, principals[right.role])
    }
    try:
        everything = AclBindingFilter(  # None is anything, which its types do not say
            ResourceType.ANY,
            None,  # type: ignore[arg-type]
            ResourcePatternType.ANY,
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        there = set(admin.describe_acls(everything, request_timeout=TIMEOUT_SECONDS).result())
        missing = [each for each in bindings if each not in there]
        for answer in admin.create_acls(missing, request_timeout=TIMEOUT_SECONDS).values() if missing else ():
            answer.result()
    except KafkaException as error:
        raise CorrentezaError(
            f"the cluster at {bootstrap} takes no rules: {error.args[0].str()}",
            hint="it needs authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer, and a user"
            " who may alter the cluster",
        ) from error
    return len(missing)


_RESOURCES: dict[str, Any] = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,  # so librdkafka names the cluster
}


def _bindings(right: Right, principal: str) -> Iterator[AclBinding]:
    pattern = ResourcePatternType.PREFIXED if right.is_prefix else ResourcePatternType.LITERAL
    for operation in right.operations:
        yield AclBinding(
            _RESOURCES[right.resource],
            right.name,
            pattern,
            principal,
            "*",
            AclOperation[operation.upper()],
            AclPermissionType.ALLOW,
        )

"""`correnteza doctor`: problems that would keep the pipeline from starting, and the commands that repair them."""

import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal

import pyarrow as pa
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from correnteza.company import require
from correnteza.embedded import jars
from correnteza.places import places
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation import kafka
from foundation.errors import CorrentezaError, DependencyUnavailable, UnsafeState
from foundation.redact import redacted
from monitoring.lag.hanging import hanging
from monitoring.lag.kafka import Cluster
from monitoring.lag.words import instant
from schemas.contracts import load_all, ours
from schemas.registry import Registry
from storage.probe import require_conforming
from stream_jobs.bronze.job import bronze_contracts, table_name
from stream_jobs.gold.model import GoldTable
from stream_jobs.gold.model import discover as gold_tables
from stream_jobs.running import diagnosis
from stream_jobs.running.jobs import Broker
from stream_jobs.running.topic_ids import current_ids
from stream_jobs.silver.tables.model import discover as silver_tables

LEAST_FREE_BYTES = 1 << 30
"""With less free space, the spool's limit (256 MiB) and a running batch may be in conflict."""

_ANSWER_WITHIN_SECONDS = 10


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        kind: `unsafe` stops a query, `away` means that a dependency does not answer, `advice` stops nothing.
    """

    kind: Literal["unsafe", "away", "advice"]
    what: str
    mend: str


def command(
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Check set-up, services and every query's checkpoint. Starts and changes nothing.

    Exit 3 if a query would refuse to start, 4 if a dependency is away.
    """
    form = Form.of(json_, csv_, output)
    settings = Settings()
    # First: it may go on in the environment of the systems beside the product, and then begins again there.
    found = [*_databases(settings), *_set_up(settings), *_disk(settings), *_store(settings)]
    broker, topic_ids, of_broker = _broker(settings)
    found += [*of_broker, *_registry(settings), *_queries(settings, broker, topic_ids)]
    columns = ("kind", "what", "mend")
    form.give(
        pa.table({column: [getattr(each, column) for each in found] for column in columns}),
        people="\n".join(f"{each.kind:6}  {each.what}\n        try: {each.mend}" for each in found) or "all is well",
        document=json.dumps([asdict(each) for each in found], indent=1),
    )
    kinds = {each.kind for each in found}
    if "unsafe" in kinds:
        raise UnsafeState("a query would refuse to start", hint="run the commands above, in their order")
    if "away" in kinds:
        raise DependencyUnavailable("something is missing or does not answer", hint="the commands above")


def _databases(settings: Settings) -> list[Finding]:
    """Whether the metadata databases have the tables that the installed systems expect, where settings name any."""
    if all(each is None for each in (settings.airflow_database, settings.mlflow_tracking, settings.quality_database)):
        return []
    try:
        require("psycopg2-binary")
    except CorrentezaError as error:
        return [_away(error)]
    from correnteza import database_versions

    return [Finding(each.kind, redacted(each.what), each.mend) for each in database_versions.problems(settings)]


def _set_up(settings: Settings) -> list[Finding]:
    folder = jars.folder(settings)
    return _asked(lambda: [jars.checked(folder, kit) for kit in jars.KITS])


def _disk(settings: Settings) -> list[Finding]:
    folder = settings.home.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free >= LEAST_FREE_BYTES:
        return []
    return [
        Finding(
            "advice",
            f"{free >> 20} MiB are free under {settings.home}",
            "free some space, or set `home` to another disk",
        )
    ]


def _store(settings: Settings) -> list[Finding]:
    """Whether the stores of lake and archive can be used. Objects are written there, and removed."""
    return [
        finding
        for root in dict.fromkeys((settings.lake_root, settings.archive_root))
        for finding in _asked(partial(require_conforming, root))
    ]


def _broker(settings: Settings) -> tuple[Broker | None, dict[str, str], list[Finding]]:
    """The broker if it answers, the ids of its topics, and the problems of both."""
    contracts = bronze_contracts()
    names = [contract.topic_at(settings.topic_prefix) for contract in contracts]
    try:
        bootstrap = settings.bootstrap
        copies = _copies(bootstrap, set(names))
        topic_ids = current_ids(bootstrap, copies)
    except CorrentezaError as error:
        return None, {}, [_away(error)]
    found = []
    own = {contract.topic_at(settings.topic_prefix) for contract in ours(contracts)}
    if missing := [name for name in names if name in own and name not in topic_ids]:
        what = f"{len(missing)} of {len(own)} topics do not exist, {missing[0]} among them"
        found.append(Finding("away", what, "correnteza topics apply"))
    found += [
        Finding(
            "away",
            f"topic {each.topic} does not exist: {table_name(each)} waits for it, and the other queries run",
            f"ask its owner, or move {settings.contracts / each.name}.avsc away",
        )
        for each in contracts
        if each.external and each.topic not in topic_ids
    ]
    if single := [name for name, count in copies.items() if count == 1]:
        what = f"{len(single)} topics have one replica: what the broker acknowledged dies with its disk"
        found.append(Finding("advice", what, "in a cluster: default.replication.factor=3, min.insync.replicas=2"))
    found += _hanging(bootstrap, [each.topic_at(settings.topic_prefix) for each in ours(load_all().values())])
    return Broker(bootstrap, settings.topic_prefix), topic_ids, found


def _hanging(bootstrap: str, topics: Iterable[str]) -> list[Finding]:
    try:
        found = hanging(Cluster(bootstrap), topics, time.time())
    except CorrentezaError as error:
        return [_away(error)]
    return [
        Finding(
            "away",
            f"{each.topic}, partition {each.partition}: nobody can read from offset {each.offset} on; a transaction of"
            f" {instant(each.since)} was never ended",
            f"kafka-transactions.sh abort --topic {each.topic} --partition {each.partition}"
            f" --start-offset {each.offset}; it drops records: docs/runbook.md, TransactionHanging",
        )
        for each in found
    ]


def _copies(bootstrap: str, names: set[str]) -> dict[str, int]:
    admin = AdminClient(kafka.client(bootstrap))
    try:
        described = admin.list_topics(timeout=_ANSWER_WITHIN_SECONDS).topics
    except KafkaException as error:
        raise kafka.no_answer(admin, bootstrap, error) from error
    return {
        name: min((len(each.replicas) for each in topic.partitions.values()), default=0)
        for name, topic in described.items()
        if name in names
    }


def _registry(settings: Settings) -> list[Finding]:
    return _asked(lambda: _require_levels(settings))


def _require_levels(settings: Settings) -> None:
    registry = Registry(settings.registry)
    subjects = {contract.subject_at(settings.topic_prefix) for contract in ours(load_all().values())}
    for subject in sorted(subjects & registry.subjects()):
        registry.require_level(subject)


def _queries(settings: Settings, broker: Broker | None, topic_ids: dict[str, str]) -> list[Finding]:
    of_bronze = {table_name(contract): contract.topic_at(settings.topic_prefix) for contract in bronze_contracts()}
    of_silver = [f"silver.{name}" for name in silver_tables()]
    of_gold = [f"gold.{name}" for name, table in gold_tables().items() if isinstance(table, GoldTable)]
    damages = diagnosis.of_queries(
        places(settings), [*of_bronze, *of_silver, *of_gold], broker, topic_ids, topics=of_bronze
    )
    return [Finding("unsafe", each.what, each.mend) for each in damages]


def _asked(question: Callable[[], object]) -> list[Finding]:
    """Run a check; the finding if it raises."""
    try:
        question()
    except UnsafeState as error:
        return [Finding("unsafe", redacted(str(error)), error.hint or "correnteza up")]
    except CorrentezaError as error:
        return [_away(error)]
    return []


def _away(error: CorrentezaError) -> Finding:
    return Finding("away", redacted(str(error)), error.hint or "correnteza up")

"""`verify`: read the evidence once, run every check on it, and report the contradictions."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitoring.lag import spark_checkpoints
from monitoring.lag.kafka import Cluster, Topic
from monitoring.lag.spark_checkpoints import Progress
from monitoring.lag.status import bronze_table
from monitoring.lake import Lake
from monitoring.proof import verified
from monitoring.proof.checks import (
    conservation,
    decoding,
    doubles,
    files,
    gold,
    gold_static,
    manifests,
    offsets,
    references,
    scopes,
    silver,
)
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.proof.checks.model import Check, Evidence, Outcome, Rule, TopicState
from schemas.contracts import CANARY, Contract
from storage.location import Location

_ANSWER_WITHIN_SECONDS = 10.0


@dataclass(frozen=True)
class Subject:
    """The lake and topics to verify.

    Attributes:
        topic_prefix: of every topic.
        rules: dataset → its quarantining expectations.
        reference: folder of the static reference files behind gold.
    """

    lake: Location
    checkpoints: Path
    reference: Path
    topic_prefix: str
    rules: Mapping[str, tuple[Rule, ...]]


@dataclass(frozen=True)
class Verdict:
    """One check's result and cost."""

    check: str
    outcome: Outcome
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether there is no contradiction."""
        return not self.outcome.findings


@dataclass(frozen=True)
class Report:
    """All verdicts.

    Attributes:
        since: beginning of the window; None for everything.
    """

    since: datetime | None
    verdicts: Sequence[Verdict] = field(default_factory=tuple)

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(verdict.holds for verdict in self.verdicts)


def verify(
    subject: Subject,
    cluster: Cluster,
    contracts: Mapping[str, Contract],
    *,
    since: datetime | None,
    more: Mapping[str, Check] | None = None,
) -> Report:
    """Run every check.

    Args:
        since: check what bronze received from then on; None checks everything.
        more: checks from outside this package, by name; they run after those of bronze.

    Raises:
        DependencyUnavailable: Kafka does not answer: without it completeness cannot be judged.
    """
    evidence = gather(subject, cluster, contracts, since=since)
    return _judge(evidence, cluster, more or {})


def verify_since_last(
    subject: Subject,
    cluster: Cluster,
    contracts: Mapping[str, Contract],
    *,
    left: Path,
    full: bool = False,
    more: Mapping[str, Check] | None = None,
) -> Report:
    """Run every check on the data since the last successful run; on all data if there was none, or if requested.

    Args:
        left: file in which a successful run stores the mark for the next.

    Raises:
        DependencyUnavailable: as `verify`.
    """
    began = datetime.now(UTC)
    mark = None if full else verified.read(left)
    evidence = gather(subject, cluster, contracts, since=None)
    begin = verified.since(mark, evidence.lake)
    if mark is not None and begin is not None:
        evidence = verified.extended_to_mark(evidence, mark, begin)
    report = _judge(evidence, cluster, more or {})
    if report.holds:
        verified.write(left, verified.mark(evidence, began))
    return report


def _judge(evidence: Evidence, cluster: Cluster, more: Mapping[str, Check]) -> Report:
    checks: dict[str, Check] = {
        "data files are whole": files.check,
        "manifests = rows": manifests.check,
        "bronze = topic": lambda seen: offsets.check(seen, cluster),
        "decoded = record": lambda seen: decoding.check(seen, cluster),
        "nothing twice in bronze": doubles.check,
        "all accounted for": conservation.check,
        **more,
        "silver current = newest": silver.check_keys,
        "silver = batch(bronze)": silver.check_batch,
        "silver current = newest editions": scopes.check,
        **gold.checks(),
        **gold_static.checks(),
        **references.checks(),
    }
    verdicts = []
    for name, check in checks.items():
        began = time.perf_counter()
        outcome = check(evidence)
        verdicts.append(Verdict(name, outcome, time.perf_counter() - began))
    return Report(evidence.since, verdicts)


def gather(
    subject: Subject, cluster: Cluster, contracts: Mapping[str, Contract], *, since: datetime | None
) -> Evidence:
    """Read checkpoints first, then tables from gold to bronze, then Kafka: so an input is never older than its output.

    A table may hold more than its checkpoint covers; the checks leave out those rows.
    """
    # The canary is not verified, because its old days are removed from bronze.
    kept = {name: contract for name, contract in contracts.items() if not contract.compacted and name != CANARY}
    progress = _progress(subject.checkpoints, kept)
    lake = Lake(subject.lake, holds_small_tables=True)
    return Evidence(
        lake=lake,
        contracts=kept,
        rules=subject.rules,
        topics=topics_of(subject.topic_prefix, cluster, lake, contracts=kept, progress=progress, since=since),
        progress=progress,
        since=since,
        reference=subject.reference,
    )


def _progress(root: Path, contracts: Mapping[str, Contract]) -> dict[str, Progress | None]:
    queries = [f"gold.{definition.table}" for definition in DEFINITIONS]
    for name, contract in contracts.items():
        queries.append(f"bronze.{bronze_table(contract)}")
        if contract.is_dataset:
            queries.append(f"silver.{name}")
    return {query: spark_checkpoints.read(root, query) for query in queries}


def topics_of(
    prefix: str,
    cluster: Cluster,
    lake: Lake,
    *,
    contracts: Mapping[str, Contract],
    progress: Mapping[str, Progress | None],
    since: datetime | None,
) -> dict[str, TopicState]:
    """The present topics of some contracts, and how far bronze has read each. Args: as of `gather`."""
    topics = cluster.topics(contract.topic_at(prefix) for contract in contracts.values())
    committed = {
        name: _committed(lake, f"bronze.{bronze_table(contract)}", topics[contract.topic_at(prefix)], progress)
        for name, contract in contracts.items()
        if contract.topic_at(prefix) in topics
    }
    unread = {
        (contracts[name].topic_at(prefix), partition): offsets.get(partition, bounds.first)
        for name, offsets in committed.items()
        for partition, bounds in topics[contracts[name].topic_at(prefix)].partitions.items()
        if bounds.stable > offsets.get(partition, bounds.first)
    }
    oldest = cluster.oldest_timestamps(unread, _ANSWER_WITHIN_SECONDS)
    states = {}
    for name, positions in committed.items():
        topic = topics[contracts[name].topic_at(prefix)]
        waiting = [where for where in unread if where[0] == topic.name]
        # A partition that did not answer may have unread records: then no record of the topic counts as lost.
        times = [oldest.get(where, 0.0) for where in waiting]
        states[name] = TopicState(
            topic=topic,
            committed=positions,
            oldest_unread_at=min((at for at in times if at is not None), default=None),
            reads_since=cluster.offsets_at(topic, since.timestamp()) if since is not None else {},
        )
    return states


def _committed(lake: Lake, table: str, topic: Topic, progress: Mapping[str, Progress | None]) -> dict[int, int]:
    """Partition → next offset; from the table if there is no checkpoint, for example after it was lost."""
    query = progress[table]
    if query is not None and query.kafka:
        return {partition: offset for (name, partition), offset in query.kafka.items() if name == topic.name}
    if not lake.has(table):
        return {}
    held = lake.rows(
        f'SELECT partition, max("offset") + 1 AS next FROM {table} WHERE topic_id = ? GROUP BY 1', [topic.topic_id]
    )
    return {int(str(row["partition"])): int(str(row["next"])) for row in held}


def as_json(report: Report) -> dict[str, Any]:
    """The document of `verify --json`; its form changes only with the number in `schema`."""
    return {
        "schema": 1,
        "holds": report.holds,
        "since": None if report.since is None else report.since.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "checks": [
            {
                "check": verdict.check,
                "holds": verdict.holds,
                "rows": verdict.outcome.rows,
                "seconds": round(verdict.seconds, 3),
                "findings": [
                    {"where": each.where, "what": each.what, "examples": list(each.examples)}
                    for each in verdict.outcome.findings
                ],
                "notes": verdict.outcome.notes,
            }
            for verdict in report.verdicts
        ],
    }

"""Check a rebuilt table before the swap: apply `verify`'s definitions to it, and compare it with the live one.

Rows that either query has not committed are lag, and left out of both sides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from monitoring import quarantine
from monitoring.lag import spark_checkpoints
from monitoring.lag.kafka import Cluster
from monitoring.lag.status import bronze_table
from monitoring.lake import Lake
from monitoring.proof.checks import decoding, doubles, gold, offsets, silver
from monitoring.proof.checks.compare import report
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.proof.checks.model import Evidence, Finding, Outcome, Rule, quoted, same
from monitoring.proof.checks.settled import find_bounds, settled
from monitoring.proof.verify import topics_of
from monitoring.snapshot import Snapshot
from schemas.contracts import Contract
from storage.location import Location


@dataclass(frozen=True)
class Subject:
    """The tables to compare.

    Attributes:
        query: `<layer>.<table>`.
        shadow: table → folder of its rebuilt form.
        shadow_checkpoints: root of the shadow's checkpoint.
        keys: table → its key columns.
        rules: dataset → its quarantining expectations.
        reference: folder of the static reference files behind gold.
        cluster: with which a bronze table is compared.
        topic_prefix: of every topic.
    """

    query: str
    lake: Location
    checkpoints: Path
    shadow: Mapping[str, Location]
    shadow_checkpoints: Path
    keys: Mapping[str, Sequence[str]]
    contracts: Mapping[str, Contract]
    rules: Mapping[str, tuple[Rule, ...]]
    reference: Path
    cluster: Cluster | None = None
    topic_prefix: str = ""

    @property
    def layer(self) -> str:
        """Of the query."""
        return self.query.partition(".")[0]


@dataclass(frozen=True)
class Side:
    """One side of a comparison: rows that both queries have read to the end, and their order-free hash."""

    rows: int
    hash: str


@dataclass(frozen=True)
class Compared:
    """A live table and its rebuilt form.

    Attributes:
        differences: keys on one side only, and columns whose values differ, each with its count and the smallest keys.
    """

    table: str
    live: Side
    rebuilt: Side
    differences: tuple[Finding, ...]


def wrong(subject: Subject) -> list[Finding]:
    """The findings of `verify`'s definitions in the rebuilt tables; empty if there are none."""
    lake = Lake(subject.lake)
    lake.snapshots |= {name: Snapshot(name, path) for name, path in subject.shadow.items()}
    evidence = _evidence(subject, lake, subject.shadow_checkpoints)
    if subject.layer == "bronze":
        found = _of_bronze(evidence, subject)
    elif subject.layer == "gold":
        found = [gold.check(evidence, each) for each in DEFINITIONS if f"gold.{each.table}" == subject.query]
    else:
        found = [silver.check_keys(evidence), silver.check_batch(evidence)]
    return [finding for outcome in found for finding in outcome.findings]


def compared(subject: Subject, within: Callable[[str], str] = lambda table: "true") -> list[Compared]:
    """Compare each rebuilt table with the live one. If there is no live one, all rows are new.

    Args: within: table → a predicate on the rows `g` that are compared.
    """
    lake = Lake(subject.lake)
    # Positions first: tables that are read later are never older.
    both = [_evidence(subject, lake, root) for root in (subject.checkpoints, subject.shadow_checkpoints)]
    for name, path in subject.shadow.items():
        lake.connection.register(f"rebuilt:{name}", Snapshot(name, path).dataset())
        if not lake.has(name):
            lake.connection.register(f"dataset:{name}", Snapshot(name, path).dataset().head(0))
            lake.connection.execute(f'CREATE VIEW {name} AS FROM "dataset:{name}"')
    judged = {"bronze": _bronze_judged, "silver": _silver_judged, "gold": _gold_judged}
    is_judged = judged[subject.layer](both, subject)
    return [
        _compared(lake, name, subject.keys[name], f"({is_judged(name)}) AND {within(name)}") for name in subject.shadow
    ]


def _of_bronze(evidence: Evidence, subject: Subject) -> list[Outcome]:
    """Compare with an independent consumer of the topic."""
    cluster = subject.cluster
    assert cluster is not None
    seen = replace(
        evidence,
        topics=topics_of(
            subject.topic_prefix,
            cluster,
            evidence.lake,
            contracts=evidence.contracts,
            progress=evidence.progress,
            since=None,
        ),
    )
    return [offsets.check(seen, cluster), decoding.check(seen, cluster), doubles.check(seen)]


def _evidence(subject: Subject, lake: Lake, checkpoints: Path) -> Evidence:
    dataset = subject.query.partition(".")[2]
    contracts = {name: each for name, each in subject.contracts.items() if name == dataset or not each.is_dataset}
    if subject.layer == "bronze":
        contracts = {name: each for name, each in subject.contracts.items() if bronze_table(each) == dataset}
    progress = {subject.query: spark_checkpoints.read(checkpoints, subject.query)}
    return Evidence(lake, contracts, subject.rules, {}, progress, None, subject.reference)


def _bronze_judged(both: Sequence[Evidence], subject: Subject) -> Callable[[str], str]:
    """A predicate on rows `g`: true for rows that both queries have committed."""
    found = [evidence.progress[subject.query] for evidence in both]
    topic_id = found[1].topic_id if found[1] else None
    reads = [progress.kafka for progress in found if progress is not None and progress.topic_id == topic_id]
    places = sorted({place for read in reads for place in read})
    ends = [(partition, min(read.get((topic, partition), 0) for read in reads)) for topic, partition in places]
    committed = " OR ".join(f'(g.partition = {partition} AND g."offset" < {end})' for partition, end in ends)
    every = f"(g.topic_id IS DISTINCT FROM '{topic_id}' OR {committed or 'true'})"
    return lambda table: every


def _silver_judged(both: Sequence[Evidence], subject: Subject) -> Callable[[str], str]:
    """Table → a predicate on its rows `g`: true for keys all of whose rows both queries have committed."""
    lake, dataset = both[0].lake, subject.query.partition(".")[2]
    keys, revisions = subject.contracts[dataset].key, f"silver.{dataset}_revisions"
    names = quoted(keys)
    lake.connection.execute(f'CREATE OR REPLACE TEMP TABLE moving AS SELECT {names} FROM "rebuilt:{revisions}" LIMIT 0')
    find_bounds(both[1], dataset)
    lake.connection.execute("CREATE OR REPLACE TEMP TABLE of_shadow AS FROM unsettled")
    find_bounds(both[0], dataset)
    lake.connection.execute("INSERT INTO unsettled FROM of_shadow")  # the lower of the two bounds counts
    for table in (revisions, f'"rebuilt:{revisions}"'):
        lake.connection.execute(f"INSERT INTO moving SELECT {names} FROM {table} r WHERE NOT {settled('r')}")

    def judged(table: str) -> str:
        if table == quarantine.TABLE:
            return f"g.dataset = '{dataset}' AND {settled('g', is_withdrawn='false')}"
        return f"NOT EXISTS (SELECT 1 FROM moving m WHERE {same(keys, 'g', 'm')})"

    return judged


def _gold_judged(both: Sequence[Evidence], subject: Subject) -> Callable[[str], str]:
    """The same for gold: true for rows that no revision affects which one of the queries has not committed."""
    [definition] = [each for each in DEFINITIONS if f"gold.{each.table}" == subject.query]
    every = " AND ".join(f"({gold.judged(each, definition, Outcome())})" for each in both)
    return lambda table: every


def _compared(lake: Lake, table: str, keys: Sequence[str], judged: str) -> Compared:
    sides = {"live": table, "rebuilt": f'"rebuilt:{table}"'}
    kinds = {
        side: {str(row["column_name"]): str(row["column_type"]) for row in lake.rows(f"DESCRIBE FROM {relation}")}
        for side, relation in sides.items()
    }
    common = [name for name in kinds["rebuilt"] if name in kinds["live"]]
    for side, relation in sides.items():
        columns = ", ".join(f'{_comparable(name, kinds[side][name])} AS "{name}"' for name in common)
        lake.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {side}_rows AS"
            f" SELECT {columns} FROM (SELECT g.* FROM {relation} g WHERE {judged})"
        )
    found = Outcome()
    for only, where in ((kinds["rebuilt"].keys() - common, "the rebuilt"), (kinds["live"].keys() - common, "the live")):
        if only:
            found.add(table, f"{len(only)} columns stand only in {where} table", sorted(only))
    digests = {side: _digest(lake, f"{side}_rows") for side in sides}
    if digests["live"] != digests["rebuilt"]:
        _list(lake, found, table, keys, [(name, kinds["live"][name]) for name in common if name not in keys])
    return Compared(table, digests["live"], digests["rebuilt"], tuple(found.findings))


def _list(lake: Lake, found: Outcome, table: str, keys: Sequence[str], values: Sequence[tuple[str, str]]) -> None:
    for side, other in (("live", "rebuilt"), ("rebuilt", "live")):
        rows = f"FROM {side}_rows s ANTI JOIN {other}_rows c ON {same(keys, 's', 'c')}"
        report(lake, found, table, f"SELECT {quoted(keys, 's')} {rows}", f"rows stand only in the {side} table")
    both = f"FROM live_rows s JOIN rebuilt_rows c ON {same(keys, 's', 'c')}"
    for name, kind in values:
        shown = f'{quoted(keys, "s")}, s."{name}" AS live, c."{name}" AS rebuilt'
        differing = f"SELECT {shown} {both} WHERE {gold.differs(name, kind)}"
        report(lake, found, table, differing, f"values of {name} differ")


def _digest(lake: Lake, relation: str) -> Side:
    [row] = lake.rows(f"SELECT count(*) AS n, coalesce(sum(hash(x)::HUGEINT), 0)::VARCHAR AS h FROM {relation} x")
    return Side(int(str(row["n"])), str(row["h"]))


def _comparable(name: str, kind: str) -> str:
    """A map as its sorted entries; a null `is_withdrawn` as false, because older releases wrote null. Records and bytes
    of bronze as hashes, because both sides must fit into memory.
    """
    if kind.startswith("STRUCT(") or (kind, name) == ("BLOB", "value"):
        return f'hash("{name}")'
    if kind.startswith("MAP("):
        return f'list_sort(map_entries("{name}"))'
    return f'coalesce("{name}", false)' if name == "is_withdrawn" else f'"{name}"'

"""The input and the result of a check."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from monitoring.lag.kafka import Topic
from monitoring.lag.spark_checkpoints import Progress
from monitoring.lake import Lake
from monitoring.proof.checks.gold_definition import reference_tables
from schemas.contracts import Contract

EXAMPLES = 5
"""How many of the smallest failing keys a finding names."""


@dataclass(frozen=True)
class Rule:
    """An expectation that puts a row into quarantine if it is false: SQL with the same meaning in Spark and DuckDB."""

    name: str
    sql: str


@dataclass(frozen=True)
class TopicState:
    """A topic now, and how far bronze has committed of it.

    Attributes:
        committed: partition → next offset of the last committed batch; a partition never read is absent.
        oldest_unread_at: seconds since the epoch; None when nothing is unread.
        reads_since: partition → first offset that is checked.
    """

    topic: Topic
    committed: Mapping[int, int]
    oldest_unread_at: float | None
    reads_since: Mapping[int, int]


@dataclass(frozen=True)
class Evidence:
    """Everything that the checks read. Downstream tables are read first, so that an input is never older than its
    output.

    Attributes:
        contracts: of every topic that bronze keeps, by name.
        rules: dataset → its quarantining expectations.
        topics: contract name → state; empty when the topic does not exist yet.
        progress: query name → its checkpoint, read before any table.
        since: older bronze records are not checked; None checks everything.
        reference: folder of the static reference files behind gold.
    """

    lake: Lake
    contracts: Mapping[str, Contract]
    rules: Mapping[str, tuple[Rule, ...]]
    topics: Mapping[str, TopicState]
    progress: Mapping[str, Progress | None]
    since: datetime | None
    reference: Path

    def datasets(self) -> dict[str, Contract]:
        """Contracts of the sources' rows whose bronze table exists."""
        return {
            name: contract
            for name, contract in self.contracts.items()
            if contract.is_dataset and self.lake.has(f"bronze.{name}")
        }

    @cached_property
    def with_reference(self) -> Lake:
        """The lake, with the reference files as tables beside its own."""
        self.lake.connection.execute(reference_tables(str(self.reference)))
        return self.lake

    def in_window(self, alias: str = "") -> str:
        """A predicate on a bronze table: its rows within the window; it uses a partition column too, so that files are
        skipped."""
        if self.since is None:
            return "true"
        dot = f"{alias}." if alias else ""
        return f"({dot}kafka_timestamp >= TIMESTAMPTZ '{self.since.isoformat()}' AND {dot}year >= {self.since.year})"


@dataclass(frozen=True)
class Finding:
    """One contradiction.

    Attributes:
        where: table or topic.
        what: one sentence with the count.
        examples: the smallest failing keys, or ranges of offsets.
    """

    where: str
    what: str
    examples: tuple[str, ...] = ()


@dataclass
class Outcome:
    """The result of a check.

    Attributes:
        rows: how many rows were checked.
        notes: what could not be judged yet, and why.
    """

    findings: list[Finding] = field(default_factory=list)
    rows: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, where: str, what: str, examples: Iterable[str] = ()) -> None:
        """Add a contradiction."""
        self.findings.append(Finding(where, what, tuple(examples)))


Check = Callable[[Evidence], Outcome]


def broken_rules(rules: Iterable[Rule]) -> str:
    """SQL for the list of the names of the rules that a row breaks. As in a CHECK constraint, null breaks no rule."""
    cases = ", ".join(f"CASE WHEN NOT ({rule.sql}) THEN '{rule.name}' END" for rule in rules)
    return f"list_filter([{cases or 'NULL'}]::VARCHAR[], lambda rule: rule IS NOT NULL)"


def ranges(offsets: Sequence[int], numbers: Sequence[int]) -> list[str]:
    """Ascending offsets as ranges, joined where their numbers are adjacent: [3, 5, 9], [0, 1, 4] → ["3-5", "9"]."""
    found: list[list[int]] = []
    for offset, number in zip(offsets, numbers, strict=True):
        if found and found[-1][2] == number - 1:
            found[-1][1:] = [offset, number]
        else:
            found.append([offset, offset, number])
    return [str(first) if first == last else f"{first}-{last}" for first, last, _ in found]


def key_text(row: Mapping[str, object]) -> str:
    """A row's key for a message: `station_code=A401, observed_at=2024-01-01T00:00:00+00:00`."""
    return ", ".join(
        f"{name}={value.isoformat() if isinstance(value, datetime) else value}" for name, value in row.items()
    )


def quoted(names: Iterable[str], alias: str = "") -> str:
    """Column names for a select list."""
    dot = f"{alias}." if alias else ""
    return ", ".join(f'{dot}"{name}"' for name in names)


def same(names: Iterable[str], left: str, right: str) -> str:
    """A join condition in which null equals null."""
    return " AND ".join(f'{left}."{name}" IS NOT DISTINCT FROM {right}."{name}"' for name in names)

"""The part `lake`: the tables, and the rows that wait for the next layer. A table is read again only at a new
version."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from foundation.errors import UnsafeState
from monitoring.lag import canary
from monitoring.lag.canary import CanaryArrival
from monitoring.lag.delta_log import Unread, unread
from monitoring.lag.spark_checkpoints import DeltaPosition
from monitoring.snapshot import LAYERS, Snapshot
from monitoring.watch.checkpoints import Checkpoints
from monitoring.watch.dead_letters import CLOSINGS, QUARANTINE, OpenDeadLetters
from monitoring.watch.expected import Expected
from monitoring.watch.parts import PartlyKnown
from storage import delta, files
from storage.location import Location

GAPS = "ops.gaps"


@dataclass(frozen=True)
class Table:
    """One table at its newest version.

    Attributes:
        log_files: files of its log, checkpoints included; the number may change without a new version.
        newest_at: newest Kafka timestamp of bronze, newest `known_from` of others, seconds since 1970; None without
            rows, or if files have no statistics.
        paths: of its data files.
    """

    version: int
    table_id: str
    bytes: int
    log_files: int
    newest_at: float | None
    paths: tuple[Location, ...]


@dataclass(frozen=True)
class Lake:
    """The lake at one moment.

    Attributes:
        waiting: query of silver or gold → the unread rows of each table that it reads; a query whose checkpoint cannot
            be read is left out.
        lost: topic → offsets that were lost to retention.
        open_dead_letters: dataset → dead letters that are open.
        newest: sequence → its newest period.
        canary: stage → its newest canary; None before the first.
    """

    tables: Mapping[str, Table]
    waiting: Mapping[str, Sequence[Unread]]
    lost: Mapping[str, int]
    open_dead_letters: Mapping[str, int]
    newest: Mapping[Expected, date | datetime | str]
    canary: Mapping[str, CanaryArrival | None] = field(default_factory=dict)


@dataclass
class LakePart:
    """Reads the lake below one folder.

    Attributes:
        reads: query of silver or gold → the tables that it reads.
        datasets: dataset → its bronze table.
        on_canary: called once per canary and stage, with the seconds that it took.
    """

    root: Location
    checkpoints: Checkpoints
    reads: Mapping[str, Sequence[str]]
    datasets: Mapping[str, str]
    expected: Sequence[Expected]
    on_canary: Callable[[str, float], None] = lambda stage, seconds: None
    _tables: dict[str, Table] = field(default_factory=dict)
    _unread: dict[tuple[str, str], tuple[int, DeltaPosition | None, Unread]] = field(default_factory=dict)
    _open_dead_letters: OpenDeadLetters = field(default_factory=OpenDeadLetters)
    _newest: dict[Expected, tuple[int, date | datetime | str | None]] = field(default_factory=dict)
    _lost: tuple[int, dict[str, int]] = (-1, {})
    _counted: tuple[tuple[int, ...], dict[str, int]] = ((), {})
    _was_there: bool = False
    _canaries: dict[str, CanaryArrival | None] = field(default_factory=dict)

    def look(self) -> Lake:
        """Read the lake. Raises: OSError; UnsafeState when the lake is gone; PartlyKnown when a table cannot be
        read."""
        if not files.is_folder(self.root):
            if self._was_there:
                raise UnsafeState(f"{self.root} is gone", hint="correnteza doctor")
            return Lake({}, {}, {}, {}, {})
        self._was_there = True
        tables: dict[str, Table] = {}
        trouble: Exception | None = None
        for layer in LAYERS:
            for each in files.folders(self.root / layer):
                name = f"{layer}.{each}"
                try:
                    found = self._table(name, self.root / layer / each / "_delta_log")
                except (DeltaError, OSError, ValueError) as error:
                    trouble = UnsafeState(f"{name} cannot be read: {error}", hint="correnteza verify")
                    continue
                if found is not None:
                    tables[name] = found
        self._tables = tables
        try:
            known = Lake(
                tables,
                self._waiting(tables),
                self._gaps(tables),
                self._open(tables),
                self._periods(tables),
                self._report_arrivals(canary.newest(self.root)),
            )
        except (DeltaError, OSError, UnsafeState, pa.ArrowException) as error:
            raise PartlyKnown(Lake(tables, {}, {}, {}, {}), error) from error
        if trouble is not None:
            raise PartlyKnown(known, trouble)
        return known

    def _table(self, name: str, log: Location) -> Table | None:
        listed = [name for name in files.names(log) if name.endswith((".json", ".parquet"))]
        versions = [int(each[:-5]) for each in listed if each.endswith(".json") and each[:-5].isdecimal()]
        if not versions:
            return None
        known = self._tables.get(name)
        if known is not None and known.version == max(versions):
            if known.log_files == len(listed):
                return known
            return replace(known, log_files=len(listed))
        snapshot = Snapshot(name, log.parent)
        newest = snapshot.greatest("kafka_timestamp" if name.startswith("bronze.") else "known_from")
        return Table(
            version=snapshot.table.version(),
            table_id=snapshot.table_id,
            bytes=sum(snapshot.files.values()),
            log_files=len(listed),
            newest_at=newest.timestamp() if isinstance(newest, datetime) else None,
            paths=tuple(log.parent / file for file in snapshot.files),
        )

    def _path(self, name: str) -> Location:
        layer, _, table = name.partition(".")
        return self.root / layer / table

    def _waiting(self, tables: Mapping[str, Table]) -> dict[str, list[Unread]]:
        found: dict[str, list[Unread]] = {}
        for query, sources in self.reads.items():
            try:
                progress = self.checkpoints.progress(query)
            except (OSError, UnsafeState):
                continue  # the part `checkpoints` reports it
            positions = progress.delta if progress else {}
            found[query] = [
                self._unread_of(query, name, tables[name], positions.get(tables[name].table_id))
                for name in sources
                if name in tables
            ]
        return found

    def _unread_of(self, query: str, name: str, table: Table, position: DeltaPosition | None) -> Unread:
        known = self._unread.get((query, name))
        if known is not None and known[:2] == (table.version, position):
            return known[2]
        found = unread(self._path(name), position)
        self._unread[query, name] = table.version, position, found
        return found

    def _report_arrivals(self, found: Mapping[str, CanaryArrival | None]) -> Mapping[str, CanaryArrival | None]:
        for stage, arrival in found.items():
            before = self._canaries.get(stage)
            # Another process may have counted the canary of the first look.
            if arrival is not None and arrival.is_after(before) and arrival.seconds is not None:
                self.on_canary(stage, arrival.seconds)
        self._canaries = dict(found)
        return found

    def _gaps(self, tables: Mapping[str, Table]) -> dict[str, int]:
        if GAPS not in tables:
            return {}
        if self._lost[0] != tables[GAPS].version:
            lost: dict[str, int] = {}
            table = delta.table(self._path(GAPS))
            for row in table.to_pyarrow_table(columns=["topic", "from_offset", "until_offset"]).to_pylist():
                lost[row["topic"]] = lost.get(row["topic"], 0) + row["until_offset"] - row["from_offset"]
            self._lost = tables[GAPS].version, lost
        return self._lost[1]

    def _open(self, tables: Mapping[str, Table]) -> dict[str, int]:
        names = [name for name in (*self.datasets.values(), QUARANTINE, CLOSINGS) if name in tables]
        versions = tuple(tables[name].version for name in names)
        if self._counted[0] != versions:
            bronze = {dataset: tables[name].paths for dataset, name in self.datasets.items() if name in tables}
            aside, closed = (tables[name].paths if name in tables else () for name in (QUARANTINE, CLOSINGS))
            self._counted = versions, self._open_dead_letters.count(bronze, aside, closed)
        return self._counted[1]

    def _periods(self, tables: Mapping[str, Table]) -> dict[Expected, date | datetime | str]:
        found = {}
        for each in self.expected:
            if each.table not in tables:
                continue
            version = tables[each.table].version
            if self._newest.get(each, (-1, None))[0] != version:
                self._newest[each] = version, _newest(self._path(each.table), each)
            newest = self._newest[each][1]
            if newest is not None:
                found[each] = newest
        return found


def _newest(path: Location, expected: Expected) -> date | datetime | str | None:
    """The newest period: from statistics for a whole table, by reading two columns for one sequence of it."""
    table = delta.table(path)
    if expected.subject is None:
        actions = pa.table(table.get_add_actions(flatten=True))
        name = f"max.{expected.column}"
        return pc.max(actions[name]).as_py() if name in actions.column_names and actions.num_rows else None
    column, value = expected.subject
    rows = table.to_pyarrow_dataset().to_table(columns=[expected.column], filter=pc.field(column) == value)
    return pc.max(rows[expected.column]).as_py() if rows.num_rows else None

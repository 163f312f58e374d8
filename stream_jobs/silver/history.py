"""A dataset's history for `apply_changes`: its rows from bronze, and the newest clocks, stored beside the checkpoint.

`checkpoints/silver.<dataset>/seen.json` is written at the end of each batch. Without it, as after `checkpoint adopt`,
the clocks are read once from all of bronze when a batch first asks: a bound that is too high is safe; it only costs
time.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from foundation import quoting
from foundation.files import replace_file
from foundation.log import get_logger
from schemas.contracts import Contract
from sinks import sql, tables
from sinks.arrow_frames import frame_of
from sinks.history import CLOSED, Seen
from sinks.snapshot import Snapshot
from sinks.target import IS_WITHDRAWN, Bounds, matching
from sinks.transactions import Batch
from stream_jobs.silver.withdrawals import withdrawals


@dataclass(frozen=True)
class Noted:
    """The file's content: what was seen up to the end of a batch, or up to its beginning while keys are repaired."""

    generation: int
    batch_id: int
    newest: int | None
    withdrawn: int | None
    is_mending: bool


class BronzeHistory:
    """The history of one dataset; one batch after the other."""

    def __init__(
        self,
        contract: Contract,
        *,
        prune_by: str,
        bronze: str,
        withdrawn: str,
        closings: str,
        records: Callable[[DataFrame, Contract], DataFrame],
        file: Path,
    ) -> None:
        """Args:
        bronze, withdrawn, closings: paths of the tables of records, withdrawals and closing records.
        records: bronze rows → records.
        file: `seen.json`.
        """
        self._contract = contract
        self._prune_by = prune_by
        self._bronze = bronze
        self._withdrawn = withdrawn
        self._closings = closings
        self._closed: tuple[int, pa.Table] = (-1, CLOSED.empty_table())
        self._records = records
        self._file = file
        self._noted: Noted | None = None

    def begin(self, spark: SparkSession, batch: Batch, *, is_first: bool) -> None:
        """A batch is about to be applied.

        Args: is_first: the generation began with empty tables, so nothing was seen before it.
        """
        self._spark, self._batch = spark, batch
        if self._noted is None or not self._fits(self._noted):
            found = _read(self._file)
            self._noted = found if found is not None and self._fits(found) else None
        if self._noted is None and is_first:
            self._noted = Noted(batch.generation, batch.batch_id - 1, None, None, is_mending=False)

    @property
    def was_repairing(self) -> bool:
        """As `History`."""
        noted = self._noted
        return noted is not None and noted.is_mending and noted.batch_id == self._batch.batch_id

    def seen(self) -> Seen:
        """As `History`."""
        if self._noted is None:
            rows = self._rows(self._spark)
            clock = F.unix_micros("known_from")
            row = rows.agg(F.max(clock), F.max(F.when(F.col(IS_WITHDRAWN), clock))).first()
            newest, withdrawn = (row[0], row[1]) if row else (None, None)
            self._noted = Noted(self._batch.generation, self._batch.batch_id - 1, newest, withdrawn, is_mending=False)
        return Seen(self._noted.newest, self._noted.withdrawn)

    def rows_of(self, keys: pa.Table, within: Bounds) -> pa.Table:
        """As `History`."""
        least, greatest = within
        here = self._rows(self._spark).where(F.col(self._prune_by).between(F.lit(least), F.lit(greatest)))
        return matching(here, frame_of(self._spark, keys), self._contract.key, "left_semi").toArrow()

    def withdrawn_keys(self) -> pa.Table:
        """As `History`. Keys of an external topic are withdrawn by its own tombstones."""
        if self._contract.external is not None:
            found = self._rows(self._spark).where(IS_WITHDRAWN)
        else:
            found = withdrawals(_now(self._spark, self._withdrawn), self._contract)
        return found.select(*self._contract.key).distinct().toArrow()

    def closed(self) -> pa.Table:
        """As `History`; read again when closing records have come."""
        if tables.exists(self._closings):
            snapshot = Snapshot.of(self._closings)
            if snapshot.version != self._closed[0]:
                rows = sql.table(
                    f"""
                    SELECT record.topic_id AS topic_id, record.partition AS kafka_partition,
                           record."offset" AS kafka_offset, string_split(any_value(record.reason), ', ') AS rules
                    FROM closings WHERE decode_status = 'ok' AND record.dataset = {quoting.text(self._contract.name)}
                    GROUP BY ALL
                    """,
                    closings=snapshot.scan(["decode_status", "record"]),
                )
                self._closed = (snapshot.version, rows.cast(CLOSED))
        return self._closed[1]

    def begin_repair(self) -> None:
        """As `History`."""
        seen = self.seen()
        self._note(Noted(self._batch.generation, self._batch.batch_id, seen.newest, seen.withdrawn, is_mending=True))

    def end(self, batch: Seen) -> None:
        """As `History`."""
        if self._noted is None:
            return  # the clocks before the batch are unknown, and were not needed yet
        newest, withdrawn = _later(self._noted.newest, batch.newest), _later(self._noted.withdrawn, batch.withdrawn)
        self._note(Noted(self._batch.generation, self._batch.batch_id, newest, withdrawn, is_mending=False))

    def _rows(self, spark: SparkSession) -> DataFrame:
        records = self._records(_now(spark, self._bronze), self._contract)
        return records.unionByName(withdrawals(_now(spark, self._withdrawn), self._contract))

    def _fits(self, noted: Noted) -> bool:
        """Whether the note was written by the batch before this one, or by an earlier attempt at this one."""
        batch = self._batch
        return noted.generation == batch.generation and noted.batch_id in (batch.batch_id - 1, batch.batch_id)

    def _note(self, noted: Noted) -> None:
        replace_file(self._file, json.dumps(asdict(noted)))
        self._noted = noted


def _now(spark: SparkSession, path: str) -> DataFrame:
    return Snapshot.of(path).read(spark)


def _later(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _read(file: Path) -> Noted | None:
    """The note; None if it cannot be read: then the clocks are read from bronze."""
    try:
        return Noted(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        get_logger("silver").warning("clocks_seen_damaged", file=str(file), error=str(error))
        return None

"""Silver: `apply_changes` writes decoded bronze rows and withdrawals into revisions and current."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from foundation import clock
from foundation.log import get_logger
from schemas.contracts import Contract, load
from sinks import quarantine, tables
from sinks.apply_changes import apply_changes
from sinks.ops import quality
from sinks.target import IS_WITHDRAWN, SilverTarget
from sinks.transactions import Batch
from sinks.versions import version_hash
from stream_jobs.bronze.job import ensure_table
from stream_jobs.columns import record_type, silver_schema
from stream_jobs.places import EXPECTATIONS, QUARANTINE
from stream_jobs.running.following import FollowingJob
from stream_jobs.running.jobs import Driver
from stream_jobs.silver import external
from stream_jobs.silver.history import BronzeHistory
from stream_jobs.silver.tables.model import SilverTable
from stream_jobs.silver.withdrawals import CONTRACT as WITHDRAWALS_CONTRACT
from stream_jobs.silver.withdrawals import withdrawals

CLOSINGS = "bronze.ingest_redrives"

READING = {
    # Of bronze files; the driver holds a batch in memory while it is applied.
    "maxBytesPerTrigger": "16m",
    # The swap of a rebuilt bronze table brings no new rows (docs/adr/0024); nothing else removes rows there.
    "skipChangeCommits": "true",
}


def records(bronze: DataFrame, contract: Contract) -> DataFrame:
    """Bronze rows → the records that `apply_changes` takes. Rows that did not decode stay in bronze.

    Bronze keeps the column of a field that the contract has lost; silver reads what the contract has.
    """
    if contract.external is not None:
        return external.records(bronze, contract, contract.external)
    types = record_type(contract)
    return (
        bronze.where(F.col("decode_status") == "ok")
        .select(
            *(F.col("record").getField(name).alias(name) for name in contract.fields),
            F.col("key").cast("string").alias("key"),
            "topic",
            "topic_id",
            F.col("partition").alias("kafka_partition"),
            F.col("offset").alias("kafka_offset"),
        )
        .withColumn("known_from", F.coalesce("published_at", "retrieved_at"))
        .withColumn("version_hash", version_hash([types[name] for name in contract.value_fields]))
        .withColumn(IS_WITHDRAWN, F.lit(False))
    )


def ensure_tables(driver: Driver, table: SilverTable) -> None:
    """Create a dataset's two tables if they are absent; gold may read revisions that silver has not begun to write."""
    contract = load(table.dataset)
    for name, revisions in ((f"silver.{table.dataset}_revisions", True), (f"silver.{table.dataset}", False)):
        schema, path = silver_schema(contract, revisions=revisions), driver.places.table(name)
        tables.ensure(driver.spark, path, schema, statistics_on=(table.prune_by, "known_from", "kafka_offset"))


class SilverJob(FollowingJob):
    """The query of one dataset."""

    def __init__(self, table: SilverTable, driver: Driver) -> None:
        super().__init__(f"silver.{table.dataset}", table.reads, driver, self._apply)
        self._table = table
        self._contract = load(table.dataset)
        place = driver.places.table
        self._bronze, self._withdrawals = (place(name) for name in self.inputs)
        self._target = SilverTarget(
            dataset=table.dataset,
            keys=self._contract.key,
            columns=tuple(silver_schema(self._contract, revisions=True).names),
            prune_by=table.prune_by,
            expectations=table.expectations,
            revisions=place(f"{self.name}_revisions"),
            current=place(self.name),
            quarantine=place(QUARANTINE),
            last_counts=self._contract.external is not None and self._contract.external.is_by_kafka,
        )
        self._history = BronzeHistory(
            self._contract,
            prune_by=table.prune_by,
            bronze=self._bronze,
            withdrawn=self._withdrawals,
            closings=place(CLOSINGS),
            records=records,
            file=self._checkpoint.folder / "seen.json",
        )

    def prepare(self) -> None:
        """Lock the tables, and create or widen all that the query reads and writes as declared.

        Bronze too, so that layers can start in any order.
        """
        for name in (self.name, QUARANTINE):
            self._driver.locks.acquire(name)
        spark = self._driver.spark
        ensure_table(spark, self._bronze, self._contract)
        ensure_table(spark, self._withdrawals, load(WITHDRAWALS_CONTRACT))
        ensure_tables(self._driver, self._table)
        quarantine.ensure(spark, self._target.quarantine)
        quality.ensure(spark, self._driver.places.table(EXPECTATIONS))

    def input(self) -> DataFrame:
        """The dataset's records and withdrawals."""
        bronze, withdrawn = (self.stream(path, READING) for path in (self._bronze, self._withdrawals))
        return records(bronze, self._contract).unionByName(withdrawals(withdrawn, self._contract))

    def _apply(self, batch: DataFrame, batch_id: int) -> None:
        this = Batch(self.name, self._generation, batch_id)
        is_first = batch_id == 0 and not tables.may_hold_rows(self._target.revisions)
        self._history.begin(batch.sparkSession, this, is_first=is_first)
        applied = apply_changes(batch.toArrow(), self._target, this, self._history)
        outcomes = {outcome: rows for outcome, rows in applied.outcomes.items() if rows}
        broken = {name: rows for name, rows in applied.broken.items() if rows}
        quality.write(
            self._driver.places.table(EXPECTATIONS),
            self._table.dataset,
            self._table.expectations,
            batch=this,
            rows=applied.records,
            broken={**applied.broken, quality.ANY: applied.flawed},
            at=clock.now(),
        )
        measures = self._driver.measures
        measures.rows_judged("silver", outcomes)
        measures.broken(self._table.dataset, sum(broken.values()))
        if outcomes:
            get_logger("silver").info(
                "changes_applied",
                query=self.name,
                batch_id=batch_id,
                **outcomes,
                mended=applied.repaired,
                broken=broken,
            )

"""The canary in gold: one row, the newest that silver has. See docs/adr/0022."""

from pyspark.sql import DataFrame

from schemas.contracts import CANARY_TABLE
from sinks.ops import canary
from sinks.transactions import Batch
from stream_jobs.running.following import FollowingJob
from stream_jobs.running.jobs import Driver
from stream_jobs.silver.canary import READING, SILVER, newest

GOLD = f"gold.{CANARY_TABLE}"


class GoldCanary(FollowingJob):
    """The query from silver to gold."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(GOLD, (SILVER,), driver, self._replace)

    def prepare(self) -> None:
        """Lock the table, and create or widen it and silver's as declared."""
        spark, place = self._driver.spark, self._driver.places.table
        self._driver.locks.acquire(self.name)
        canary.ensure(spark, place(SILVER))
        canary.ensure(spark, place(GOLD))

    def input(self) -> DataFrame:
        """Silver's rows."""
        silver = self._driver.places.table(SILVER)
        return self.stream(silver, READING)

    def _replace(self, batch: DataFrame, batch_id: int) -> None:
        found, this = newest(batch), Batch(self.name, self._generation, batch_id)
        if found is not None:
            canary.replace(self._driver.places.table(GOLD), found, once=this.once(CANARY_TABLE))

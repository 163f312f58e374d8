"""Withdrawals as rows of their dataset: its key, no values, and the clocks of the edition."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from schemas.contracts import PROVENANCE, Contract
from sinks.target import IS_WITHDRAWN
from stream_jobs.columns import silver_schema

CONTRACT = "ingest.withdrawals"
BRONZE = "bronze.ingest_withdrawals"


def withdrawals(bronze: DataFrame, contract: Contract) -> DataFrame:
    """Rows of `bronze.ingest_withdrawals` → those of one dataset, with the columns of its revisions, `key`,
    `topic` and `topic_id`.

    A field of the key is absent from `key_fields` where it is null. The hash of a withdrawal is null: see
    `sinks.versions.classify`.
    """
    mine = bronze.where((F.col("decode_status") == "ok") & (F.col("record.dataset") == contract.name))
    told = {name: F.col(f"record.{name}") for name in PROVENANCE} | {
        "known_from": F.coalesce("record.published_at", "record.retrieved_at"),
        "kafka_partition": F.col("partition"),
        "kafka_offset": F.col("offset"),
        IS_WITHDRAWN: F.lit(True),
    }
    told |= {name: F.col("record.key_fields")[name] for name in contract.key}
    columns = [
        told.get(field.name, F.lit(None)).cast(field.dataType).alias(field.name)
        for field in silver_schema(contract, revisions=True)
    ]
    return mine.select(*columns, F.col("record.key").alias("key"), "topic", "topic_id")

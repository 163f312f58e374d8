"""Spark's class archive: a session that does once what drivers and commands do writes its classes at its end.

python -m correnteza.spark_classes FILE JARS JAVA    in a process of its own: its output is the JVM's

The archive holds 200 MB. A session that writes a table and streams it takes 14 s of CPU with it, and 22 without.
"""

import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.avro.functions import from_avro, to_avro

from correnteza import spark as sessions
from correnteza.embedded.class_archive import SECONDS
from correnteza.settings import Settings
from foundation import kafka
from sinks.commit import append
from sinks.tables import ensure

_RECORD = """
{"type": "record", "name": "r", "fields": [
  {"name": "id", "type": ["null", "long"]}, {"name": "s", "type": ["null", "string"]}]}
"""

_NOBODY = "127.0.0.1:9"
_BRIEFLY = {"kafka.request.timeout.ms": "500", "kafka.default.api.timeout.ms": "500"}
_BYTES = "org.apache.kafka.common.serialization.ByteArrayDeserializer"


def _stream(spark: SparkSession, home: Path) -> None:
    """From one Delta table to another, by Avro."""
    source, target = str(home / "source"), str(home / "target")
    rows = spark.range(1000).select("id", F.col("id").cast("string").alias("s"), F.expr("id % 2").alias("part"))
    for path in (source, target):
        ensure(spark, path, rows.schema, partition_by=("part",), statistics_on=("id",))
    append(rows, source)

    def batch(found: DataFrame, number: int) -> None:
        values = found.select("part", to_avro(F.struct("id", "s"), _RECORD).alias("value"))
        decoded = values.select("part", from_avro("value", _RECORD).alias("r")).select("part", "r.*")
        append(decoded.dropDuplicates(["id"]), target)
        decoded.groupBy("part").count().orderBy("part").toArrow()

    query = spark.readStream.format("delta").load(source).writeStream.foreachBatch(batch).trigger(availableNow=True)
    query.option("checkpointLocation", str(home / "checkpoint")).start().awaitTermination()
    spark.read.format("delta").load(target).join(rows, "id").collect()


def _ask_nobody(spark: SparkSession) -> None:
    """Load the classes of a Kafka source and of its consumer: both give up, because no broker answers."""
    options = kafka.spark(_NOBODY) | _BRIEFLY
    source = spark.read.format("kafka").options(**options).option("fetchOffset.numRetries", 1)
    with suppress(Py4JJavaError):
        source.option("subscribe", "t").load().collect()
    jvm: Any = spark._jvm
    consumer = jvm.org.apache.kafka.clients.consumer.KafkaConsumer(
        {name.removeprefix("kafka."): value for name, value in options.items()}
        | {"group.id": "g", "key.deserializer": _BYTES, "value.deserializer": _BYTES}
    )
    consumer.subscribe(["t"])
    consumer.poll(jvm.java.time.Duration.ofMillis(100))
    consumer.close()


def main() -> None:
    """The program."""
    archive, jars, java_home = map(Path, sys.argv[1:])
    with TemporaryDirectory() as scratch:
        home = Path(scratch)
        settings = Settings(home=home, jars=jars, java_home=java_home, spark_driver_memory="1g")
        spark = sessions.start(settings, archive_to=archive)
        _stream(spark, home)
        _ask_nobody(spark)
        sessions.end(spark, SECONDS)


if __name__ == "__main__":
    main()

"""What the comparison runs beside ours: `python -m benchmarks.comparison_peers KIND --bootstrap … --topic … --table …`.

`after` and `auto` are consumers written by hand on delta-rs, as tutorials have them: decode, append, and have the
offsets committed after each append, or by the client every five seconds. `spark` is a streaming query without any
option but where to read and write. None ends by itself: the comparison kills it.
"""

import argparse
import json
import os
import struct
import time
import zlib
from io import BytesIO
from typing import Any

import fastavro
import pyarrow as pa
from confluent_kafka import Consumer
from deltalake import write_deltalake

from correnteza import spark as sessions
from correnteza.settings import Settings

BATCH_ROWS = 10_000
BATCH_SECONDS = 1.0
RECORD: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [{"name": "number", "type": "long"}, {"name": "customer", "type": "string"}],
}
_SCHEMA = fastavro.parse_schema(RECORD)
_HEADER = struct.Struct(">bI")


def framed(number: int, schema_id: int) -> bytes:
    """The value of one record."""
    body = BytesIO()
    fastavro.schemaless_writer(body, _SCHEMA, {"number": number, "customer": f"customer {number % 1000}" * 8})
    return _HEADER.pack(0, schema_id) + body.getvalue()


def main() -> None:
    """Run one of them until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("after", "auto", "spark"))
    for name in ("bootstrap", "topic", "table"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    if arguments.kind == "spark":
        by_spark(arguments.bootstrap, arguments.topic, arguments.table)
    else:
        by_hand(arguments.bootstrap, arguments.topic, arguments.table, is_auto=arguments.kind == "auto")


def by_hand(bootstrap: str, topic: str, table: str, *, is_auto: bool) -> None:
    """Consume, decode, append; for ever. Args: is_auto: whether the client commits the offsets by itself."""
    group = f"{topic}-{zlib.crc32(table.encode())}"
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": is_auto,
            # One that is killed stays a member for so long; the default of 45 s would be most of each life.
            "session.timeout.ms": 6000,
        }
    )
    consumer.subscribe([topic])
    while True:
        messages = [each for each in consumer.consume(BATCH_ROWS, timeout=BATCH_SECONDS) if each.error() is None]
        if not messages:
            continue
        records = [fastavro.schemaless_reader(BytesIO((each.value() or b"")[5:]), _SCHEMA, None) for each in messages]
        write_deltalake(table, pa.Table.from_pylist(records), mode="append")
        if not is_auto:
            consumer.commit(asynchronous=False)


def by_spark(bootstrap: str, topic: str, table: str) -> None:
    """A streaming query with Delta's own sink; for ever."""
    from pyspark.sql import functions as F  # noqa: N812
    from pyspark.sql.avro.functions import from_avro

    spark = sessions.start(Settings())
    value = from_avro(F.expr("substring(value, 6)"), json.dumps(RECORD))
    rows = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .load()
        .select(value.alias("record"))
        .select("record.*")
    )
    rows.writeStream.format("delta").option("checkpointLocation", f"{table}-checkpoint").start(table)
    while os.getppid() != 1:
        time.sleep(1)


if __name__ == "__main__":
    main()

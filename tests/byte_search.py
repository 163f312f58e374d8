"""Every byte that a text can stand in: files as they are, and what they hold compressed.

It shares no code with the product. Parquet, Arrow streams, zips and raw deflate are opened; of Kafka every record of
every topic is read, committed or not.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

_LOCAL_HEADER = b"PK\x03\x04"


def in_files(folder: Path, text: bytes) -> list[str]:
    """Files below a folder in which the text stands, compressed or not, by their names below it."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return [
        f"{file.relative_to(folder)} holds the text" for file in files if any(text in each for each in _contents(file))
    ]


def in_topics(bootstrap: str, prefix: str, text: bytes) -> dict[str, list[int]]:
    """Topic → offsets of the records, of any transaction, in whose key or value the text stands."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "search", "isolation.level": "read_uncommitted", "log_level": 0}
    )
    found: dict[str, list[int]] = {}
    try:
        topics = [name for name in consumer.list_topics(timeout=30).topics if name.startswith(prefix)]
        for topic in topics:
            for partition in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
                for message in _messages(consumer, topic, partition):
                    if text in (message.key() or b"") or text in (message.value() or b""):
                        found.setdefault(topic.removeprefix(prefix), []).append(message.offset())
    finally:
        consumer.close()
    return found


def _messages(consumer: Consumer, topic: str, partition: int) -> Iterator:
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
    if low == high:
        return
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    while True:
        (place,) = consumer.position(consumer.assignment())
        if place.offset >= high:
            return
        for message in consumer.consume(1000, timeout=1):
            assert message.error() is None
            yield message


def _contents(file: Path) -> Iterator[bytes]:
    raw = file.read_bytes()
    yield raw
    if file.suffix == ".parquet":
        yield repr(pq.read_table(io.BytesIO(raw)).to_pylist()).encode()
        metadata = pq.read_metadata(io.BytesIO(raw))
        yield repr(metadata.to_dict()).encode()
    elif raw.startswith(_LOCAL_HEADER) and zipfile.is_zipfile(io.BytesIO(raw)):
        with zipfile.ZipFile(io.BytesIO(raw)) as opened:
            for name in opened.namelist():
                yield from _of_entry(opened.read(name))
    elif raw.startswith(_LOCAL_HEADER):
        names, more = struct.unpack("<HH", raw[26:30])
        yield zlib.decompressobj(-15).decompress(raw[30 + names + more :])


def _of_entry(content: bytes) -> Iterator[bytes]:
    yield content
    try:
        with pa.ipc.open_stream(content) as reader:
            yield repr(reader.read_all().to_pylist()).encode()
    except pa.ArrowInvalid:
        return

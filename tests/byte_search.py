"""Every byte that a text can stand in: files as they are, and what they hold compressed.

It shares no code with the product but the clients of a store. Parquet, Arrow streams, zips and raw deflate are opened;
of Kafka every record of every topic is read, committed or not.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from storage.location import Remote

_LOCAL_HEADER = b"PK\x03\x04"


def in_files(folder: Path, text: bytes) -> list[str]:
    """Files below a folder in which the text stands, compressed or not, by their names below it."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return _holding(((str(file.relative_to(folder)), file.read_bytes()) for file in files), text)


def in_objects(place: Remote, text: bytes) -> list[str]:
    """Objects below a prefix in which the text stands, compressed or not, by their names below it."""
    return _holding(sorted(objects(place).items()), text)


def objects(place: Remote) -> dict[str, bytes]:
    """Every object below a prefix: its name below it, and its bytes."""
    bucket = place.s3.bucket(place.bucket)
    names = [each["path"] for batch in bucket.list(prefix=place.key) for each in batch]
    return {name.removeprefix(f"{place.key}/"): bytes(bucket.get(name).bytes()) for name in names}


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


def _holding(files: Iterable[tuple[str, bytes]], text: bytes) -> list[str]:
    return [f"{name} holds the text" for name, raw in files if any(text in each for each in _contents(name, raw))]


def _contents(name: str, raw: bytes) -> Iterator[bytes]:
    yield raw
    if name.endswith(".parquet"):
        yield repr(pq.read_table(io.BytesIO(raw)).to_pylist()).encode()
        metadata = pq.read_metadata(io.BytesIO(raw))
        yield repr(metadata.to_dict()).encode()
    elif raw.startswith(_LOCAL_HEADER) and zipfile.is_zipfile(io.BytesIO(raw)):
        with zipfile.ZipFile(io.BytesIO(raw)) as opened:
            for entry in opened.namelist():
                yield from _of_entry(opened.read(entry))
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

"""`ops.erasures`: each record once, and places that a bronze query leaves out."""

from dataclasses import replace
from datetime import UTC, datetime

from sinks.ops import erasures
from sinks.ops.erasures import Erased

ONE = Erased(
    erasure="a",
    dataset="bcb_sgs",
    topic="bcb_sgs.v1",
    topic_id="T",
    partition=0,
    offset=5,
    kafka_timestamp=datetime(2025, 1, 1, tzinfo=UTC),
    chunk_id="c",
    is_counted=True,
    row_hash=-7,
    erased_at=datetime(2025, 1, 2, tzinfo=UTC),
    erased_by="somebody",
    note="request 17",
)
OF_ARCHIVE = replace(ONE, topic_id="archive", partition=-1, offset=0)


def test_a_record_is_noted_once_and_its_place_is_left_out(tmp_path):
    path = str(tmp_path / "erasures")
    assert erasures.stored(path) == []
    assert erasures.places(path, "T") == {}
    assert erasures.declare(path, [ONE]) == 1
    assert erasures.declare(path, [replace(ONE, erasure="b"), replace(ONE, offset=6)]) == 1
    assert ONE in erasures.stored(path)
    assert {partition: sorted(each) for partition, each in erasures.places(path, "T").items()} == {0: [5, 6]}
    assert erasures.places(path, "another life of the topic") == {}


def test_rows_of_the_archive_have_no_place_and_those_of_two_rebuilds_are_two(tmp_path):
    path = str(tmp_path / "erasures")
    assert erasures.declare(path, [OF_ARCHIVE]) == 1
    assert erasures.declare(path, [OF_ARCHIVE, replace(OF_ARCHIVE, chunk_id="d")]) == 1
    assert erasures.places(path, "archive") == {}

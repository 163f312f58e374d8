"""What the comparison counts of a table: records lost, doubled, and of transactions that were rolled back."""

import io

import fastavro
import pyarrow as pa

from benchmarks.comparison import judged
from benchmarks.comparison_peers import RECORD, framed


def wrong(*numbers: int) -> list[str]:
    """What is not as it was sent: the numbers 1 to 4, once each."""
    return [f"records {name}: {count}" for name, count in judged(pa.chunked_array([numbers]), 4).items() if count]


def test_control_what_is_lost_doubled_or_rolled_back_is_counted(control):
    control.holds(wrong, 3, 1, 2, 4)
    control.objects(wrong, 1, 1, 1, 4, -5, damage=("records lost: 2", "records doubled: 2", "records rolled_back: 1"))


def test_a_record_holds_its_number():
    said = fastavro.schemaless_reader(io.BytesIO(framed(7, 300)[5:]), fastavro.parse_schema(RECORD), None)
    assert isinstance(said, dict)
    assert (framed(7, 300)[:5], said["number"]) == (b"\x00\x00\x00\x01\x2c", 7)

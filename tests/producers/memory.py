"""`python -m tests.producers.memory SOURCE ROWS`: parse a generated file of so many rows, and print the peak of memory.

The file is the source's golden header and its golden rows, over and over: a stream that nobody holds.
"""

import json
import resource
import sys
from collections.abc import Iterator
from itertools import cycle, islice

from producers import sources
from tests.golden import changes, kit

_LINES_A_BLOCK = 5_000


def peak() -> int:
    """Most memory this process ever held, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def blocks(source: str, rows: int) -> Iterator[bytes]:
    """The generated file."""
    golden = kit.load(source)
    file = changes.opened(golden.cases[0].file.read_bytes(), golden.format)
    assert isinstance(file, changes.CsvFile)
    yield file.head
    lines = islice(cycle(file.lines), rows)
    while block := list(islice(lines, _LINES_A_BLOCK)):
        yield b"\n".join(block) + b"\n"


def main(source: str, rows: int) -> None:
    """Parse, keep nothing, print the counts."""
    seen, early = 0, 0
    for parsed in sources.load(source).parse(blocks(source, rows), kit.load(source).cases[0].part):
        seen = parsed.next_row
        if not early and seen >= rows // 10:
            early = peak()
    print(json.dumps({"rows": seen, "peak_at_a_tenth": early, "peak": peak()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

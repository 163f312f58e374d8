"""What parsing holds, in a fresh process: `python -m tests.producers.memory KIND SOURCE COUNT [NAME=VALUE ...]`.

KIND is the file that is made up while it is read, so that nobody holds it:

    rows      the source's golden header, and its golden rows over and over, COUNT of them
    endless   the header, and one row of COUNT MiB
    long      the header, and COUNT rows that are as long as a row may be

NAME=VALUE sets a bound of `producers.formats.lines` for this process alone. Printed are the rows that were read, and
the bytes that the process held at most: after its imports, after a tenth of the rows, and at the end.

The figure is the kernel's own (VmHWM): Arrow's and DuckDB's memory is in it, which Python's tracer does not see. It
begins again with each program, while `ru_maxrss` begins with what the process held that started it.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from producers import sources
from producers.formats import lines
from tests.golden import changes, kit

_LINES_A_BLOCK = 5_000
_LONGEST_ROW = (1 << 18) - 20


def measured(kind: str, source: str, count: int, **bounds: int) -> dict[str, int]:
    """`rows`, `at_first`, `at_a_tenth` and `peak`, the last three in bytes. Raises: AssertionError when it fails."""
    named = [f"{name}={value}" for name, value in bounds.items()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.producers.memory", kind, source, str(count), *named],
        cwd=kit.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def held() -> int:
    """Most memory that this process ever held, bytes."""
    (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kibibytes) * 1024


def _blocks(kind: str, source: str, count: int) -> Iterator[bytes]:
    golden = kit.load(source)
    file = changes.opened(golden.cases[0].file.read_bytes(), golden.format)
    assert isinstance(file, changes.CsvFile)
    yield file.head
    if kind == "endless":
        for _ in range(count):
            yield b"9" * (1 << 20)
    elif kind == "long":
        for _ in range(count):
            yield file.lines[0].partition(b";")[0] + b";" + b"9" * _LONGEST_ROW + b"\n"
    else:
        repeated = islice(cycle(file.lines), count)
        while block := list(islice(repeated, _LINES_A_BLOCK)):
            yield b"\n".join(block) + b"\n"


def _main(kind: str, source: str, count: int) -> dict[str, Any]:
    """Parse, and keep nothing."""
    declared, part, stream = sources.load(source), kit.load(source).cases[0].part, _blocks(kind, source, count)
    found = {"rows": 0, "at_first": held(), "at_a_tenth": 0}
    for parsed in declared.parse(stream, part):
        found["rows"] = parsed.next_row
        if not found["at_a_tenth"] and parsed.next_row >= count // 10:
            found["at_a_tenth"] = held()
    return found | {"peak": held()}


if __name__ == "__main__":
    for each in sys.argv[4:]:
        name, _, value = each.partition("=")
        setattr(lines, name, int(value))
    print(json.dumps(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))

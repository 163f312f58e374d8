"""`python -m tests.golden.regenerate SOURCE…`: write what the parsers make of the golden inputs. Read the diff."""

import json
import sys
import tempfile
from pathlib import Path

from tests.golden.kit import FOLDER, HEAD, digest, load, output


def regenerate(source: str) -> None:
    """Write the counts, the digest and the first lines of every case of a source."""
    about = FOLDER / source / "cases.json"
    found = json.loads(about.read_text(encoding="utf-8"))
    for case, entry in zip(load(source).cases, found["cases"], strict=True):
        with tempfile.TemporaryDirectory() as folder:
            printed, counts = output(case, Path(folder))
        entry |= {"rows": counts.rows, "rejects": counts.rejects, "sha256": digest(printed)}
        case.expected.write_text("".join(line + "\n" for line in printed[:HEAD]), encoding="utf-8")
        print(f"{source} {case.name}: {counts.rows} rows, {counts.rejects} rejects")
    about.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        regenerate(name)

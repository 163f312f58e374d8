"""What `correnteza setup` prints: nothing when nothing is to be done; else how much there is, and what is large."""

import subprocess
import sys
from pathlib import Path

from correnteza.commands import setup
from correnteza.embedded import lock

LARGE = lock.artifact("registry", "g:app:3.0:tar.gz:all", 64 * "0", 158_577_952)
SMALL = lock.artifact("spark", "g:one:1.0", 64 * "1", 20_000)


def test_set_up_says_nothing_when_nothing_is_to_be_done():
    done = subprocess.run([sys.executable, "-m", "correnteza", "setup"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_amount_is_said_first_and_large_files_when_they_begin(capsys):
    with setup._Shown([LARGE, SMALL]) as shown:
        for artifact in (LARGE, SMALL):
            shown.came(artifact, artifact.size // 2)
            shown.came(artifact, artifact.size // 2)
            shown.finished(artifact)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"jars: to fetch 2 files with 159 MB, of {len(lock.read())}", "jars: app-3.0-all.tar.gz, 159 MB …"]
    assert str(shown) == "2 files with 159 MB"


def test_what_an_interrupted_set_up_had_fetched_is_not_counted_again(tmp_path: Path):
    content = b"whole"
    file = tmp_path / "spark/one-1.0.jar"
    file.parent.mkdir()
    file.write_bytes(content)
    whole = lock.artifact("spark", "g:one:1.0", lock.file_sha256(file), len(content))
    assert setup._absent(tmp_path, [whole, SMALL, LARGE]) == [SMALL, LARGE]

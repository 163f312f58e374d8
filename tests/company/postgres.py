"""A PostgreSQL of a test's own, from the machine's programs: apt-get install postgresql."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from correnteza.embedded import ports

PASSWORD = "p@ss/word:1"


def programs() -> Path:
    """The folder of the newest version's programs. Skips the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else pytest.skip("no PostgreSQL here: apt-get install postgresql")


def holding(url: str, databases: Iterable[str], planted: str) -> list[str]:
    """The oracle: databases in which any table holds a text, by a dump of everything. Args: url: without a name."""
    parts = urlsplit(url)
    variables = {"PATH": "/usr/bin:/bin", "PGPASSWORD": unquote(parts.password or "")}
    where = ["-h", str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username)]
    found = []
    for name in databases:
        dump = [str(programs() / "pg_dump"), *where, "--data-only", name]
        content = subprocess.run(dump, env=variables, check=True, capture_output=True).stdout
        # Bytes are dumped as hexadecimal numbers.
        if any(each.encode() in content for each in (planted, planted.encode().hex())):
            found.append(f"{name} holds {planted}")
    return found


@contextmanager
def postgres() -> Iterator[str]:
    """Start a server on the loopback interface; its log stands beside its data. Returns: the URL of a database without
    its name."""
    folder = programs()
    is_root = os.geteuid() == 0
    if is_root and "postgres" not in {each.pw_name for each in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres here")
    port = ports.free()
    root = Path(tempfile.mkdtemp(prefix="postgres"))
    (root / "password").write_text(PASSWORD, encoding="utf-8")
    if is_root:
        for each in (root, root / "password"):
            shutil.chown(each, "postgres", "postgres")

    def run(program: str, *arguments: str) -> None:
        user = "postgres" if is_root else None
        command = [str(folder / program), *arguments]
        subprocess.run(command, user=user, cwd=root, env={"PATH": "/usr/bin:/bin"}, check=True, capture_output=True)

    data = ("-D", str(root / "data"))
    run("initdb", *data, "-A", "scram-sha-256", "-U", "owner", "--pwfile", str(root / "password"), "-E", "UTF8")
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {root} -c fsync=off"
    run("pg_ctl", *data, "-w", "-l", str(root / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg2://owner:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"
    finally:
        run("pg_ctl", *data, "-m", "immediate", "stop")
        shutil.rmtree(root)

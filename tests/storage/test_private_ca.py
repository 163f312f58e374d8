"""A store behind TLS with a certificate of a private authority: Python clients trust it by `SSL_CERT_FILE`, and do not
connect without it.
"""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from correnteza.embedded import credentials, ports
from correnteza.embedded.object_store import object_store
from correnteza.embedded.processes import spawn, stop_tree
from correnteza.embedded.service import wait_ready
from tests.helpers import ROOT, wait_for
from tests.secured_cluster import write_pems

pytestmark = pytest.mark.integration

CLIENTS = """
import sys
import pyarrow as pa
from deltalake import Schema
from storage import delta, files, location
from storage.s3 import S3
from tests.controls import complaint
endpoint, access_key, secret_key = sys.argv[1:]
store = S3(endpoint, access_key=access_key, secret_key=secret_key)
location.connect("s3://lake", store)
schema = Schema.from_arrow(pa.schema([("number", pa.int64())]))
found = {
    "objects": complaint(lambda: files.write("s3://lake/there", b"content")),
    "tables": complaint(lambda: delta.create("s3://lake/table", schema, configuration={})),
    "Parquet files": complaint(lambda: store.arrow().open_input_stream("lake/there").read()),
}
for client, words in found.items():
    if words:
        print(client, words[0].splitlines()[0], sep=": ")
"""


@pytest.fixture
def secured(tmp_path) -> Iterator[list[str]]:
    """Address, access key and secret key of a store behind TLS; `ca.pem` in the test's folder is its authority's."""
    write_pems(tmp_path)
    port = ports.remembered(tmp_path / "https.json", ("https",))["https"]
    service = object_store(tmp_path, tmp_path / "logs")
    pems = {"cert": tmp_path / "node.crt", "key": tmp_path / "node.key"}
    tls = [f"-s3.port.https={port}", *(f"-s3.{name}.file={file}" for name, file in pems.items())]
    process = spawn(dataclasses.replace(service.program, command=[*service.program.command, *tls]), tmp_path / "run")
    try:
        wait_for(lambda: ports.accepts(ports.HOST, port), "the store listens with TLS")
        wait_ready(service, process.poll)
        yield [f"https://{ports.HOST}:{port}", *credentials.read(tmp_path)]
    finally:
        stop_tree(process.pid)
        process.wait()


def refused(secured: list[str], authority: Path | None) -> list[str]:
    """The oracle: what each client says against the store. In a process: they read the variable once."""
    trust = {} if authority is None else {"SSL_CERT_FILE": str(authority)}
    clean = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    done = subprocess.run(
        [sys.executable, "-c", CLIENTS, *secured],
        env={**clean, **trust, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_control_an_authority_of_ones_own_is_trusted_by_every_client_where_it_is_named(secured, tmp_path, control):
    control.holds(refused, secured, tmp_path / "ca.pem")
    control.objects(refused, secured, None, damage=("objects: TransientError", "tables: TransientError", "certificate"))

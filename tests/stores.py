"""A real object store for tests: SeaweedFS, as `up --with object-store` runs it, one for all processes of a run."""

import json
import subprocess
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from correnteza.embedded import credentials
from correnteza.embedded.object_store import object_store
from correnteza.embedded.ports import HOST
from correnteza.embedded.processes import spawn, stop_tree
from correnteza.embedded.service import wait_ready
from correnteza.settings import Settings
from storage import location
from storage.location import Remote
from storage.s3 import S3
from tests.lying_store import Liar, lying
from tests.shared_services import borrow, folder_of_all

_running: list[tuple[S3, Path]] = []
"""The store, and its home."""


@pytest.fixture(scope="session")
def store(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> S3:
    """A store that runs, with the buckets `lake` and `archive`.

    Every module that imports this has a fixture of its own, and the one JVM of a test run remembers how it reached a
    bucket: so the store is kept here.
    """
    if not _running:

        def start() -> tuple[dict[str, str], Callable[[], None]]:
            home = tmp_path_factory.mktemp("store")
            stack = ExitStack()
            endpoint = stack.enter_context(_started(home))
            return {"home": str(home), "endpoint": endpoint}, stack.close

        found = borrow(folder_of_all(pytestconfig, tmp_path_factory) / "shared-store", start)
        home = Path(found["home"])
        access_key, secret_key = credentials.read(home)
        _running.append((S3(found["endpoint"], access_key=access_key, secret_key=secret_key), home))
    return _running[0][0]


@contextmanager
def _started(home: Path) -> Iterator[str]:
    service = object_store(home, home / "logs")
    process: subprocess.Popen[bytes] = spawn(service.program, home / "run")
    try:
        wait_ready(service, process.poll)
        yield service.address
    finally:
        stop_tree(process.pid)
        process.wait()


@pytest.fixture
def lake(store: S3) -> Remote:
    """An empty lake in the store, of this test's own."""
    address = f"s3://lake/t{uuid.uuid4().hex}"
    location.connect(address, store)
    place = location.location(address)
    assert isinstance(place, Remote)
    return place


@pytest.fixture
def versioned(store: S3) -> Remote:
    """A bucket that keeps former versions of its objects."""
    name = f"versions-{uuid.uuid4().hex[:8]}"
    _shell(f"s3.bucket.create -name {name}", f"s3.bucket.versioning -name {name} -enable")
    location.connect(f"s3://{name}", store)
    return Remote(store, name, "")


def _shell(*commands: str) -> None:
    """What an administrator tells the store."""
    ports = json.loads((_running[0][1] / "object-store" / "ports.json").read_text())
    servers = [f"-{each}={HOST}:{ports[each]}.{ports[f'{each}.grpc']}" for each in ("master", "filer")]
    program = Path(sysconfig.get_path("scripts")) / "weed"
    subprocess.run(
        [program, "shell", *servers], input="\n".join([*commands, ""]), capture_output=True, text=True, check=True
    )


@pytest.fixture(name="settings")
def in_store(settings: Settings, store: S3, lake: Remote) -> Settings:
    """This test's settings, with lake and archive in the store; a command that it starts is told them."""
    archive = f"s3://archive/{lake.key}"
    location.connect(archive, store)
    return settings.model_copy(
        update={
            "lake": str(lake),
            "archive": archive,
            "s3_endpoint": store.endpoint,
            "s3_access_key": SecretStr(str(store.access_key)),
            "s3_secret_key": SecretStr(str(store.secret_key)),
        }
    )


@pytest.fixture
def liar(store: S3, lake: Remote) -> Iterator[Liar]:
    """The same lake behind a proxy that lies as the test asks; until the test ends, all of this process go by it."""
    with lying(store) as found:
        location.connect(str(lake), through(found, store))
        yield found
        location.connect(str(lake), store)


def through(liar: Liar, store: S3) -> S3:
    """The store as it is reached by the proxy."""
    return S3(liar.endpoint, access_key=store.access_key, secret_key=store.secret_key)

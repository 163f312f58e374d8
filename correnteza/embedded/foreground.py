"""The embedded broker or registry as the only process of a container: this process becomes its JVM.

python -m correnteza.embedded.foreground broker broker:9092
python -m correnteza.embedded.foreground registry registry:8081

The JVM listens at that address, which clients get too, and logs to standard output. Its storage is below the setting
`home`. The Kafka listener is plaintext without a password, and so is the registry: so nobody else may be in their
network, and their ports must not be published.
"""

import os
import sys

from correnteza.embedded import jars
from correnteza.embedded.java import java
from correnteza.embedded.processes import environment
from correnteza.embedded.stack import KITS, SERVICES
from correnteza.settings import Settings


def main(name: str, listen: str) -> None:
    """Prepare the service's storage, then become it. Raises: UnsafeState, DependencyUnavailable."""
    settings = Settings()
    folder = jars.checked(jars.folder(settings), KITS[name])
    service = SERVICES[name](settings.home.resolve(), settings.logs.resolve(), folder, java(settings), listen)
    command = service.program.command
    os.execve(command[0], list(command), environment(service.program))


if __name__ == "__main__":
    from correnteza import cli

    cli.exit_with_errors(lambda: main(*sys.argv[1:3]))

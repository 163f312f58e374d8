"""Start the broker. After a kill the controller runs alone before it, until it has declared the killed broker dead.

    python -m correnteza.embedded.fenced_start DATA CONTROLLER... -- BROKER...

The controller takes a killed broker for alive until its session has expired. A process that starts meanwhile begins as
the leader of every partition, and as the coordinator that writes the markers which transactions still lack although
their commits were answered. It tries until the session expires: then no partition has a leader for a moment, Kafka 4.4
takes that for a deleted topic (`KRaftMetadataCache.getPartitionLeaderEndpoint` is empty in both cases), and notes the
transaction as complete without its markers. Its records, and all behind them, stay unreadable for `read_committed`
(docs/adr/0040). A broker whose predecessor is already fenced becomes leader and coordinator at the same moment, and
writes the markers. It is also ready sooner: it does not wait for the session.
"""

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from threading import Timer

SECONDS = 60.0
"""How long the controller may take; on two busy cores it takes three."""

LINES = 20
"""Of its log, printed when it fails."""

_ACTIVE = "Becoming the active controller"
_FENCED = re.compile(r"Replayed .* broker \d+: .*\bfenced=(true|false|-?1)\b")
"""What the controller logs of each record about a broker: a registration says true or false, a change 1 or -1."""


def was_killed(data: Path) -> bool:
    """Whether a broker ran here whose end was not an orderly one. Args: data: the broker's `log.dirs`."""
    return (data / "__cluster_metadata-0").exists() and not (data / ".kafka_cleanshutdown").exists()


def is_fenced(lines: Iterable[str], kept: deque[str]) -> bool:
    """Read a controller's log until it is active and knows the broker as fenced, or never knew one.

    Args: kept: gets the lines that were read.
    """
    is_active, state = False, "true"
    for line in lines:
        kept.append(line)
        is_active = is_active or _ACTIVE in line
        if found := _FENCED.search(line):
            state = found[1]
        if is_active and state in {"true", "1"}:
            return True
    return False


def fence(controller: list[str]) -> None:
    """Run the controller alone until the killed broker is fenced.

    Raises: SystemExit if it ends before, or takes too long; what it said last is printed.
    """
    said: deque[str] = deque(maxlen=LINES)
    with subprocess.Popen(controller, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        deadline = Timer(SECONDS, process.kill)
        deadline.start()
        try:
            is_done = is_fenced(process.stdout, said)
        finally:
            deadline.cancel()
            process.terminate()  # an orderly end: what the controller has decided is on the disk then
            process.communicate()
    if not is_done:
        sys.exit("".join(said) + f"the controller did not fence the killed broker; it had {SECONDS:.0f} s")


def command(data: Path, controller: list[str], broker: list[str]) -> list[str]:
    """What starts a broker by this module."""
    return [sys.executable, "-m", __name__, str(data), *controller, "--", *broker]


def main(data: Path, controller: list[str], broker: list[str]) -> None:
    """Fence a killed broker, and become the new one."""
    if was_killed(data):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        fence(controller)
    os.execv(broker[0], broker)


if __name__ == "__main__":
    at = sys.argv.index("--")
    main(Path(sys.argv[1]), sys.argv[2:at], sys.argv[at + 1 :])

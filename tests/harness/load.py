"""A source whose publication is replaced again and again: each edition corrects every row of the one before."""

import threading
from datetime import datetime, timedelta
from pathlib import Path

from replay.content import Resource, build_zip, instant
from replay.server import Replay, serve
from tests.producers.served import SALVADOR, member_name

SOURCE = "inmet_hourly"
YEAR = 2025
HEADER_LINES = 9
FIRST = instant("2026-02-10T14:30:00")
RAIN = 2


class Editions:
    """The replay server with one station's year of so many hours; `publish` puts the next edition there.

    Attributes:
        number: of the edition that is served, from 1 on.
        served: Last-Modified → the bytes, of every edition so far.
    """

    def __init__(self, rows: int) -> None:
        lines = SALVADOR.read_bytes().splitlines(keepends=True)
        self._head, self._lines = lines[:HEADER_LINES], lines[HEADER_LINES : HEADER_LINES + rows]
        self._instead: dict[str, Resource] = {}
        self._lock = threading.Lock()
        self.number = 0
        self.served: dict[datetime, bytes] = {}
        self.publish()
        self._server: Replay = serve(instead=self._instead)

    @property
    def base_url(self) -> str:
        """What the setting `base_urls` takes for the source."""
        return self._server.base_urls[SOURCE]

    def publish(self) -> None:
        """The next edition: another amount of rain in every hour, a newer date, another ETag."""
        with self._lock:
            self.number += 1
            rain = b"%d,%d" % divmod(self.number % 1500, 10)
            lines = [b";".join([*cells[:RAIN], rain, *cells[RAIN + 1 :]]) for cells in self._cells()]
            modified_at = FIRST + timedelta(minutes=self.number)
            body = build_zip([(member_name(SALVADOR), b"".join([*self._head, *lines]))], modified_at)
            self.served[modified_at] = body
            self._instead[f"/inmet/{YEAR}.zip"] = Resource(body, "application/zip", modified_at)

    def close(self) -> None:
        """Serve no longer."""
        self._server.close()

    def _cells(self) -> list[list[bytes]]:
        return [line.split(b";") for line in self._lines]


def acknowledged(ledger: Path) -> int:
    """Lines of the ledger: chunks whose commit the broker has acknowledged."""
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0

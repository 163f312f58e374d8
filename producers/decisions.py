"""Held withdrawals: an edition lacks so many keys that a person must decide whether the source withdrew them.

    accept    withdraw the keys, from the clock of the edition that lacks them
    discard   keep the keys; later editions are compared with this one

Until then every later edition is still compared with the previous state; if one holds the keys again, no decision is
needed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from foundation.errors import UsageError
from producers import cursor, sources
from producers.chunk import CURSORS
from producers.fetch.http import Client
from producers.model import Cursor
from producers.poll import BACKFILL, Services, open_session
from producers.schedule import slots
from producers.session import Session
from schemas.contracts import load
from schemas.registry import Registry


@dataclass(frozen=True)
class Held:
    """Withdrawals of one edition.

    Attributes:
        owner: of the cursor: a source, or its backfill.
        part: the part's key; name: what the source calls it.
        known_from: the edition's clock, UTC.
        rows: how many keys would be withdrawn.
    """

    owner: str
    resource: str
    part: str
    name: str
    edition: int
    known_from: datetime
    rows: int

    @property
    def entry(self) -> str:
        """The name of the entry on the command line."""
        return f"{self.owner}/{self.resource}/{self.part}"


def held(services: Services) -> list[Held]:
    """All held withdrawals, oldest first. Raises: TransientError."""
    owners = [owner for name in sources.load_every() for owner in (name, name + BACKFILL)]
    topic = services.prefix + load(CURSORS).topic
    found = cursor.read(services.bootstrap, topic, owners, Registry(services.registry_url).schema_by_id)
    each = (
        Held(owner, resource, key, state.name, state.edition, state.known_from, comparison.held)
        for owner, cursors in found.items()
        for resource, stands in cursors.items()
        for key, comparison in stands.comparisons.items()
        if comparison.held and (state := stands.parts[key])
    )
    return sorted(each, key=lambda one: (one.known_from, one.entry))


def accept(services: Services, one: Held, at: datetime) -> int:
    """Withdraw the keys; returns how many. A running poll of the source is fenced; the next slot polls again.

    Raises: UsageError when it is decided already; UnsafeState, FencedError, DependencyUnavailable.
    """
    return _decide(services, one, at, Session.accept)


def discard(services: Services, one: Held, at: datetime) -> int:
    """Keep the keys; returns how many. Raises: as `accept`."""
    return _decide(services, one, at, Session.discard)


def _decide(services: Services, one: Held, at: datetime, do: Callable[[Session, Cursor, str], int]) -> int:
    source = sources.load(one.owner.removesuffix(BACKFILL))
    with Client.for_source(source, None, None) as client:
        slot_id = slots.slot_id(one.owner, at)
        session = open_session(source, services, client, owner=one.owner, slot_id=slot_id, at=at)
        stands = session.cursors.get(one.resource)
        if stands is None or not stands.held(one.part) or stands.parts[one.part].edition != one.edition:
            raise UsageError(f"{one.entry} no longer waits for a decision", hint="correnteza withdrawals list")
        return do(session, stands, one.part)

"""Payloads that a cursor refers to: the next poll, an unfinished edition or a comparison needs them."""

from producers import cursor, sources
from producers.chunk import CURSORS
from producers.poll import BACKFILL, Services
from schemas.contracts import load
from schemas.registry import Registry


def of_cursors(services: Services) -> set[str]:
    """SHA-256 of each: of part states, holdings and comparisons. Raises: as `cursor.read`."""
    owners = [owner for name in sources.load_every() for owner in (name, name + BACKFILL)]
    topic = services.prefix + load(CURSORS).topic
    found = cursor.read(services.bootstrap, topic, owners, Registry(services.registry_url).schema_by_id)
    needed: set[str] = set()
    for stands in (each for cursors in found.values() for each in cursors.values()):
        needed |= {state.payload_sha256 for state in stands.parts.values()}
        needed |= {holding.payload_sha256 for holding in stands.holdings}
        needed |= {each.payload_sha256 for comparison in stands.comparisons.values() for each in comparison.former}
    return needed

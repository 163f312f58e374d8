"""What must hold before a key is erased: nobody else writes the tables, and every query has read its input."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from correnteza.erasing import gold
from correnteza.erasing.key import BRONZE_OF, Key
from correnteza.places import places
from correnteza.settings import Settings
from foundation.errors import UnsafeState
from producers.redrive import REDRIVES
from schemas.contracts import load
from sinks.locks import exclusive
from storage.location import Remote
from storage.probe import keeps_versions
from stream_jobs.places import QUARANTINE, Places
from stream_jobs.rebuild import run as rebuild
from stream_jobs.running import unread
from stream_jobs.running.inputs import declared
from stream_jobs.running.jobs import Broker
from stream_jobs.running.topic_ids import current_ids
from stream_jobs.running.unread import topics_now

CAUGHT_UP = "correnteza run all --once; then run this again"


def require_no_versions(settings: Settings) -> None:
    """Raises: UnsafeState: the bucket of lake or archive keeps what is deleted in it; nothing here removes that."""
    for name, place in (("lake", settings.lake_root), ("archive", settings.archive_root)):
        if isinstance(place, Remote) and keeps_versions(place):
            raise UnsafeState(
                f"the bucket of {name}, {place.bucket}, keeps former versions of its objects, and the key in them",
                hint="move lake and archive to buckets without versions (docs/erasure.md)",
            )


@contextmanager
def exclusive_lock(where: Places, key: Key) -> Iterator[None]:
    """Nobody else writes the tables meanwhile: no driver, no maintenance, no rebuild, no redrive.

    Raises: UnsafeState: somebody does; or a rebuild is unfinished.
    """
    with ExitStack() as stack:
        stack.enter_context(rebuild.exclusive_lock(where))
        present = rebuild.latest(where)
        if present is not None and not rebuild.is_finished(where, present):
            raise UnsafeState(
                f"a rebuild of {', '.join(present.queries)} is unfinished, and its shadow may hold the key",
                hint="correnteza rebuild --resume, to end it; or --abandon. Then run this again",
            )
        for lock in _locks(where, key):
            stack.enter_context(exclusive(where.locks, lock, where.lake))
        yield


def require_all_read(settings: Settings, key: Key) -> None:
    """Raises: UnsafeState: a query has not read its input to the end: it may bring the key, or need files of it."""
    where, name = places(settings), key.contract.name
    streams = [load(each) for each in (name, *BRONZE_OF, REDRIVES)]
    named = {each.topic_at(settings.topic_prefix): f"bronze.{each.name.replace('.', '_')}" for each in streams}
    there = current_ids(settings.bootstrap, named)
    behind = [
        named[topic]
        for topic, now in topics_now(Broker(settings.bootstrap, settings.topic_prefix), there).items()
        if unread.in_topic(where, named[topic], now)
    ]
    following = [f"silver.{name}", *(f"gold.{each.name}" for each in gold.tables_of(where, key))]
    behind += [each for each in following if unread.in_tables(where, each, declared()[each], changes_too=False)]
    if behind:
        raise UnsafeState(f"{', '.join(behind)} has not read all of its input", hint=CAUGHT_UP)


def _locks(where: Places, key: Key) -> list[str]:
    of_gold = [f"gold.{each.name}" for each in gold.tables_of(where, key)]
    name = key.contract.name
    return [f"bronze.{name}", *BRONZE_OF.values(), f"silver.{name}", QUARANTINE, *of_gold]

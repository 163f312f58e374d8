"""One erasure, from its first step to its last.

    <home>/erase/state.json      which one is under way; of the key only a slow hash
    <home>/erase/groups/*        the gold groups that the key touched

Each step looks for what is still there, so whoever was killed anywhere runs all of them again. The records' places are
noted before the records go, and all that is derived goes before what it is derived from: nothing comes back meanwhile.
"""

import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from uuid import uuid4

from pyspark.sql import SparkSession

from correnteza import audit
from correnteza.erasing import gold, topics
from correnteza.erasing.archive import Found, Payloads, under_way
from correnteza.erasing.key import Key
from correnteza.erasing.records import Erasure, records
from correnteza.places import places
from correnteza.settings import Settings
from foundation import clock
from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from foundation.files import replace_file
from monitoring.lake import Lake
from producers import cursor
from producers.archive import Archive
from producers.chunk import CURSORS
from producers.poll import BACKFILL
from schemas.contracts import load
from schemas.registry import Registry
from sinks.erasing import Held, former_files, held, purge, take_out
from sinks.ops import erasures
from stream_jobs.rebuild import shadow
from stream_jobs.running.shadows import FOLDER


@dataclass(frozen=True)
class State:
    """What is under way.

    Attributes:
        salt, digest: of the key, hexadecimal.
    """

    erasure: str
    dataset: str
    salt: str
    digest: str
    begun_at: str
    by: str
    note: str


@dataclass(frozen=True)
class Plan:
    """Where the key stands.

    Attributes:
        tables: table → the files that hold rows of it.
        payloads: payloads that do. samples: answers that were no data, and do.
        gold: tables whose groups are recomputed.
        kafka: what Kafka holds of it that bronze has read.
    """

    tables: dict[str, Held]
    payloads: Found
    samples: int
    gold: list[str]
    kafka: list[topics.Left]

    @property
    def is_empty(self) -> bool:
        """Whether the key stands nowhere that can be erased."""
        in_tables = any(each.live or each.former for each in self.tables.values())
        return not (in_tables or self.payloads or self.samples)


class Erase:
    """The erasure of one key; only under `preconditions.exclusive_lock`."""

    def __init__(self, settings: Settings, key: Key, spark: Callable[[], SparkSession]) -> None:
        """Args: spark: asked for only where gold is recomputed."""
        self._settings, self._key, self._spark = settings, key, spark
        self._places = places(settings)
        self._folder = settings.home / "erase"
        self._payloads = Payloads(Archive(settings.archive_root, settings.spool), Lake(settings.lake_root), key)

    def state(self) -> State | None:
        """The erasure that is under way. Raises: UnsafeState: it is of another key."""
        try:
            state = State(**json.loads((self._folder / "state.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        if state.digest != self._key.digest(bytes.fromhex(state.salt)):
            raise UnsafeState(
                f"an erasure of another key of {state.dataset} was begun at {state.begun_at} and is not ended",
                hint=f"end it first, with its own key: correnteza erase {state.dataset} …",
            )
        return state

    def plan(self) -> Plan:
        """Where the key stands; changes nothing."""
        there = {table: held(self._places.table(table), match) for table, match in self._key.tables.items()}
        probe = Erasure("", clock.now(), audit.user(), "")
        return Plan(
            {table: each for table, each in there.items() if each.live or each.former},
            self._payloads.find(),
            len(self._payloads.samples()),
            [f"gold.{each.name}" for each in gold.tables_of(self._places, self._key)],
            topics.left(self._settings.bootstrap, records(self._places, self._key, probe)),
        )

    def begin(self, note: str) -> State:
        """Note that it is begun, or go on with the one that is."""
        state = self.state()
        if state is None:
            salt = secrets.token_bytes(16)
            digest = self._key.digest(salt)
            state = State(
                uuid4().hex, self._key.contract.name, salt.hex(), digest, clock.now().isoformat(), audit.user(), note
            )
        return self._write(state)

    def carry_out(self, state: State, found: Found, *, cut_off: bool, say: Callable[[str], None]) -> None:
        """Every step. Args: found: payloads that hold the key. cut_off: delete the topics' beginnings.

        Raises: UnsafeState: a publication of the key is under way; or a gold table refuses what is left.
        """
        where, key = self._places, self._key
        gold.note_groups(where, key, self._folder / "groups", self._spark)
        failpoint("erase_noted")
        erasure = Erasure(state.erasure, clock.now(), state.by, state.note)
        said = erasures.declare(where.table(erasures.NAME), records(where, key, erasure))
        say(f"ops.erasures: {said} records noted, by their place in Kafka")
        failpoint("erase_recorded")
        if found:
            self._payloads.take_out(found, self._half_published())
        self._payloads.take_out({}, ())
        self._payloads.clear()
        say(f"payload archive: {len(found)} payloads hold it no more")
        failpoint("erase_archived")
        in_silver = [table for table in key.tables if table.startswith("silver.")]
        for table in in_silver:
            say(f"{table}: {take_out(where.table(table), key.tables[table])} rows")
        failpoint("erase_silver")
        done = gold.refill_groups(where, key, self._folder / "groups", self._spark)
        for table, groups in done.items():
            say(f"{table}: {groups} groups recomputed")
        failpoint("erase_gold")
        for table in (each for each in key.tables if each not in in_silver):
            say(f"{table}: {take_out(where.table(table), key.tables[table])} rows")
        failpoint("erase_bronze")
        files = sum(self._purged(table) for table in key.tables)
        for each in gold.tables_of(where, key):
            path = where.table(f"gold.{each.name}")
            files += purge(path, former_files(path))
        self._forget_rebuilds()
        say(f"{files} files that held it were deleted; versions of the tables from before cannot be read any more")
        failpoint("erase_purged")
        self._tell_kafka(state, cut_off=cut_off, say=say)
        shutil.rmtree(self._folder)

    def _purged(self, table: str) -> int:
        path = self._places.table(table)
        return purge(path, held(path, self._key.tables[table]).former)

    def _tell_kafka(self, state: State, *, cut_off: bool, say: Callable[[str], None]) -> None:
        mine = [each for each in erasures.stored(self._places.table(erasures.NAME)) if each.erasure == state.erasure]
        if cut_off:
            topics.cut_off(self._settings.bootstrap, topics.left(self._settings.bootstrap, mine))
        for left in topics.left(self._settings.bootstrap, mine):
            say(str(left))

    def _forget_rebuilds(self) -> None:
        """The differences that earlier rebuilds found name keys; and shadows of whoever was killed hold rows."""
        for file in (self._places.checkpoints / FOLDER).glob("*/differences.json"):
            file.unlink()
        shadow.remove_left(self._places)

    def _half_published(self) -> set[str]:
        settings = self._settings
        mine = [name for name in self._payloads.sources for name in (name, name + BACKFILL)]
        topic = settings.topic_prefix + load(CURSORS).topic
        return under_way(cursor.read(settings.bootstrap, topic, mine, Registry(settings.registry).schema_by_id))

    def _write(self, state: State) -> State:
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._folder / "state.json", json.dumps(asdict(state), indent=1))
        return state

"""Streaming checkpoints, their generations, and the guard file beside each.

    checkpoints/<layer>.<table>/guard.json     what the checkpoint belongs to
    checkpoints/<layer>.<table>/g<generation>  Spark's own files

A lost, copied, damaged or outdated checkpoint does not stop Spark: it reads again from the start, or from where
another copy stood, and doubles rows or skips them silently. So the guard notes the query id, the topic's id and the
ids of the tables before a query first starts, and nothing starts unless all of them are still the same.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from foundation.errors import UnsafeState
from foundation.files import replace_file
from sinks.transactions import Batch
from stream_jobs.running import fingerprint

SHADOWS = "rebuild"
"""The folder, beside those of the queries, of the checkpoints of rebuilds: see `handover`."""

_OFFSET_HEADER_LINES = 2
"""The version of the format, then the batch's watermark and settings."""


@dataclass(frozen=True)
class Guard:
    """What one checkpoint belongs to.

    Attributes:
        generation: counts how often it was begun again; part of every Delta transaction app id.
        query_id: Spark's id of the query, generated here; the app id of a bronze query's commits.
        tables: table name → id of the Delta table it writes.
        topic, topic_id: of a bronze query; a recreated topic has another id, and other records at the same offsets.
        starting_offsets: where an adopted bronze checkpoint begins, as Spark's Kafka source takes it.
        fingerprint: what the query was, as `running.fingerprint` has it; None in a guard of a release that noted none.
    """

    generation: int
    query_id: str
    tables: Mapping[str, str] = field(default_factory=dict)
    topic: str | None = None
    topic_id: str | None = None
    starting_offsets: str | None = None
    fingerprint: Mapping[str, str] | None = None


def app_id(query: str, guard: Guard, table: str) -> str:
    """Under which a query commits to a table (`<layer>.<table>`) of its own, while it has this guard."""
    if query.startswith("bronze."):
        return guard.query_id
    return Batch(query, guard.generation, 0).app_id(table.partition(".")[2])


@dataclass(frozen=True)
class Found:
    """What a query's folder and its tables hold: all that decides whether the query may start.

    Attributes:
        tables: table name → id of the Delta table there now.
        has_rows: whether any of the tables holds a row.
        topic_id: the topic's id now.
        last_written: the highest batch id of this generation that the tables hold; None when they hold none.
        fingerprint: of the query in this release; None leaves it unchecked.
    """

    tables: Mapping[str, str]
    has_rows: bool
    topic: str | None = None
    topic_id: str | None = None
    last_written: int | None = None
    fingerprint: Mapping[str, str] | None = None


class Checkpoint:
    """One query's folder."""

    def __init__(self, query: str, folder: Path) -> None:
        """Args: query: `<layer>.<table>`. folder: `checkpoints/<query>`."""
        self.query = query
        self.folder = folder

    @property
    def guard(self) -> Guard | None:
        """The guard on disk. Raises: UnsafeState when it cannot be read."""
        file = self.folder / "guard.json"
        try:
            return Guard(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise self._unsafe(f"{file} is damaged: {error}") from error

    def path(self, generation: int) -> Path:
        """Where Spark keeps one generation."""
        return self.folder / f"g{generation}"

    def open(self, found: Found) -> Guard:
        """The guard under which the query may start. For a new query, guard and checkpoint are created.

        Raises:
            UnsafeState: starting could double or lose rows; nothing was changed.
        """
        guard = self.guard
        if guard is None:
            if any(self.folder.glob("g*/offsets/*")):
                raise self._unsafe(f"the checkpoint in {self.folder} has no guard.json: nobody knows what it read")
            if found.has_rows:
                raise self._unsafe(f"{self.query} holds rows, but its checkpoint {self.folder} is lost")
            return self.begin(self._new(0, found))
        self._require_same_identity(guard, found)
        if not self.has_begun(guard.generation):
            if found.has_rows:
                raise self._unsafe(f"{self.query} holds rows, but its checkpoint {self.path(guard.generation)} is lost")
            return self.begin(self._new(self.newest_generation() + 1, found))
        self._require_sound_files(guard, found)
        self._require_same_fingerprint(guard, found)
        return guard

    def stamp(self, guard: Guard, found: Found) -> Guard:
        """Note the fingerprint in an accepted guard that has none. Only the holder of the table's lock may."""
        if guard.fingerprint is not None or found.fingerprint is None:
            return guard
        stamped = replace(guard, fingerprint=dict(found.fingerprint))
        self._write_guard(stamped)
        return stamped

    def adopt(self, found: Found, starting_offsets: str | None) -> Guard:
        """Begin a new generation with an empty checkpoint, whatever was there before; the tables stay."""
        latest = self.newest_generation()
        if latest < 0 and found.has_rows:
            latest = 0  # everything is lost, but there was a first generation
        return self.begin(replace(self._new(latest + 1, found), starting_offsets=starting_offsets))

    def begin(self, guard: Guard) -> Guard:
        """Write a guard and, before it, the empty checkpoint it names.

        Spark takes the query id from the metadata file if there is one. Written here, it is known before the query can
        write anything.
        """
        path = self.path(guard.generation)
        path.mkdir(parents=True, exist_ok=True)
        replace_file(path / "metadata", json.dumps({"id": guard.query_id}))
        self._write_guard(guard)
        return guard

    def continue_with(self, guard: Guard) -> None:
        """Write a guard whose checkpoint is there already: one rename moves the query to that generation."""
        self._write_guard(guard)

    def newest_generation(self) -> int:
        """The highest generation of which anything exists, rebuilds included, whose batches carry ids too; -1 without
        one."""
        found = [*self.folder.glob("g*"), *(self.folder.parent / SHADOWS / self.query).glob("g*")]
        generations = [int(path.name[1:]) for path in found if path.name[1:].isdigit()]
        try:
            guard = self.guard
        except UnsafeState:
            guard = None  # damaged: its generation is at most that of the folders beside it
        return max([*generations, guard.generation if guard else -1])

    def has_begun(self, generation: int) -> bool:
        """Whether Spark's own files of a generation are there."""
        return (self.path(generation) / "metadata").exists()

    def last_batch(self, generation: int, log: str) -> int | None:
        """The highest batch id in `offsets` (planned) or `commits` (finished)."""
        ids = [int(path.name) for path in (self.path(generation) / log).glob("*") if path.name.isdigit()]
        return max(ids, default=None)

    def settled(self, generation: int) -> list[str] | None:
        """Spark's offsets, one text per source, of the last batch; none before the first, None while one has not ended.

        `-` stands for a source that has given nothing yet.
        """
        planned, finished = (self.last_batch(generation, log) for log in ("offsets", "commits"))
        if planned is None:
            return []
        return self._offsets(generation, planned) if planned == finished else None

    def planned(self, generation: int) -> list[str]:
        """Spark's offsets, as `settled`, of the newest batch, whether it has ended or not; none before the first."""
        newest = self.last_batch(generation, "offsets")
        return [] if newest is None else self._offsets(generation, newest)

    def finished(self, generation: int, *, before: int = 0) -> list[str]:
        """Spark's offsets, as `settled`, of the last batch that has ended; none before the first.

        Args:
            before: how many batches before that one; Spark keeps some.
        """
        last = self.last_batch(generation, "commits")
        return [] if last is None or last < before else self._offsets(generation, last - before)

    def position(self, guard: Guard) -> dict[int, int]:
        """Partition → the offset that a bronze query reads next; one that it never read is absent."""
        offsets = self._read_up_to(guard, self.last_batch(guard.generation, "commits"))
        # Spark writes "from the first one" as a negative number.
        return {int(partition): offset for partition, offset in offsets.items() if offset >= 0}

    def offsets_in(self, guard: Guard, batch_id: int) -> int:
        """How many offsets a planned bronze batch reads at most: exactly that many where it knows its beginning."""
        begun, planned = (self._read_up_to(guard, each if each >= 0 else None) for each in (batch_id - 1, batch_id))
        return sum(until - max(begun.get(partition, 0), 0) for partition, until in planned.items())

    def _read_up_to(self, guard: Guard, batch_id: int | None) -> dict[str, int]:
        """Partition → offset, exclusive, that a bronze batch reads up to. Args: batch: None gives the offsets at which
        the generation begins."""
        assert guard.topic is not None
        text = self._offsets(guard.generation, batch_id)[0] if batch_id is not None else guard.starting_offsets or "{}"
        found: dict[str, int] = json.loads(text).get(guard.topic, {})
        return found

    def _offsets(self, generation: int, batch_id: int) -> list[str]:
        """A batch's line for each source: what it reads up to."""
        text = (self.path(generation) / "offsets" / str(batch_id)).read_text(encoding="utf-8")
        return text.splitlines()[_OFFSET_HEADER_LINES:]

    def _new(self, generation: int, found: Found) -> Guard:
        noted = None if found.fingerprint is None else dict(found.fingerprint)
        return Guard(generation, str(uuid.uuid4()), dict(found.tables), found.topic, found.topic_id, fingerprint=noted)

    def _write_guard(self, guard: Guard) -> None:
        replace_file(self.folder / "guard.json", json.dumps(asdict(guard), indent=1))

    def _require_same_fingerprint(self, guard: Guard, found: Found) -> None:
        if guard.fingerprint is None or found.fingerprint is None:
            return
        if changed := fingerprint.difference(guard.fingerprint, found.fingerprint):
            raise UnsafeState(
                f"the checkpoint of {self.query} was written by another kind of query: {'; '.join(changed)}",
                hint=f"go back to the release that wrote it; or correnteza checkpoint adopt {self.query}",
            )

    def _require_same_identity(self, guard: Guard, found: Found) -> None:
        if guard.topic_id != found.topic_id or guard.topic != found.topic:
            raise UnsafeState(
                f"{self.query} reads topic {guard.topic} with id {guard.topic_id}, but the topic is now {found.topic}"
                f" with id {found.topic_id}: it was recreated, and the same offsets are other records",
                hint=f"correnteza checkpoint adopt {self.query}, to go on with the new topic; or restore the old topic",
            )
        for table, identity in guard.tables.items():
            if found.tables.get(table) != identity:
                raise self._unsafe(
                    f"{table} is not the table that the checkpoint of {self.query} wrote: it was recreated since"
                )

    def _require_sound_files(self, guard: Guard, found: Found) -> None:
        """Spark's own files: of this query, readable, and neither ahead of the tables nor behind them."""
        path = self.path(guard.generation)
        try:
            query_id = json.loads((path / "metadata").read_text(encoding="utf-8"))["id"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._unsafe(f"{path / 'metadata'} is damaged") from error
        if query_id != guard.query_id:
            raise self._unsafe(f"{path} is the checkpoint of another query: it was copied here")
        for log in ("offsets", "commits"):
            last = self.last_batch(guard.generation, log)
            if last is not None and not _is_sound(path / log / str(last)):
                raise self._unsafe(f"{path / log / str(last)} is damaged")
        planned = self.last_batch(guard.generation, "offsets")
        written = found.last_written
        if written is not None and (planned is None or planned < written):
            raise self._unsafe(
                f"{path} ends at batch {planned}, but {self.query} has already written batch {written}: an older copy"
                " of the checkpoint was put back, and its next batches would be taken for written"
            )

    def _unsafe(self, message: str) -> UnsafeState:
        return UnsafeState(message, hint=f"correnteza checkpoint adopt {self.query}")


def _is_sound(file: Path) -> bool:
    """Whether a file of Spark's offset or commit log begins as it must and holds something."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        return False
    return (
        lines[0] == fingerprint.OFFSET_VERSION
        and len(lines) > 1
        and all(_is_json(line) for line in lines[1:] if line != "-")
    )


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True

"""Files of the lake and the archive, wherever they stand: list, look, read, write, remove.

On a local disk these are the system's own calls. In a store a folder is the common beginning of keys: it need not be
made, and is gone with its last file.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple
from uuid import uuid4

from foundation.files import replace_file
from storage.errors import store_errors
from storage.location import Address, Location, Remote, location


class Entry(NamedTuple):
    """A file in a folder.

    Attributes:
        size: bytes.
        modified_at: seconds since 1970, by the clock of the disk or store.
    """

    name: str
    size: int
    modified_at: float


def entries(folder: Address) -> list[Entry]:
    """The files that stand right in a folder, in no order; none where it does not exist."""
    place = location(folder)
    if isinstance(place, Remote):
        found = _listed(place)
        return [_entry(each, _prefix(place)) for each in found["objects"] if each["path"] != place.key]
    return [entry for entry in _local_entries(place) if entry is not None]


def names(folder: Address) -> list[str]:
    """The names of the files right in a folder, and on a disk of its folders too; none where it does not exist."""
    place = location(folder)
    if isinstance(place, Remote):
        return [entry.name for entry in entries(place)]
    try:
        with os.scandir(place) as found:
            return [each.name for each in found]
    except FileNotFoundError:
        return []


def folders(folder: Address) -> list[str]:
    """The names of the folders right in a folder, sorted; none where it does not exist."""
    place = location(folder)
    if isinstance(place, Remote):
        return sorted(prefix.rpartition("/")[2] for prefix in _listed(place)["common_prefixes"])
    try:
        with os.scandir(place) as found:
            return sorted(each.name for each in found if each.is_dir())
    except FileNotFoundError:
        return []


def walk(folder: Address) -> Iterator[Entry]:
    """Every file below a folder; names are relative to it."""
    place = location(folder)
    if isinstance(place, Remote):
        with store_errors(place):
            for batch in _store(place).list(prefix=place.key or None):
                for each in batch:
                    yield _entry(each, _prefix(place))
        return
    for parent, _, names in os.walk(place):
        for name in names:
            file = Path(parent) / name
            if (entry := look(file)) is not None:
                yield entry._replace(name=file.relative_to(place).as_posix())


def look(file: Address) -> Entry | None:
    """What there is to know of a file without reading it; None where it does not exist, or has gone meanwhile."""
    place = location(file)
    if isinstance(place, Remote):
        try:
            with store_errors(place):
                return _entry(_store(place).head(place.key), _prefix(place.parent))
        except FileNotFoundError:
            return None
    try:
        stat = place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Entry(place.name, stat.st_size, stat.st_mtime) if S_ISREG(stat.st_mode) else None


def size(file: Address) -> int | None:
    """Bytes of a file; None where it does not exist."""
    found = look(file)
    return None if found is None else found.size


def sizes(folder: Address, names: Collection[str]) -> dict[str, int]:
    """Bytes of those of some files below a folder that are there. A store is asked for the list of all, once."""
    place = location(folder)
    if isinstance(place, Remote):
        wanted = set(names)
        return {each.name: each.size for each in walk(place) if each.name in wanted} if wanted else {}
    return {name: found for name in names if (found := size(place / name)) is not None}


def exists(file: Address) -> bool:
    """Whether a file is there."""
    return look(file) is not None


def is_folder(folder: Address) -> bool:
    """Whether a folder is there; in a store, whether anything stands below it."""
    place = location(folder)
    if isinstance(place, Remote):
        return next(walk(place), None) is not None
    return place.is_dir()


def read(file: Address) -> bytes:
    """The bytes of a file. Raises: FileNotFoundError."""
    place = location(file)
    if isinstance(place, Remote):
        with store_errors(place):
            return bytes(_store(place).get(place.key).bytes())
    return place.read_bytes()


def blocks(file: Address, start: int = 0, length: int | None = None, *, most: int) -> Iterator[bytes]:
    """A file, or a span of it, in blocks of at most so many bytes. Raises: FileNotFoundError."""
    left = length if length is not None else 1 << 62
    place = location(file)
    if isinstance(place, Remote):
        until = min(start + left, size(place) or 0)
        for begin in range(start, until, most):
            with store_errors(place):
                yield bytes(_store(place).get_range(place.key, start=begin, end=min(begin + most, until)))
        return
    with place.open("rb") as opened:
        opened.seek(start)
        while left and (block := opened.read(min(most, left))):
            left -= len(block)
            yield block


def keep(file: Path, target: Address) -> None:
    """Make a file of this machine stand at a place: on a disk it is moved, a store gets its bytes. Durable then."""
    place = location(target)
    if isinstance(place, Remote):
        with store_errors(place):
            _store(place).put(place.key, file)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    file.rename(place)


def write(file: Address, content: bytes) -> None:
    """Write a small file whole: a reader has the old content or the new. Durable when this returns."""
    place = location(file)
    if isinstance(place, Remote):
        with store_errors(place):
            _store(place).put(place.key, content, use_multipart=False)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    replace_file(place, content)


def rewrite(file: Address, content: bytes) -> None:
    """As `write`, of a file that is there: on a disk it keeps its time, a store gives it a new one."""
    place = location(file)
    if isinstance(place, Path):
        stat = place.stat()
        replace_file(place, content)
        os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        write(place, content)


def create(file: Address, content: bytes) -> None:
    """Write a small file into a folder that is there, whole; a file of this name stays as it is."""
    place = location(file)
    if isinstance(place, Remote):
        from obstore.exceptions import AlreadyExistsError

        with suppress(AlreadyExistsError), store_errors(place):
            _store(place).put(place.key, content, mode="create", use_multipart=False)
        return
    partial = place.with_name(f".{place.name}.{uuid4().hex}")
    try:
        partial.write_bytes(content)
        with suppress(FileExistsError):
            os.link(partial, place)
    finally:
        partial.unlink(missing_ok=True)


def remove(file: Address) -> None:
    """Remove a file; one that is not there is no error. On a disk, folders stay."""
    place = location(file)
    if isinstance(place, Remote):
        with store_errors(place):
            _store(place).delete(place.key)
        return
    place.unlink(missing_ok=True)


def remove_tree(folder: Address) -> None:
    """Remove a folder and all in it; one that is not there is no error."""
    place = location(folder)
    if isinstance(place, Remote):
        names = [f"{_prefix(place)}{entry.name}" for entry in walk(place)]
        with store_errors(place):
            if names:
                _store(place).delete(names)
        return
    shutil.rmtree(place, ignore_errors=True)


def remove_empty_folders(folder: Address, name: str) -> None:
    """Remove the folders of a file that was removed, below a folder, as far as they are empty; a store has none."""
    place = location(folder)
    if isinstance(place, Path):
        for parent in Path(name).parents[:-1]:
            try:
                (place / parent).rmdir()
            except OSError:
                break  # it holds more


def make_folder(folder: Address) -> None:
    """Make a folder; in a store there is nothing to do."""
    place = location(folder)
    if isinstance(place, Path):
        place.mkdir(parents=True, exist_ok=True)


def move(source: Address, target: Address) -> None:
    """Give a file another name. On a disk it is renamed; in a store it is copied, then removed: atomic is neither."""
    there, here = location(source), location(target)
    if isinstance(there, Remote) and isinstance(here, Remote):
        _copy(there, here)
        remove(there)
        return
    assert isinstance(there, Path)
    assert isinstance(here, Path)
    here.parent.mkdir(parents=True, exist_ok=True)
    there.rename(here)


def link(source: Address, target: Address) -> None:
    """The same bytes under a second name, as young as if they were written now; nothing where the target exists.

    On a disk it is a hard link where that is possible; a store copies on its own side.
    """
    there, here = location(source), location(target)
    if isinstance(there, Remote) and isinstance(here, Remote):
        if not exists(here):
            _copy(there, here)
        return
    assert isinstance(there, Path)
    assert isinstance(here, Path)
    if here.exists():
        return
    here.parent.mkdir(parents=True, exist_ok=True)
    partial = here.with_name(f".{here.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(there, partial)
    except OSError:  # another file system, or one without links
        shutil.copyfile(there, partial)
    os.utime(partial)
    partial.replace(here)


def flush(address: Address) -> None:
    """Onto the disk, a file or a folder: a power cut must not take what another file is removed for. A store has what
    it acknowledged.
    """
    place = location(address)
    if isinstance(place, Path):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def free_bytes(folder: Address) -> int | None:
    """Bytes that are free on the file system of a folder; None in a store, which does not tell."""
    place = location(folder)
    if isinstance(place, Remote):
        return None
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def arrow(address: Address) -> tuple[Any, str]:
    """Arrow's file system and the path in it, for readers and writers of Parquet."""
    place = location(address)
    if isinstance(place, Remote):
        return place.s3.arrow(), f"{place.bucket}/{place.key}"
    from pyarrow import fs

    return fs.LocalFileSystem(), str(place.resolve())


def _store(place: Remote) -> Any:
    return place.s3.bucket(place.bucket)


def _prefix(place: Remote) -> str:
    return f"{place.key}/" if place.key else ""


def _listed(place: Remote) -> Any:
    with store_errors(place):
        return _store(place).list_with_delimiter(place.key or None)


def _entry(found: Any, prefix: str) -> Entry:
    return Entry(found["path"].removeprefix(prefix), int(found["size"]), found["last_modified"].timestamp())


def _copy(source: Remote, target: Remote) -> None:
    with store_errors(source):
        _store(source).copy(source.key, target.key)


def _local_entries(folder: Path) -> Iterator[Entry | None]:
    try:
        with os.scandir(folder) as found:
            for each in found:
                yield look(Path(each.path))
    except FileNotFoundError:
        return


def resolved(address: Address) -> Location:
    """The same place; a local one with an absolute path."""
    place = location(address)
    return place.resolve() if isinstance(place, Path) else place

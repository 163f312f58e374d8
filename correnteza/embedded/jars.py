"""Install the files of jars.lock into one folder, check each of them, and refuse files that differ from the lock.

.jars/spark/*.jar       on the class path of the Spark driver, beside pyspark's own
.jars/kafka/*.jar       the broker, whole
.jars/registry/         the registry, unpacked
.jars/java/             Java homes and class archives (java.py)
.jars/downloads/        what an interrupted set-up has fetched: the next one takes it from there
.jars/installed.json    the lock's own hash, the SHA-256 of every file above and of each unpacked archive: written last
"""

import fcntl
import hashlib
import json
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from correnteza.embedded.lock import LOCK_FILE, Artifact, file_sha256, read
from correnteza.embedded.maven import Fetch, is_whole, stored
from correnteza.settings import Settings
from foundation.errors import DependencyUnavailable, UnsafeState
from foundation.files import replace_file

KITS = ("spark", "kafka", "registry")
ARCHIVE = "tar.gz"
"""Packaging of an artifact that is unpacked and is the only content of its kit's folder."""
DOWNLOADS_AT_ONCE = 4


def folder(settings: Settings) -> Path:
    """The folder for jars: from the settings, else `.jars` in the checkout or in the environment of an installed
    wheel."""
    checkout = Path(__file__).parents[2]
    own = checkout if (checkout / "pyproject.toml").is_file() else Path(sys.prefix)
    return (settings.jars or own / ".jars").resolve()


def require(jars: Path, lock_file: Path = LOCK_FILE) -> Path:
    """The folder, if set-up has finished for this lock. Reads one small file.

    Raises:
        DependencyUnavailable: set-up has not run, or ran for another lock.
    """
    if _stamp(jars).get("lock") != file_sha256(lock_file):
        raise DependencyUnavailable(f"the jars of {lock_file.name} are not in {jars}", hint="correnteza setup")
    return jars


def checked(jars: Path, kit: str, lock_file: Path = LOCK_FILE) -> Path:
    """The folder, if it holds exactly the files of a kit that the lock names.

    Hashes them all: 0.1 to 0.5 s. Jars are compared with the lock; the files of an unpacked archive with the hashes
        that set-up has stored.

    Raises:
        DependencyUnavailable: set-up has not run, or ran for another lock.
        UnsafeState: a file is missing, changed or unknown; it is named.
    """
    require(jars, lock_file)
    noted: dict[str, str] = _stamp(jars).get("files", {})
    expected = {name: sha256 for name, sha256 in noted.items() if name.startswith(f"{kit}/")}
    locked = [each for each in read(lock_file) if each.kit == kit and each.packaging != ARCHIVE]
    if locked:
        expected = {f"{kit}/{each.file_name}": each.sha256 for each in locked}
    there = {str(path.relative_to(jars)) for path in _files(jars / kit)}
    with ThreadPoolExecutor() as pool:  # hashing releases the GIL
        found = dict(zip(sorted(there), pool.map(lambda name: file_sha256(jars / name), sorted(there)), strict=True))
    for name in sorted(expected | found):
        if found.get(name) != expected.get(name):
            state = "gone" if name not in found else "altered" if name in expected else "not of the lock"
            raise UnsafeState(
                f"{jars / name} is {state}: nothing is started with it", hint="correnteza setup --refetch"
            )
    return jars


@contextmanager
def exclusive(jars: Path) -> Iterator[None]:
    """Wait until no other set-up works on this folder."""
    jars.mkdir(parents=True, exist_ok=True)
    with (jars / "setup.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def verify(jars: Path) -> int:
    """Hash every installed file again; returns how many there are.

    Raises:
        UnsafeState: a file is missing or changed; it is named.
    """
    files: dict[str, str] = _stamp(jars).get("files", {})
    for name, sha256 in files.items():
        path = jars / name
        if not path.is_file() or file_sha256(path) != sha256:
            raise UnsafeState(
                f"{path} is {'altered' if path.exists() else 'gone'}: it is not the file that set-up put there",
                hint=f"rm -r {jars} && correnteza setup",
            )
    return len(files)


def missing(jars: Path, lock_file: Path = LOCK_FILE) -> list[Artifact]:
    """The artifacts of the lock that the folder does not hold completely, by checksum, also if it was installed for
    another lock."""
    return [artifact for artifact in read(lock_file) if not _installed(jars, artifact)]


def install(
    jars: Path,
    fetch: Fetch,
    *,
    lock_file: Path = LOCK_FILE,
    refetch: bool = False,
    stop: Event | None = None,
    progress: Callable[[Artifact], None] = lambda _: None,
) -> int:
    """Fetch, check and install everything in the lock; nothing is installed unless everything is right.

    The first artifact that cannot be fetched ends it: no further download begins, and running ones are completed.

    Args:
        refetch: fetch everything again; otherwise files that are installed and complete are reused.
        stop: set at an interrupt, so that `fetch` can end at once.

    Returns: how many files there are now. Raises: UnsafeState, naming an artifact whose SHA-256 is another.
    """
    fresh = jars / "incoming"
    shutil.rmtree(fresh, ignore_errors=True)
    artifacts = read(lock_file)
    standing = {} if refetch else {artifact: _installed(jars, artifact) for artifact in artifacts}
    over = Event()

    def begin(artifact: Artifact) -> None:
        if over.is_set():
            return
        try:
            take(artifact)
        except BaseException:
            over.set()
            raise

    def take(artifact: Artifact) -> None:
        kit = fresh / artifact.kit
        kit.mkdir(parents=True, exist_ok=True)
        if names := standing.get(artifact):
            for name in names:
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(jars / name, fresh / name)
            return
        path = fetch(artifact)
        found = file_sha256(path)
        if found != artifact.sha256:
            raise UnsafeState(
                f"{artifact.coordinate} is not the file that {lock_file.name} names: SHA-256 {found}, "
                f"expected {artifact.sha256}",
                hint="look at where it was fetched from; a wanted change of version goes through `make lock`",
            )
        if artifact.packaging == ARCHIVE:
            _unpack(path, kit)
        else:
            shutil.copyfile(path, kit / artifact.file_name)
        progress(artifact)

    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        try:
            for done in as_completed([pool.submit(begin, artifact) for artifact in artifacts]):
                done.result()
        except KeyboardInterrupt:
            over.set()
            if stop is not None:
                stop.set()
            raise
    files = {str(path.relative_to(fresh)): file_sha256(path) for path in _files(fresh)}
    _stamp_path(jars).unlink(missing_ok=True)
    for kit in KITS:
        shutil.rmtree(jars / kit, ignore_errors=True)
        if (fresh / kit).exists():
            (fresh / kit).rename(jars / kit)
    fresh.rmdir()
    archives = {artifact.sha256: artifact.kit for artifact in artifacts if artifact.packaging == ARCHIVE}
    _write_stamp(jars, {"lock": file_sha256(lock_file), "archives": archives, "files": files})
    return len(files)


def _installed(jars: Path, artifact: Artifact) -> list[str]:
    """The installed files of an artifact, by name below the folder; empty if one of them is not complete."""
    if artifact.packaging != ARCHIVE:
        path = stored(jars, artifact)
        return [str(path.relative_to(jars))] if is_whole(path, artifact) else []
    stamp = _stamp(jars)
    if stamp.get("archives", {}).get(artifact.sha256) != artifact.kit:
        return []
    files = {name: digest for name, digest in stamp["files"].items() if name.startswith(f"{artifact.kit}/")}
    whole = all((jars / name).is_file() and file_sha256(jars / name) == digest for name, digest in files.items())
    return list(files) if whole else []


def class_path(jars: Path, kit: str) -> list[Path]:
    """The jars of one kit, in a fixed order."""
    return sorted((jars / kit).glob("*.jar"))


def fingerprint(paths: Iterable[Path]) -> str:
    """Changes when a jar is added, removed, renamed or moved: it is part of the names of class archives."""
    return hashlib.sha256("\n".join(sorted(map(str, paths))).encode()).hexdigest()[:12]


def _unpack(archive: Path, target: Path) -> None:
    """Unpack files and folders below the target.

    Raises: UnsafeState at an absolute path, a `..`, a link or a device, independently of Python's own defaults.
    """
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            place = (target / member.name).resolve()
            if not (member.isdir() or member.isfile()) or not place.is_relative_to(target.resolve()):
                raise UnsafeState(f"{archive.name} holds {member.name!r}, which is outside its folder")
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None
            with place.open("wb") as file:
                shutil.copyfileobj(content, file)


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def _stamp_path(jars: Path) -> Path:
    return jars / "installed.json"


def _stamp(jars: Path) -> dict[str, Any]:
    try:
        stamp: dict[str, Any] = json.loads(_stamp_path(jars).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return stamp


def _write_stamp(jars: Path, stamp: dict[str, Any]) -> None:
    replace_file(_stamp_path(jars), json.dumps(stamp, indent=1))

"""Whether a store keeps what is asked of it: conditional writes above all. Without them two drivers would overwrite
each other's commits, and nobody would notice.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from obstore.exceptions import AlreadyExistsError, PreconditionError

from foundation.errors import UnsafeState
from storage import files
from storage.errors import store_errors
from storage.location import Location, Remote

AT_ONCE = 8
LARGE_BYTES = 12 << 20
"""More than one part of a multipart upload."""


def require_conforming(root: Location) -> None:
    """Raises: UnsafeState, when the root is in a store that cannot be used; as `probe`. A disk always can."""
    if isinstance(root, Remote) and (wrong := probe(root)):
        raise UnsafeState(
            f"the object store of {root} cannot keep two drivers apart: {'; '.join(wrong)}",
            hint="use a store with conditional writes (docs/object-store.md)",
        )


def probe(root: Remote) -> list[str]:
    """What the store does wrong, in words; an empty list is a store that can be used. All that it wrote is removed.

    Raises:
        TransientError, DependencyUnavailable: it does not answer, or refuses us.
    """
    folder = root / "_probe" / uuid4().hex
    checks: dict[str, Callable[[Remote], bool]] = {
        "of several that create one object at once, not exactly one succeeds": _one_creates,
        "an object is replaced although it has changed since it was read": _stale_is_refused,
        "what was written is not read or listed at once": _is_seen_at_once,
        "an upload in several parts is not whole": _parts_are_whole,
    }
    try:
        return [wrong for wrong, holds in checks.items() if not holds(folder)]
    finally:
        files.remove_tree(folder)


def keeps_versions(root: Remote) -> bool:
    """Whether the bucket keeps what is replaced or deleted in it. Versions from before that was suspended are not seen.

    Raises: TransientError, DependencyUnavailable: the store does not answer, or refuses us.
    """
    place = root / "_probe" / uuid4().hex
    try:
        with store_errors(place):
            written = place.s3.bucket(place.bucket).put(place.key, b"", use_multipart=False)
        return written["version"] is not None
    finally:
        files.remove(place)


def _one_creates(folder: Remote) -> bool:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        won = [*pool.map(lambda number: _put(folder / "race", b"%d" % number, "create"), range(AT_ONCE))]
    return sum(won) == 1 and files.read(folder / "race") == b"%d" % won.index(True)


def _stale_is_refused(folder: Remote) -> bool:
    place = folder / "changed"
    files.write(place, b"first")
    with store_errors(place):
        known = str(place.s3.bucket(place.bucket).head(place.key)["e_tag"])
    renewed = _put(place, b"second", {"e_tag": known})
    return renewed and not _put(place, b"third", {"e_tag": known}) and files.read(place) == b"second"


def _is_seen_at_once(folder: Remote) -> bool:
    for number in range(AT_ONCE):
        files.write(folder / "seen" / f"{number}", b"x" * number)
        if files.size(folder / "seen" / f"{number}") != number or len(files.entries(folder / "seen")) != number + 1:
            return False
    return True


def _parts_are_whole(folder: Remote) -> bool:
    place = folder / "large"
    with store_errors(place):
        place.s3.bucket(place.bucket).put(place.key, b"x" * LARGE_BYTES, use_multipart=True)
    return files.size(place) == LARGE_BYTES


def _put(place: Remote, content: bytes, mode: Any) -> bool:
    try:
        with store_errors(place):
            place.s3.bucket(place.bucket).put(place.key, content, mode=mode, use_multipart=False)
    except (AlreadyExistsError, PreconditionError):
        return False
    return True

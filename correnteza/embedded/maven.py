"""Fetch artifacts from Maven Central, or from the mirror that a settings.xml names, into a folder that keeps them."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from xml.etree import ElementTree as XmlTree

from correnteza.embedded import fetch_errors
from correnteza.embedded.lock import Artifact, file_sha256
from foundation.errors import DependencyUnavailable, UnsafeState, UsageError

Fetch = Callable[[Artifact], Path]
Progress = Callable[[Artifact, int], None]
"""Called with an artifact and the number of bytes since the last call."""

TIMEOUT_SECONDS = 60
"""Longest time between two reads of an answer."""
_BLOCK = 256 << 10


def fetcher(
    folder: Path, maven_settings: Path | None, *, progress: Progress = lambda _, __: None, stop: Event | None = None
) -> Fetch:
    """A function that returns an artifact's path in `folder`, and downloads it if it is not complete there.

    A file gets its name only after its SHA-256 was checked, so that interrupted downloads never count; an artifact
    without a SHA-256 is not checked. The variables HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE and SSL_CERT_FILE are
    used.

    Args:
        stop: once it is set, downloads that run end at their next block with a KeyboardInterrupt.

    Raises (the function): DependencyUnavailable, with the reason and the setting that fixes it; UnsafeState when the
    file has another SHA-256 than in the lock.
    """
    import requests
    from jgo.constants import MAVEN_CENTRAL_URL  # so that our files contain no host

    base = mirror_url(maven_settings) if maven_settings else MAVEN_CENTRAL_URL

    def fetch(wanted: Artifact) -> Path:
        path = stored(folder, wanted)
        if is_whole(path, wanted):
            return path
        url = f"{base}/{wanted.group.replace('.', '/')}/{wanted.name}/{wanted.version}/{wanted.file_name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        try:
            with requests.Session() as session:
                session.verify = fetch_errors.certificates()
                session.headers["Accept-Encoding"] = "identity"  # a .tar.gz must not be decompressed
                with session.get(url, stream=True, timeout=TIMEOUT_SECONDS) as response:
                    if response.status_code != requests.codes.ok:
                        raise fetch_errors.of_status(wanted, url, response.status_code)
                    kind = response.headers.get("Content-Type", "")
                    digest = _save(response.iter_content(_BLOCK), partial, lambda size: progress(wanted, size), stop)
        except requests.RequestException as error:
            raise fetch_errors.of_exception(wanted, url, error) from error
        if wanted.sha256 and digest != wanted.sha256:
            partial.unlink()
            raise fetch_errors.of_content(wanted, url, digest, kind)
        partial.replace(path)
        return path

    return fetch


def offline_fetcher(folder: Path) -> Fetch:
    """A function that takes artifacts from the folder that a fetcher filled, without a network.

    Raises (the function): DependencyUnavailable when it is not there; UnsafeState when it is another file.
    """

    def fetch(wanted: Artifact) -> Path:
        path = stored(folder, wanted)
        if not path.is_file():
            raise DependencyUnavailable(
                f"{wanted.coordinate} is not in {folder}", hint="where there is a network: make wheelhouse FOLDER=…"
            )
        if not is_whole(path, wanted):
            raise UnsafeState(
                f"{path} is not {wanted.coordinate} as jars.lock names it",
                hint=f"rm {path}, and `make wheelhouse FOLDER=…` again where there is a network",
            )
        return path

    return fetch


def stored(folder: Path, artifact: Artifact) -> Path:
    """The path of an artifact in a folder: two kits may have files with the same name."""
    return folder / artifact.kit / artifact.file_name


def is_whole(path: Path, artifact: Artifact) -> bool:
    """Whether the file exists and has the artifact's SHA-256."""
    return path.is_file() and file_sha256(path) == artifact.sha256


def mirror_url(maven_settings: Path) -> str:
    """The first mirror of Central in a Maven settings.xml.

    Raises:
        UsageError: the file does not exist, is not XML, or has no such mirror.
    """
    try:
        root = XmlTree.parse(maven_settings).getroot()
    except (OSError, XmlTree.ParseError) as error:
        raise UsageError(f"cannot read {maven_settings}: {error}", hint="unset CORRENTEZA_MAVEN_SETTINGS") from error
    for mirror in root.iterfind("{*}mirrors/{*}mirror"):
        names = (mirror.findtext("{*}mirrorOf") or "").split(",")
        url = (mirror.findtext("{*}url") or "").strip()
        if url and {"*", "central", "external:*"} & {name.strip() for name in names}:
            return url.rstrip("/")
    raise UsageError(
        f"{maven_settings} has no mirror of `central` or `*`", hint="unset CORRENTEZA_MAVEN_SETTINGS, or add the mirror"
    )


def _save(blocks: Iterator[bytes], path: Path, came: Callable[[int], None], stop: Event | None) -> str:
    """Write blocks to a file as they come; returns their SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for block in blocks:
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
            file.write(block)
            digest.update(block)
            came(len(block))
    return digest.hexdigest()

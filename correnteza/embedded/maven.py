"""Fetch one artifact from Maven Central, or from the mirror that a settings.xml names."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as XmlTree

from correnteza.embedded.lock import Artifact
from foundation.errors import TransientError, UsageError

Fetch = Callable[[Artifact], Path]

TIMEOUT_SECONDS = 60
"""Between two reads of one answer."""


def fetcher(cache: Path, maven_settings: Path | None) -> Fetch:
    """A function that downloads an artifact into `cache` and returns its path; the caller checks the content.

    Proxy and certificate variables (HTTPS_PROXY, REQUESTS_CA_BUNDLE) work as in every Python HTTP client.
    """
    import requests
    from jgo.maven import MavenContext

    repositories = {"central": mirror_url(maven_settings)} if maven_settings else None
    context = MavenContext(repo_cache=cache, remote_repos=repositories, timeout=TIMEOUT_SECONDS)

    def fetch(wanted: Artifact) -> Path:
        component = context.project(wanted.group, wanted.name).at_version(wanted.version)
        try:
            return Path(component.artifact(wanted.classifier, wanted.packaging).resolve())
        except (requests.RequestException, RuntimeError) as error:
            raise TransientError(
                f"cannot fetch {wanted.coordinate}: {error}",
                hint="check the network; a mirror is set by CORRENTEZA_MAVEN_SETTINGS=<settings.xml>",
            ) from error

    return fetch


def mirror_url(maven_settings: Path) -> str:
    """The first mirror of a Maven settings.xml that stands for Central.

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

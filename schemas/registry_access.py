"""How this process may use a schema registry. The settings say it once; `Registry` follows it."""

from pathlib import Path

_CA: dict[str, Path] = {}
_LOOKED_UP_ONLY: set[str] = set()


def use(url: str, *, ca: Path | None, may_register: bool) -> None:
    """From now on speak to the registry at a URL in this way.

    Args:
        ca: a PEM file with the certificates that sign the registry's. None: those that the system trusts.
        may_register: whether a schema that is not there is registered.
    """
    if ca:
        _CA[url] = ca
    if not may_register:
        _LOOKED_UP_ONLY.add(url)


def options(url: str) -> dict[str, str]:
    """Options of the client for the registry at a URL."""
    return {"ssl.ca.location": str(_CA[url])} if url in _CA else {}


def may_register(url: str) -> bool:
    """Whether a schema that is not there may be registered at a URL."""
    return url not in _LOOKED_UP_ONLY

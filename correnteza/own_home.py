"""The settings of the demo and of a replay: a home of their own, and nothing of anybody's pipeline in it."""

from pathlib import Path
from typing import Any

STORE = {"lake": "s3://lake", "archive": "s3://archive"}
"""Where both are, in the embedded object store."""


def own_places(home: Path, *, in_store: bool) -> dict[str, Any]:
    """Setting → value. Args: in_store: whether tables and payloads are in the embedded object store."""
    places = STORE if in_store else {name: str((home / name).resolve()) for name in STORE}
    theirs = ("kafka_bootstrap", "registry_url", "s3_endpoint", "s3_access_key", "s3_secret_key")
    return {"home": home, **places, **dict.fromkeys(theirs)}

"""The key and secret of the embedded object store: made once per home, for its user alone."""

import json
import os
import secrets
from pathlib import Path


def read(home: Path) -> tuple[str, str]:
    """Access key and secret key. Raises: FileNotFoundError before the store's first start."""
    found = json.loads(_file(home).read_text(encoding="utf-8"))
    return found["access_key"], found["secret_key"]


def made(home: Path) -> tuple[str, str]:
    """The same, made where there are none yet, in a file of mode 0600."""
    try:
        return read(home)
    except FileNotFoundError:
        file = _file(home)
        file.parent.mkdir(parents=True, exist_ok=True)
        pair = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(20)}
        with open(file, "x", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as opened:
            opened.write(json.dumps(pair))
        return read(home)


def _file(home: Path) -> Path:
    return home / "object-store" / "credentials.json"

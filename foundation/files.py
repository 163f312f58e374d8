"""Small files that hold state: written whole or not at all, and on disk when the call returns."""

import os
from functools import cache
from pathlib import Path

PRIVATE = 0o077
"""The permission bits of group and others; files of the pipeline have none of them."""


@cache
def keep_private() -> int:
    """Let this process and its children create folders with mode 0700 and files with 0600.

    Returns: the former umask.
    """
    before = os.umask(PRIVATE)
    os.umask(before | PRIVATE)
    return before


def share(file: Path) -> None:
    """Give a file that is meant for others the mode of the user's own umask."""
    file.chmod(0o666 & ~keep_private())


def replace_file(file: Path, content: str | bytes) -> None:
    """Replace a file atomically: a reader sees the old content or the new one, also after a power loss.

    The folder is flushed too, because otherwise a power loss may lose the new name. Text is written as UTF-8.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as opened:
            opened.write(content.encode() if isinstance(content, str) else content)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

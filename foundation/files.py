"""Small files that hold state: written whole or not at all, and on disk when the call returns."""

import os
from functools import cache
from pathlib import Path

PRIVATE = 0o077
"""The bits of a mode that group and others have; what the pipeline makes has none of them."""


@cache
def keep_private() -> int:
    """From now on folders are made with mode 0700 and files with 0600, by this process and all that it starts.

    Returns: the mask of modes that its user had set before.
    """
    before = os.umask(PRIVATE)
    os.umask(before | PRIVATE)
    return before


def share(file: Path) -> None:
    """Give a file, made for somebody to use elsewhere, the mode that its user's own mask wants."""
    file.chmod(0o666 & ~keep_private())


def replace_file(file: Path, content: str | bytes) -> None:
    """Replace a file whole: a reader, or a machine that lost its power, has the old content or the new one.

    The folder is written out too: else the new name may be lost with the power, though its bytes are there.
    Text is written as UTF-8.
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

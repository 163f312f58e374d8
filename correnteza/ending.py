"""How a command's process ends.

Arrow has an exit handler that waits for the threads that read files. On a busy machine this wait sometimes never ended,
or the process was aborted: the command had done its work, and hung, or ended with another exit code than its own.
Everything is on disk before a command returns, so native libraries have nothing left to do.
"""

import atexit
import os
import sys
from dataclasses import dataclass


@dataclass
class Ending:
    """The exit code with which the process will end; 1 until a command says otherwise, as after an unknown error."""

    code: int = 1

    @classmethod
    def prepare(cls) -> "Ending":
        """From now on, end without the exit handlers of native libraries. Python's handlers that are registered later
        still run."""
        ending = cls()
        atexit.register(ending._leave)
        return ending

    def note(self, end: SystemExit) -> None:
        """Take the exit code from the exception, as the interpreter does: none is 0, and a text is 1."""
        code = end.code or 0
        self.code = code if isinstance(code, int) else 1

    def _leave(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # the reader is gone, or the stream is closed
                self.code = self.code or 120
        os._exit(self.code & 0xFF)

"""One line about what is going on, on standard error."""

from __future__ import annotations

import sys
import time
from typing import Final

from attrs import define, field

# Where the line cannot be written over (a file, a pipe), so often at most.
EVERY_SECONDS: Final = 5.0
_WRITE_OVER: Final = "\r\x1b[K"


@define
class Progress:
    """Called with what begins now; ``round`` goes before it."""

    round: str = ""
    _begun: float = field(factory=time.monotonic)
    _said_at: float = float("-inf")

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        line = f"{now - self._begun:4.0f} s  {self.round}{': ' if self.round else ''}{text}"
        if sys.stderr.isatty():
            print(f"{_WRITE_OVER}{line}", end="", file=sys.stderr, flush=True)
        elif now >= self._said_at + EVERY_SECONDS:
            self._said_at = now
            print(line, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        self.end()
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if sys.stderr.isatty():
            print(_WRITE_OVER, end="", file=sys.stderr, flush=True)

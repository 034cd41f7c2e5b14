"""One line on standard error about what the bench does."""

from __future__ import annotations

import sys
import time
from typing import Final

from attrs import define, field

# Seconds between two lines, at least, where a line cannot be overwritten (a file, a pipe).
EVERY_SECONDS: Final = 5.0
_WRITE_OVER: Final = "\r\x1b[K"


@define
class Progress:
    """Call it with a text about the step that begins; ``round`` goes before the text."""

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
        """Print a line that stays."""
        self.end()
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            print(_WRITE_OVER, end="", file=sys.stderr, flush=True)

"""Reports from client processes to the test: lines of JSON in one pipe for all of them.

A line is at most ``PIPE_BUF`` bytes long, so the system writes it as a whole.  A killed or stopped process never leaves
half a line behind.
"""

import json
import os
import select
import time
from typing import Any

from attrs import asdict, frozen

ROOM = 1024 * 1024
"""Size of the pipe in bytes, enough for times when the test does not read."""


@frozen(kw_only=True)
class Report:
    """The state of a client process.

    ``at`` is its ``time.monotonic()``, which is the same clock in all processes.  ``revision`` and ``users`` are its
    list, or -1 and nobody while it is not in the channel.  ``reason`` says why it is not in the channel.  With
    ``is_fault`` it describes the failure that ended the process's work.
    """

    process: str
    at: float
    revision: int = -1
    users: tuple[str, ...] = ()
    transports: int = 0
    producers: int = 0
    consumers: int = 0
    reason: str = ""
    is_fault: bool = False

    @classmethod
    def of(cls, line: bytes) -> "Report":
        fields = json.loads(line)
        return cls(**{**fields, "users": tuple(fields["users"])})


@frozen
class Reporter:
    """Writes the reports of one process."""

    process: str
    descriptor: int

    def report(self, **fields: Any) -> None:
        """Write a report.  Raises ``BlockingIOError`` if the pipe is full."""
        line = json.dumps(asdict(Report(process=self.process, at=time.monotonic(), **fields))).encode() + b"\n"
        assert len(line) <= select.PIPE_BUF, f"a line of {len(line)} bytes may be written in pieces"
        os.write(self.descriptor, line)

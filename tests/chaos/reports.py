"""What a client process tells the test: one line of JSON, in one pipe for all of them.

A line is no longer than what the system writes at once and whole (``PIPE_BUF``), so that a process may be killed or
stopped at any moment without leaving half a line to the others.
"""

import json
import os
import select
import time
from typing import Any

from attrs import asdict, frozen

ROOM = 1024 * 1024
"""Bytes that may wait in the pipe, for when the test is busy with something else."""


@frozen(kw_only=True)
class Report:
    """Where a client process is now.

    ``at`` is its ``time.monotonic()``, which is one clock for the whole machine.  ``revision`` and ``users`` are the
    list as it sees it (-1 and nobody while it is not in the channel), the rest is what it has of media.  ``word``, if
    there is one, says what became of it: why it is not in the channel, or what went wrong for good (``is_fault``).
    """

    process: str
    at: float
    revision: int = -1
    users: tuple[str, ...] = ()
    transports: int = 0
    producers: int = 0
    consumers: int = 0
    word: str = ""
    is_fault: bool = False

    @classmethod
    def of(cls, line: bytes) -> "Report":
        fields = json.loads(line)
        return cls(**{**fields, "users": tuple(fields["users"])})


@frozen
class Reporter:
    """The writing end, for one process."""

    process: str
    descriptor: int

    def tell(self, **fields: Any) -> None:
        """Raises ``BlockingIOError`` where the test does not read."""
        line = json.dumps(asdict(Report(process=self.process, at=time.monotonic(), **fields))).encode() + b"\n"
        assert len(line) <= select.PIPE_BUF, f"a line of {len(line)} bytes may be written in pieces"
        os.write(self.descriptor, line)

"""Starts and controls :mod:`tools.bench.beside.drain`."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from attrs import define, frozen

from tools.bench import BenchError
from tools.bench.beside.drain import LARGEST_COMMAND

_ANSWER_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0


class DrainEnded(BenchError):
    """The drain ended or hangs, and its counts are lost; its own words are on standard error."""


@frozen
class DrainTotals:
    """Totals of all receivers since the last :meth:`DrainProcess.begin`; times in seconds.

    ``fewest`` is the least that one receiver got, ``cpu`` the drain's own processor time.  ``dropped`` datagrams did
    not fit into the receivers' sockets.
    """

    packets: int
    fewest: int
    latency_p50: float | None
    latency_p99: float | None
    opened: int
    unopened: int
    cpu: float
    dropped: int


@define
class DrainProcess:
    """Made by :func:`open_drain`.  Its methods block for the drain's answer, some microseconds."""

    _control: socket.socket
    _count: int = 0

    def add(self, sock: socket.socket, key: bytes | None = None) -> None:
        """Let the drain read this socket; with a ``key`` (AES-128-GCM, then its salt) it decrypts the packets."""
        self._ask("add", [sock.fileno()], key=None if key is None else key.hex())
        self._count += 1

    def begin(self) -> None:
        """Count from zero again."""
        self._ask("begin")

    def count(self) -> int:
        """Return the packets so far."""
        count = self._ask("count")
        assert isinstance(count, int)
        return count

    def first_media(self) -> list[float | None]:
        """Return when each receiver's first packet came, in seconds since the epoch, in the order of adding."""
        found: list[int | None] = []
        while len(found) < self._count:
            found += self._ask("first_media", start=len(found))
        return [None if one is None else one / 1e9 for one in found]

    def report(self) -> DrainTotals:
        said = self._ask("report")
        for name in ("latency_p50", "latency_p99"):
            said[name] = None if said[name] is None else said[name] / 1e9
        return DrainTotals(**said)

    def clear(self) -> None:
        """Close and forget all receivers."""
        self._ask("clear")
        self._count = 0

    def _ask(self, command: str, descriptors: list[int] | None = None, **data: Any) -> Any:
        message = json.dumps({"do": command, **data}).encode()
        try:
            socket.send_fds(self._control, [message], descriptors or [])
            answer = self._control.recv(LARGEST_COMMAND)
        except OSError as error:
            raise DrainEnded(f"the drain does not answer: {error}") from error
        if not answer:
            raise DrainEnded("the drain has ended")
        return json.loads(answer)


@contextmanager
def open_drain() -> Iterator[DrainProcess]:
    """Run a drain for as long as the block runs."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_ANSWER_SECONDS)
    with ours, its:
        command = [sys.executable, "-m", "tools.bench.beside.drain"]
        process = subprocess.Popen(command, stdin=its.fileno(), start_new_session=True)
        its.close()
        try:
            yield DrainProcess(ours)
        finally:
            ours.close()
            deadline = time.monotonic() + _STOP_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            process.kill()
            process.wait()

"""Counts forwarded packets in a process of its own, and decrypts those of a few receivers to measure latency.

    python -m tools.bench.beside.drain

The same program drains every contestant, so that waking the receivers costs each contestant the same. Standard input is
one end of a socket pair. :class:`DrainProcess` has the other end. Each message is a command in JSON. A command that
adds a receiver also carries the receiver's socket.

A packet's latency ends when the kernel puts it into the socket's queue, by the kernel's clock. So a late read by this
process does not change the latency.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import attrs
from attrs import define, field, frozen
from pylibsrtp import Error, Policy, Session

from tools.bench import BenchError
from tools.bench.network import dropped_datagrams
from tools.light.endpoint import arrived_at, note_arrivals
from tools.light.stamp import read_stamp_untrusted
from tools.light.wire.demux import is_rtp

_LARGEST_MESSAGE: Final = 1 << 16
_ANSWER_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0
_LARGEST: Final = 2048
_BUFFERED: Final = 4 << 20
_POLL_SECONDS: Final = 1.0

_buffer: Final = bytearray(_LARGEST)


class DrainEnded(BenchError):
    """The drain ended or hangs, so its counts are lost. Its error output is on standard error."""


@frozen
class DrainTotals:
    """Totals of all receivers since the last :meth:`DrainProcess.begin`. Times are in seconds.

    ``cpu`` is the drain's own processor time.  ``dropped`` datagrams did not fit into the receivers' sockets.
    """

    packets: int
    latency_p50: float | None
    latency_p99: float | None
    opened: int
    unopened: int
    cpu: float
    dropped: int


@define(eq=False)
class DrainedSocket:
    """One receiver's socket.

    ``first_media`` is in seconds of the monotonic clock, ``latencies`` in nanoseconds. ``session`` decrypts packets,
    if there is one.
    """

    sock: socket.socket
    session: Session | None = None
    packets: int = 0
    first_media: float | None = None
    latencies: list[int] = field(factory=list)
    unopened: int = 0

    def read(self) -> None:
        """Read one datagram. If more wait, epoll reports the socket again at once."""
        try:
            size = self.sock.recv_into(_buffer)
        except OSError:  # the server is gone
            return
        if size < 2 or not is_rtp(_buffer[0], _buffer[1]):
            return
        self.packets += 1
        if self.session is not None:
            self._open(self.session, bytes(_buffer[:size]))
        elif self.first_media is None:
            self.first_media = time.monotonic()

    def _open(self, session: Session, datagram: bytes) -> None:
        """Measure a packet's latency from the kernel's arrival time."""
        arrived = arrived_at(self.sock)
        self.first_media = self.first_media or arrived / 1e9
        try:
            stamp = read_stamp_untrusted(session.unprotect(datagram))
        except Error:
            self.unopened += 1
            return
        if stamp is not None:  # the floor's packets have no stamp
            self.latencies.append(arrived - stamp.sent_at)


@define
class Drain:
    """Reads all receivers and obeys commands until the other end closes."""

    control: socket.socket
    _epoll: select.epoll = field(factory=select.epoll)
    _receivers: list[DrainedSocket] = field(factory=list)
    _readers: dict[int, Callable[[], None]] = field(factory=dict)
    _cpu: float = 0.0
    _dropped: int = 0

    def run(self) -> None:
        self._epoll.register(self.control, select.EPOLLIN)
        control, readers, poll = self.control.fileno(), self._readers, self._epoll.poll
        while True:
            for descriptor, _ in poll(_POLL_SECONDS):
                if descriptor == control:
                    if not self._obey():
                        return
                # A command may have removed this receiver since the poll.
                elif (read := readers.get(descriptor)) is not None:
                    read()

    def _obey(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self.control, _LARGEST_MESSAGE, 1)
        if not message:
            return False
        command = json.loads(message)
        answer = getattr(self, f"_do_{command.pop('do')}")(*descriptors, **command)
        self.control.send(json.dumps(answer).encode())
        return True

    def _do_add(self, descriptor: int, key: str | None) -> None:
        sock = socket.socket(fileno=descriptor)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFERED)
        receiver = DrainedSocket(sock)
        if key is not None:
            note_arrivals(sock)
            profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
            policy = Policy(key=bytes.fromhex(key), ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
            receiver.session = Session(policy)
        self._receivers.append(receiver)
        self._readers[descriptor] = receiver.read
        self._epoll.register(descriptor, select.EPOLLIN)

    def _do_begin(self) -> None:
        for receiver in self._receivers:
            receiver.packets = receiver.unopened = 0
            receiver.latencies.clear()
        self._cpu, self._dropped = time.process_time(), dropped_datagrams()

    def _do_count(self) -> int:
        return sum(receiver.packets for receiver in self._receivers)

    def _do_first_media(self) -> list[float | None]:
        return [receiver.first_media for receiver in self._receivers]

    def _do_report(self) -> dict[str, Any]:
        latencies = sorted(one for receiver in self._receivers for one in receiver.latencies)
        totals = DrainTotals(
            self._do_count(),
            _quantile(latencies, 0.5),
            _quantile(latencies, 0.99),
            opened=len(latencies),
            unopened=sum(receiver.unopened for receiver in self._receivers),
            cpu=time.process_time() - self._cpu,
            dropped=dropped_datagrams() - self._dropped,
        )
        return attrs.asdict(totals)

    def _do_clear(self) -> None:
        for receiver in self._receivers:
            self._epoll.unregister(receiver.sock)
            receiver.sock.close()
        self._receivers.clear()
        self._readers.clear()


def _quantile(ordered: list[int], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1e9 if ordered else None


@define
class DrainProcess:
    """The bench's end of a drain.

    :func:`open_drain` makes it. Its methods block for the drain's answer, some microseconds.
    """

    _control: socket.socket

    def add(self, sock: socket.socket, key: bytes | None = None) -> None:
        """Let the drain read this socket. With a ``key`` (AES-128-GCM, then its salt) it also decrypts the packets."""
        self._ask("add", sock, key=None if key is None else key.hex())

    def begin(self) -> None:
        """Count from zero again."""
        self._ask("begin")

    def count(self) -> int:
        """Return the number of packets since :meth:`begin`."""
        return int(self._ask("count"))

    def first_media(self) -> list[float | None]:
        """Return when each receiver's first packet arrived, in the order in which receivers were added."""
        return list(self._ask("first_media"))

    def report(self) -> DrainTotals:
        return DrainTotals(**self._ask("report"))

    def clear(self) -> None:
        """Close and forget all receivers."""
        self._ask("clear")

    def _ask(self, command: str, *sockets: socket.socket, **data: Any) -> Any:
        message = json.dumps({"do": command, **data}).encode()
        try:
            socket.send_fds(self._control, [message], [sock.fileno() for sock in sockets])
            answer = self._control.recv(_LARGEST_MESSAGE)
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
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


if __name__ == "__main__":
    Drain(socket.socket(fileno=0)).run()

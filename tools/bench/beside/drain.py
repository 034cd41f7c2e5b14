"""Counts forwarded packets in a process of its own, and decrypts those of a few receivers to measure latency.

    python -m tools.bench.beside.drain

One program drains all contestants, so that waking the receivers costs each of them the same.  Standard input is one end
of a socket pair; :mod:`tools.bench.beside.drain_process` has the other.  Each message is a command in JSON, and brings
the socket of a receiver where it adds one.

A packet's latency ends when the kernel puts it into the socket's queue, by the kernel's clock.  So it does not matter
how soon this process reads.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import define, field
from pylibsrtp import Error, Policy, Session

from tools.light.stamp import read_stamp_untrusted

LARGEST_COMMAND: Final = 4096
_LARGEST: Final = 2048
_BUFFERED: Final = 4 << 20
_TIMESTAMP: Final = 35  # SO_TIMESTAMPNS of asm-generic/socket.h; Python has no name for it
_TIMESPEC: Final = struct.Struct("@qq")
_POLL_SECONDS: Final = 1.0

_buffer: Final = bytearray(_LARGEST)
#: From the clock of stamps to the clock of the kernel.  A run is too short for the two to drift apart.
_clock_offset: Final = time.time_ns() - time.monotonic_ns()


def is_rtp(first: int, second: int) -> bool:
    """Tell RTP from everything else by the first two bytes of a datagram (RFC 7983, RFC 5761 section 4)."""
    return first & 0xC0 == 0x80 and not 192 <= second <= 223


@define(eq=False)
class DrainedSocket:
    """One receiver's socket; ``first_media`` is in nanoseconds since the epoch.  A ``session`` decrypts packets."""

    sock: socket.socket
    session: Session | None = None
    packets: int = 0
    first_media: int | None = None
    latencies: list[int] = field(factory=list)
    unopened: int = 0

    def read(self) -> None:
        """Read one datagram; epoll reports a socket with more again at once."""
        try:
            size = self.sock.recv_into(_buffer)
        except OSError:  # the server is gone
            return
        if size > 2 and is_rtp(_buffer[0], _buffer[1]):
            if self.first_media is None:
                self.first_media = time.time_ns()
            self.packets += 1

    def open(self) -> None:
        """Read one datagram and measure its latency; the kernel's arrival time comes with it."""
        try:
            datagram, notes, _, _ = self.sock.recvmsg(_LARGEST, 64)
        except OSError:
            return
        if len(datagram) < 2 or not is_rtp(datagram[0], datagram[1]):
            return
        self.packets += 1
        seconds, nanoseconds = _TIMESPEC.unpack(notes[0][2])
        arrived = seconds * 1_000_000_000 + nanoseconds
        self.first_media = self.first_media or arrived
        assert self.session is not None
        try:
            stamp = read_stamp_untrusted(self.session.unprotect(datagram))
        except Error:
            self.unopened += 1
            return
        if stamp is not None:  # the floor's packets have no stamp
            self.latencies.append(arrived - _clock_offset - stamp.sent_at)


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
        message, descriptors, _, _ = socket.recv_fds(self.control, LARGEST_COMMAND, 1)
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
            sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
            receiver.session = Session(_policy(bytes.fromhex(key)))
        self._receivers.append(receiver)
        self._readers[descriptor] = receiver.read if key is None else receiver.open
        self._epoll.register(descriptor, select.EPOLLIN)

    def _do_begin(self) -> None:
        for receiver in self._receivers:
            receiver.packets = receiver.unopened = 0
            receiver.latencies.clear()
        self._cpu, self._dropped = time.process_time(), dropped()

    def _do_count(self) -> int:
        return sum(receiver.packets for receiver in self._receivers)

    def _do_first_media(self, start: int) -> list[int | None]:
        """Return the times of 50 receivers from ``start`` on; more would not fit into an answer."""
        return [receiver.first_media for receiver in self._receivers[start : start + 50]]

    def _do_report(self) -> dict[str, Any]:
        latencies = sorted(one for receiver in self._receivers for one in receiver.latencies)
        packets = [receiver.packets for receiver in self._receivers]
        return {
            "packets": sum(packets),
            "fewest": min(packets, default=0),
            "latency_p50": _quantile(latencies, 0.5),
            "latency_p99": _quantile(latencies, 0.99),
            "opened": len(latencies),
            "unopened": sum(receiver.unopened for receiver in self._receivers),
            "cpu": time.process_time() - self._cpu,
            "dropped": dropped() - self._dropped,
        }

    def _do_clear(self) -> None:
        for receiver in self._receivers:
            self._epoll.unregister(receiver.sock)
            receiver.sock.close()
        self._receivers.clear()
        self._readers.clear()


def _quantile(ordered: list[int], share: float) -> int | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _policy(key: bytes) -> Policy:
    profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    return Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)


def dropped() -> int:
    """Datagrams that did not fit into the receivers' sockets: a loss of the load generator, not of the server."""
    lines = Path("/proc/thread-self/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines)


if __name__ == "__main__":
    Drain(socket.socket(fileno=0)).run()

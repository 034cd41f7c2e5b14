"""Counts forwarded packets in a process of its own, and decrypts those of a few receivers to measure latency.

The same program drains every contestant, so that waking the receivers costs each contestant the same. Standard input is
one end of a socket pair. :class:`DrainProcess` has the other end. Each message is a pickled call of a method of
:class:`Drain`, and the answer is its pickled result.

A packet's latency ends when the kernel puts it into the socket's queue, by the kernel's clock. So a late read by this
process does not change the latency.
"""

from __future__ import annotations

import pickle
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Concatenate, Final, ParamSpec, TypeVar

from attrs import define, evolve, field, frozen
from pylibsrtp import Error, Policy, Session

from tools.bench import BenchError
from tools.bench.figures import percentile
from tools.bench.network import dropped_datagrams
from tools.light.packet_meter import FEEDBACK_SSRC
from tools.light.sockets import arrived_at, note_arrivals
from tools.light.stamp import read_stamp_untrusted
from tools.light.wide_arrivals import WideArrivals
from tools.light.wire.demux import is_rtp
from tools.light.wire.rtcp.building import encode

P = ParamSpec("P")
T = TypeVar("T")
_LARGEST_MESSAGE: Final = 1 << 16
_ANSWER_SECONDS: Final = 20.0
_LARGEST: Final = 2048
_BUFFERED: Final = 4 << 20
#: Seconds from one look for feedback that is due to the next.
_LOOK_SECONDS: Final = 0.01

_buffer: Final = bytearray(_LARGEST)


class DrainEnded(BenchError):
    """The drain ended or hangs, so its counts are lost. Its error output is on standard error."""


@frozen
class DrainTotals:
    """Totals of all receivers since the last :meth:`Drain.begin`. Times are in seconds.

    ``cpu`` is the drain's own processor time.  ``dropped`` datagrams did not fit into the receivers' sockets.
    """

    packets: int
    #: When each receiver's first packet arrived, in the order in which receivers were added.
    first_media: Sequence[float | None]
    latency_p50: float | None
    latency_p99: float | None
    unopened: int
    cpu: float
    dropped: int


@define(eq=False)
class DrainedSocket:
    """One receiver's socket.

    ``first_media`` is in seconds of the monotonic clock, ``latencies`` in nanoseconds. ``session`` decrypts packets,
    if there is one. ``sealing`` seals the feedback about ``wide``, if there is any.
    """

    sock: socket.socket
    session: Session | None = None
    packets: int = 0
    first_media: float | None = None
    latencies: list[int] = field(factory=list)
    unopened: int = 0
    wide: WideArrivals | None = None
    sealing: Session | None = None

    def read(self) -> None:
        """Read one datagram. If more wait, epoll reports the socket again at once."""
        try:
            size = self.sock.recv_into(_buffer)
        except OSError:  # the server is gone
            return
        if size < 2 or not is_rtp(_buffer[0], _buffer[1]):
            return
        self.packets += 1
        if self.wide is not None:
            self.wide.take_untrusted(_buffer, size, time.monotonic_ns)
        if self.session is not None:
            self._open(self.session, bytes(_buffer[:size]))
        elif self.first_media is None:
            self.first_media = time.monotonic()

    def report_arrivals(self, now: float) -> None:
        """Send the feedback about arrivals, if it is due ``now``, in seconds of the monotonic clock."""
        if self.wide is None or self.sealing is None or now < self.wide.due:
            return
        for packet in self.wide.take_feedback():
            # The bench's own process goes on to seal reports under the other SSRC.
            compound = encode([evolve(packet, sender_ssrc=FEEDBACK_SSRC + 1)])
            with suppress(OSError):  # the server is gone
                self.sock.send(self.sealing.protect_rtcp(compound))

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
    """Reads all receivers, and obeys calls until the other end closes."""

    _control: socket.socket
    _epoll: select.epoll = field(factory=select.epoll)
    _receivers: dict[int, DrainedSocket] = field(factory=dict)
    _reporting: list[DrainedSocket] = field(factory=list)
    _look_at: float = 0.0
    _cpu: float = 0.0
    _dropped: int = 0

    def run(self) -> None:
        self._epoll.register(self._control, select.EPOLLIN)
        control, receivers, poll = self._control.fileno(), self._receivers, self._epoll.poll
        while True:
            events = poll(_LOOK_SECONDS if self._reporting else None)
            self._report_arrivals()
            for descriptor, _ in events:
                if descriptor == control:
                    if not self._obey():
                        return
                # A call may have removed this receiver since the poll.
                elif (receiver := receivers.get(descriptor)) is not None:
                    receiver.read()

    def _report_arrivals(self) -> None:
        """Look now and then whose feedback is due."""
        now = time.monotonic()
        if self._reporting and now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            for receiver in self._reporting:
                receiver.report_arrivals(now)

    def _obey(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, _LARGEST_MESSAGE, 1)
        if not message:
            return False
        name, arguments = pickle.loads(message)
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        self._control.send(pickle.dumps(getattr(self, name)(*sockets, *arguments)))
        return True

    def add(
        self,
        sock: socket.socket,
        key: bytes | None = None,
        first_media: float | None = None,
        wide: tuple[int, bytes] | None = None,
    ) -> None:
        """Read this socket. With a ``key`` (AES-128-GCM, then its salt) also decrypt the packets.

        ``first_media`` is when a packet came that was already read. ``wide`` has the id of transport-wide numbers and
        the key that seals the feedback about them.
        """
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFERED)
        receiver = self._receivers[sock.fileno()] = DrainedSocket(sock, first_media=first_media)
        if key is not None:
            note_arrivals(sock)
            receiver.session = _session(key, Policy.SSRC_ANY_INBOUND)
        if wide is not None:
            extension_id, sealing_key = wide
            receiver.wide, receiver.sealing = (
                WideArrivals(extension_id),
                _session(sealing_key, Policy.SSRC_ANY_OUTBOUND),
            )
            self._reporting.append(receiver)
        self._epoll.register(sock, select.EPOLLIN)

    def begin(self) -> None:
        """Count from zero again."""
        for receiver in self._receivers.values():
            receiver.packets = receiver.unopened = 0
            receiver.latencies.clear()
        self._cpu, self._dropped = time.process_time(), dropped_datagrams()

    def report(self) -> DrainTotals:
        receivers = self._receivers.values()
        latencies = [one for receiver in receivers for one in receiver.latencies]
        return DrainTotals(
            sum(receiver.packets for receiver in receivers),
            [receiver.first_media for receiver in receivers],
            percentile(latencies, 0.5) / 1e9 if latencies else None,
            percentile(latencies, 0.99) / 1e9 if latencies else None,
            unopened=sum(receiver.unopened for receiver in receivers),
            cpu=time.process_time() - self._cpu,
            dropped=dropped_datagrams() - self._dropped,
        )

    def clear(self) -> None:
        """Close and forget all receivers."""
        for receiver in self._receivers.values():
            self._epoll.unregister(receiver.sock)
            receiver.sock.close()
        self._receivers.clear()
        self._reporting.clear()


def _session(key: bytes, direction: int) -> Session:
    return Session(Policy(key=key, ssrc_type=direction, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM))


@define
class DrainProcess:
    """The bench's end of a drain. :func:`open_drain` makes it."""

    _control: socket.socket

    def ask(self, call: Callable[Concatenate[Drain, P], T], *arguments: P.args, **_: P.kwargs) -> T:
        """Call a method of the drain. Blocks for the answer, some microseconds. Raises :exc:`DrainEnded`."""
        sockets = [one for one in arguments if isinstance(one, socket.socket)]
        others = [one for one in arguments if not isinstance(one, socket.socket)]
        try:
            message = pickle.dumps((call.__name__, others))
            socket.send_fds(self._control, [message], [sock.fileno() for sock in sockets])
            answer = self._control.recv(_LARGEST_MESSAGE)
        except OSError as error:
            raise DrainEnded(f"the drain does not answer: {error}") from error
        if not answer:
            raise DrainEnded("the drain has ended")
        result: T = pickle.loads(answer)
        return result


@contextmanager
def open_drain() -> Iterator[DrainProcess]:
    """Run a drain for as long as the block runs."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_ANSWER_SECONDS)
    command = [sys.executable, "-c", f"from {__name__} import Drain, socket; Drain(socket.socket(fileno=0)).run()"]
    with ours, its, subprocess.Popen(command, stdin=its.fileno(), start_new_session=True) as process:
        its.close()
        try:
            yield DrainProcess(ours)
        finally:
            process.kill()

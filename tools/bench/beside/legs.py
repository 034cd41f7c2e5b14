"""One transport of a light client on a raw UDP socket, whose incoming packets somebody else drains.

The client's process does ICE and DTLS and goes on sending checks; a process of its own reads what is forwarded, so that
counting thousands of packets a second holds up neither signalling nor the sources.
"""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import suppress

import trio
from aioice import stun
from attrs import define, field

from tools.light import LightTransport

CONNECT_SECONDS = 10.0
CHECK_EVERY = 0.25
#: Port of a service that nobody has (RFC 863): nothing is sent there.
DISCARD = 9
BINDING_REQUEST = b"\x00\x01"
_LARGEST = 2048


class NotConnected(Exception):
    """ICE and DTLS did not come up in time."""


@define(eq=False)
class Leg:
    """``first_media`` is when the first packet was read here, in seconds since the epoch: before anybody drained.

    With a ``password`` the other side's own checks are answered (RFC 8445 section 7.3).
    """

    transport: LightTransport
    sock: socket.socket
    password: str | None = None
    first_media: float | None = None
    _closed: bool = field(default=False, init=False)

    async def connect(self) -> None:
        """Raises :exc:`NotConnected`."""
        self.transport.start(trio.current_time())
        with trio.move_on_after(CONNECT_SECONDS):
            while not self.transport.connected:
                self.flush()
                with trio.move_on_at(self.transport.get_timer()):
                    await trio.lowlevel.wait_readable(self.sock)
                self._read()
                self.transport.handle_timer(trio.current_time())
            self.flush()
            return
        done = "ICE was done, DTLS was not" if self.transport.validated else "not even a check was answered"
        raise NotConnected(f"a transport did not connect in {CONNECT_SECONDS:g} s; {done}")

    def _read(self) -> None:
        now = trio.current_time()
        with suppress(BlockingIOError):
            while True:
                datagram = self.sock.recv(_LARGEST)
                if self.password is None or not self._answered(datagram, self.password):
                    self.transport.receive(datagram, now)
        if self.transport.rtp and self.first_media is None:
            self.first_media = time.time()

    def _answered(self, datagram: bytes, password: str) -> bool:
        """Whether it was a check, and is answered."""
        if datagram[:2] != BINDING_REQUEST:
            return False
        check = stun.parse_message(datagram)
        if check.check_message_integrity(password.encode()):
            answer = stun.Message(
                stun.Method.BINDING,
                stun.Class.RESPONSE,
                transaction_id=check.transaction_id,
                attributes={"XOR-MAPPED-ADDRESS": self.sock.getpeername()},
            )
            answer.add_message_integrity(password.encode())
            self.transport.send_raw(bytes(answer))
            self.flush()
        return True

    def send_rtp(self, packet: bytes) -> None:
        """At once."""
        self._send(self.transport.seal_rtp(packet))

    def send_rtcp(self, packet: bytes) -> None:
        """At once."""
        self.transport.send_rtcp(packet)
        self.flush()

    def flush(self) -> None:
        for datagram in self.transport.datagrams_to_send():
            self._send(datagram)

    def _send(self, datagram: bytes) -> None:
        # A full socket drops, as a network does; a closed port at the other end is the run's end.
        with suppress(BlockingIOError, ConnectionRefusedError):
            self.sock.send(datagram)

    def check(self, now: float) -> None:
        """Go on proving that we live (RFC 7675)."""
        if not self._closed and now >= self.transport.get_timer():
            self.transport.handle_timer(now)
            self.flush()

    def close(self) -> None:
        self._closed = True
        self.sock.close()


def open_socket(host: str) -> socket.socket:
    """With an address of its own, as seen from ``host``."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect((host, DISCARD))
    return sock


def open_leg(
    transport: LightTransport,
    address: tuple[str, int],
    sock: socket.socket | None = None,
    password: str | None = None,
) -> Leg:
    """A leg to the server's ``address``, on this socket or one of its own."""
    sock = sock or open_socket(address[0])
    sock.connect(address)
    return Leg(transport, sock, password)


def ssrc() -> int:
    return secrets.randbelow(1 << 31) + 1

"""WebSockets of hundreds of clients.  One task reads them all, so that a bench measures the server and not itself.

A connection has no task and no queue, and this module decodes no message.  Each client gets its messages with the time
at which they were read.  In contrast, :mod:`protocol.client` has tasks and queues, decodes every event, and speaks TLS.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import ClassVar, Final, Never, TypeVar

import trio
from attrs import define, field

from protocol.errors import CloseCode
from tools.light.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, frame, take_frames, upgrade_request

SEND_SECONDS: Final = 60.0
_READ: Final = 64 * 1024
_HEAD_END: Final = b"\r\n\r\n"


class UpgradeRefused(Exception):
    """The server answered the upgrade request with another status than 101.  The text contains its answer."""


@define(eq=False)
class PooledWebSocket:
    """One client's end of a WebSocket.  :meth:`WebSocketPool.open` makes it.  Subclasses handle the messages.

    ``close_code`` is the code of the server's close frame, or 1006 if the connection ended without one.
    """

    path: ClassVar[str]
    subprotocol: ClassVar[str]

    socket: socket.socket
    close_code: int | None = field(default=None, init=False)
    _pool: WebSocketPool | None = field(default=None, init=False)
    _buffer: bytearray = field(factory=bytearray, init=False)
    _parts: bytearray = field(factory=bytearray, init=False)
    _pongs: bytearray = field(factory=bytearray, init=False)
    _sending: trio.Lock = field(factory=trio.Lock, init=False)
    _upgraded: trio.Event = field(factory=trio.Event, init=False)

    def receive_text(self, payload: bytes, at: float) -> None:
        """Handle a whole message, read at this time of ``time.perf_counter``."""
        raise NotImplementedError

    def ended(self) -> None:
        """Handle the end: the server closed the connection, or it broke."""

    async def send_text(self, *texts: str) -> None:
        """Send messages.  Raises ``trio.TooSlowError`` after :data:`SEND_SECONDS`, and ``OSError``."""
        await self.send(b"".join(frame(TEXT, text.encode()) for text in texts))

    async def send(self, data: bytes) -> None:
        """Send bytes, then the pongs that became due meanwhile.  A pong inside of a frame would break the frame."""
        with trio.fail_after(SEND_SECONDS):
            async with self._sending:
                await self._send_all(data)
                while self._pongs:
                    pongs = bytes(self._pongs)
                    self._pongs.clear()
                    await self._send_all(pongs)

    async def _send_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.socket.send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self.socket)

    async def upgrade(self, pool: WebSocketPool, host: str) -> None:
        self._pool = pool
        await self.send(upgrade_request(host, self.path, self.subprotocol))
        with trio.fail_after(SEND_SECONDS):
            await self._upgraded.wait()

    def read(self) -> None:
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._receive(data, time.perf_counter())
        else:
            self.end(CloseCode.ABNORMAL)

    def _receive(self, data: bytes, at: float) -> None:
        self._buffer += data
        if not self._upgraded.is_set() and not self._take_upgrade():
            return
        for opcode, is_last, payload in take_frames(self._buffer):
            if opcode in (TEXT, CONTINUATION):
                self._receive_part(payload, at, is_last=is_last)
            elif opcode == PING:
                self.answer_ping(payload)
            elif opcode == CLOSE:
                self.end(int.from_bytes(payload[:2]))

    def _receive_part(self, payload: bytes, at: float, *, is_last: bool) -> None:
        if self._parts or not is_last:
            self._parts += payload
            payload = bytes(self._parts)
        if is_last:
            self._parts.clear()
            self.receive_text(payload, at)

    def _take_upgrade(self) -> bool:
        head, found, rest = self._buffer.partition(_HEAD_END)
        if not found:
            return False
        if b" 101 " not in head.splitlines()[0]:
            raise UpgradeRefused(f"the server refused a client: {bytes(head)!r}")
        self._buffer = rest
        self._upgraded.set()
        return True

    def answer_ping(self, payload: bytes) -> None:
        """Send a pong at once, or after the current message.  A socket without room for it counts as broken."""
        pong = frame(PONG, payload)
        if self._sending.locked():
            self._pongs += pong
        else:
            self._send_at_once(pong)

    def send_now(self, text: str) -> bool:
        """Send a short message without waiting, unless another message is being sent.  Return whether it was sent.

        A socket without room for it counts as broken.
        """
        if self._sending.locked():
            return False
        self._send_at_once(frame(TEXT, text.encode()))
        return True

    def _send_at_once(self, data: bytes) -> None:
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0
        if sent < len(data):
            self.end(CloseCode.ABNORMAL)

    def end(self, code: int) -> None:
        self.ignore()
        self._upgraded.set()
        if self.close_code is None:
            self.close_code = code or CloseCode.ABNORMAL
            self.ended()

    def ignore(self) -> None:
        """Stop reading."""
        if self._pool is not None:
            self._pool.ignore(self)

    def hang_up(self) -> None:
        """Break the connection without a close frame."""
        self.end(CloseCode.ABNORMAL)
        self.close()

    def close(self) -> None:
        """Close the socket without a close frame.  Unread data is lost."""
        self.ignore()
        self.socket.close()


W = TypeVar("W", bound=PooledWebSocket)


@define(eq=False)
class WebSocketPool:
    """All clients of the server at ``address``, read through one epoll."""

    address: tuple[str, int]
    _clients: dict[int, PooledWebSocket] = field(factory=dict, init=False)
    _sockets: list[socket.socket] = field(factory=list, init=False)
    _readable: select.epoll = field(factory=select.epoll, init=False)

    async def run(self) -> Never:
        """Read all sockets until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._readable.fileno())
            for descriptor, _ in self._readable.poll(0):
                if (client := self._clients.get(descriptor)) is not None:
                    client.read()

    async def open(self, kind: Callable[[socket.socket], W]) -> W:
        """Connect a client and upgrade its connection.

        Raises :exc:`UpgradeRefused`, ``OSError``, and ``trio.TooSlowError`` after :data:`SEND_SECONDS`.
        """
        with trio.fail_after(SEND_SECONDS):
            sock = trio.socket.socket()
            await sock.connect(self.address)
        raw = socket.socket(fileno=sock.detach())
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setblocking(False)
        self._sockets.append(raw)
        client = kind(raw)
        self._clients[raw.fileno()] = client
        self._readable.register(raw, select.EPOLLIN)
        await client.upgrade(self, f"{self.address[0]}:{self.address[1]}")
        return client

    def ignore(self, client: PooledWebSocket) -> None:
        if self._clients.pop(client.socket.fileno(), None) is not None:
            self._readable.unregister(client.socket)

    def close(self) -> None:
        """Close all sockets, also those of clients that the server ended, or that stopped reading."""
        self._clients.clear()
        self._readable.close()
        for sock in self._sockets:
            sock.close()

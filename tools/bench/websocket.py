"""WebSockets of hundreds of clients, read by one task as cheaply as Python can: the bench must not be what is slow.

No task and no queue for each, and no message is decoded here: what came goes, with its time, to whom it is for.
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
from tools.bench.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, frame, take_frames, upgrade_request

SEND_SECONDS: Final = 60.0
_READ: Final = 64 * 1024
_HEAD_END: Final = b"\r\n\r\n"


class Refused(Exception):
    """The server does not take a WebSocket."""


@define(eq=False)
class WebSocket:
    """One client's, made by :meth:`Sockets.connect`.  Subclasses say what a message is.

    ``close_code`` is what the server closed it with, 1006 where it said nothing.
    """

    path: ClassVar[str]
    subprotocol: ClassVar[str]

    socket: socket.socket
    close_code: int | None = field(default=None, init=False)
    _sockets: Sockets | None = field(default=None, init=False)
    _buffer: bytearray = field(factory=bytearray, init=False)
    _parts: bytearray = field(factory=bytearray, init=False)
    _upgraded: trio.Event = field(factory=trio.Event, init=False)

    def receive_text(self, payload: bytes, at: float) -> None:
        """A whole message, and when it was read, on ``time.perf_counter``."""
        raise NotImplementedError

    def ended(self) -> None:
        """The server has closed it, or the connection broke."""

    async def send_text(self, *texts: str) -> None:
        """All of it, in bounded time."""
        await self.send(b"".join(frame(TEXT, text.encode()) for text in texts))

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        with trio.fail_after(SEND_SECONDS):
            while rest:
                try:
                    rest = rest[self.socket.send(rest) :]
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self.socket)

    async def upgrade(self, sockets: Sockets, host: str) -> None:
        self._sockets = sockets
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
            raise Refused(f"the server refused a client: {bytes(head)!r}")
        self._buffer = rest
        self._upgraded.set()
        return True

    def answer_ping(self, payload: bytes) -> None:
        """At once, or not at all: who has no room for some bytes does not read."""
        try:
            self.socket.send(frame(PONG, payload))
        except OSError:
            self.end(CloseCode.ABNORMAL)

    def end(self, code: int) -> None:
        self.ignore()
        self._upgraded.set()
        if self.close_code is None:
            self.close_code = code or CloseCode.ABNORMAL
            self.ended()

    def ignore(self) -> None:
        """Read nothing any more."""
        if self._sockets is not None:
            self._sockets.ignore(self)

    def close(self) -> None:
        """Whatever becomes of what is still on the way."""
        self.ignore()
        self.socket.close()


W = TypeVar("W", bound=WebSocket)


@define(eq=False)
class Sockets:
    """All clients of one server, on one epoll."""

    address: tuple[str, int]
    _clients: dict[int, WebSocket] = field(factory=dict, init=False)
    _readable: select.epoll = field(factory=select.epoll, init=False)

    async def run(self) -> Never:
        """Read what comes, for as long as anybody is needed."""
        while True:
            await trio.lowlevel.wait_readable(self._readable.fileno())
            for descriptor, _ in self._readable.poll(0):
                if (client := self._clients.get(descriptor)) is not None:
                    client.read()

    async def open(self, kind: Callable[[socket.socket], W]) -> W:
        """Connect and upgrade.  Raises :exc:`Refused`, ``OSError`` and ``trio.TooSlowError``."""
        with trio.fail_after(SEND_SECONDS):
            sock = trio.socket.socket()
            await sock.connect(self.address)
        raw = socket.socket(fileno=sock.detach())
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setblocking(False)
        client = kind(raw)
        self._clients[raw.fileno()] = client
        self._readable.register(raw, select.EPOLLIN)
        await client.upgrade(self, f"{self.address[0]}:{self.address[1]}")
        return client

    def ignore(self, client: WebSocket) -> None:
        if self._clients.pop(client.socket.fileno(), None) is not None:
            self._readable.unregister(client.socket)

    def close(self) -> None:
        for client in list(self._clients.values()):
            client.close()
        self._readable.close()

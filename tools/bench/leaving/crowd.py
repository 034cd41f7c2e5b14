"""Many clients of one gateway, read by one task as cheaply as Python can.

No frame is decoded when it comes: it is told apart by its first bytes, stamped with the one clock and kept for
:mod:`tools.bench.leaving.view` to check afterwards.  So a list of 30 KB for each of 99 members takes some
milliseconds to take in, and what is measured is the gateway.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Never

import trio
from attrs import define, field

from protocol import limits
from protocol.codec import encode
from protocol.errors import CloseCode
from protocol.requests import Request, RequestData
from tools.bench.leaving import BenchError
from tools.bench.leaving.frames import CLOSE, PING, PONG, TEXT, frame, take_frames, upgrade_request

ANSWER_SECONDS: Final = 60.0
QUIET_AT_MOST: Final = 180.0
_READ: Final = 64 * 1024
_RESPONSE: Final = b'{"id":'
# An event's type and whom it is about are in its first bytes, well before the list.
_HEAD: Final = 160
_LEFT: Final = b'"type":"user_left"'
_USER: Final = b'"userId":"'
_HEAD_END: Final = b"\r\n\r\n"


@define
class _Answers:
    """To so many requests, in the order of their ids."""

    outstanding: int
    came: list[bytes] = field(factory=list)
    all_came: trio.Event = field(factory=trio.Event)


@define(eq=False)
class Watch:
    """Waits until each of ``listeners`` clients was told of each leaver.

    ``times`` are when they were, on ``time.perf_counter``, for each leaver.
    """

    times: dict[str, list[float]]
    listeners: int
    outstanding: int
    done: trio.Event = field(factory=trio.Event)

    @classmethod
    def of(cls, leavers: Iterable[str], listeners: int) -> Watch:
        times: dict[str, list[float]] = {user_id: [] for user_id in leavers}
        return cls(times, listeners, len(times) * listeners)

    def told(self, user_id: str, at: float) -> None:
        if (times := self.times.get(user_id)) is not None:
            times.append(at)
            self.outstanding -= 1
            if not self.outstanding:
                self.done.set()


@define(eq=False)
class Client:
    """One WebSocket, made by :meth:`Crowd.connect`.  ``events`` are the frames that nobody has checked yet.

    ``close_code`` is what the gateway closed it with, 1006 where it said nothing.  With ``dies_after_pong`` it falls
    silent when it has answered the next ping; ``silent_since`` is when it did.
    """

    crowd: Crowd
    socket: socket.socket
    events: list[bytes] = field(factory=list)
    close_code: int | None = None
    dies_after_pong: bool = False
    silent_since: float | None = None
    _buffer: bytearray = field(factory=bytearray)
    _upgraded: trio.Event = field(factory=trio.Event)
    _next_id: int = 0
    _answers: dict[int, _Answers] = field(factory=dict)

    async def ask(self, request: RequestData) -> dict[str, Any]:
        """The ``data`` of its ``ok``.  Raises :exc:`BenchError` for an error, or when none comes."""
        [data] = await self.ask_all([request])
        return data

    async def ask_all(self, requests: Sequence[RequestData]) -> list[dict[str, Any]]:
        """The same for many, sent at once."""
        if not requests:
            return []
        answers, frames = _Answers(len(requests)), []
        for request in requests:
            self._next_id += 1
            self._answers[self._next_id] = answers
            frames.append(frame(TEXT, encode(Request(self._next_id, request)).encode()))
        await self.send(b"".join(frames))
        with trio.move_on_after(ANSWER_SECONDS):
            await answers.all_came.wait()
        if answers.outstanding:
            why = f"closed with {self.close_code}" if self.close_code else f"no answer in {ANSWER_SECONDS:g} s"
            raise BenchError(f"{type(requests[0]).__name__}: {why}")
        return [_data(answer) for answer in answers.came]

    async def send(self, data: bytes) -> None:
        """All of it, in bounded time."""
        rest = memoryview(data)
        with trio.fail_after(ANSWER_SECONDS):
            while rest:
                try:
                    rest = rest[self.socket.send(rest) :]
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self.socket)

    async def upgrade(self, host: str) -> None:
        await self.send(upgrade_request(host, limits.PATH, limits.SUBPROTOCOL))
        with trio.fail_after(ANSWER_SECONDS):
            await self._upgraded.wait()

    def receive(self, data: bytes, at: float) -> None:
        self._buffer += data
        if not self._upgraded.is_set() and not self._take_upgrade():
            return
        for opcode, payload in take_frames(self._buffer):
            if opcode == TEXT:
                self._receive_text(payload, at)
            elif opcode == PING:
                self.answer_ping(payload)
            elif opcode == CLOSE:
                self.end(int.from_bytes(payload[:2]))

    def _take_upgrade(self) -> bool:
        head, found, rest = self._buffer.partition(_HEAD_END)
        if not found:
            return False
        if b" 101 " not in head.splitlines()[0]:
            raise BenchError(f"the gateway refused a client: {bytes(head)!r}")
        self._buffer = rest
        self._upgraded.set()
        return True

    def _receive_text(self, payload: bytes, at: float) -> None:
        self.crowd.heard_at = at
        if payload.startswith(_RESPONSE):
            id_ = int(payload[len(_RESPONSE) : payload.index(b",")])
            answers = self._answers.pop(id_)
            answers.came.append(payload)
            answers.outstanding -= 1
            if not answers.outstanding:
                answers.all_came.set()
            return
        self.events.append(payload)
        if self.crowd.watch is not None and payload.find(_LEFT, 0, _HEAD) >= 0:
            start = payload.index(_USER) + len(_USER)
            self.crowd.watch.told(payload[start : payload.index(b'"', start)].decode(), at)

    def answer_ping(self, payload: bytes) -> None:
        """At once, or not at all: who has no room for some bytes does not read."""
        try:
            self.socket.send(frame(PONG, payload))
        except OSError:
            self.end(CloseCode.ABNORMAL)
        if self.dies_after_pong:
            self.abandon()

    def end(self, code: int) -> None:
        """The gateway has closed it, or the connection broke."""
        if self.close_code is None:
            self.close_code = code or CloseCode.ABNORMAL
            self.crowd.lost.append(self)
        self.crowd.ignore(self)
        self._upgraded.set()
        for answers in self._answers.values():
            answers.all_came.set()

    def abandon(self) -> None:
        """Read and answer nothing any more.  The socket stays open, with all that still comes in the kernel."""
        self.silent_since = time.perf_counter()
        self.crowd.ignore(self)

    def close(self) -> None:
        """Whatever becomes of what is still on the way."""
        self.crowd.ignore(self)
        self.socket.close()


@define(eq=False)
class Crowd:
    """All clients of one gateway, on one epoll.

    ``heard_at`` is when the newest frame came (pings do not count), ``lost`` are those whom the gateway has closed.
    """

    address: tuple[str, int]
    watch: Watch | None = None
    lost: list[Client] = field(factory=list)
    heard_at: float = field(factory=time.perf_counter)
    _clients: dict[int, Client] = field(factory=dict)
    _readable: select.epoll = field(factory=select.epoll)

    async def run(self) -> Never:
        """Read what comes, for as long as the crowd is needed."""
        while True:
            await trio.lowlevel.wait_readable(self._readable.fileno())
            for descriptor, _ in self._readable.poll(0):
                if (client := self._clients.get(descriptor)) is not None:
                    _read(client)

    async def connect(self) -> Client:
        with trio.fail_after(ANSWER_SECONDS):
            sock = trio.socket.socket()
            await sock.connect(self.address)
        raw = socket.socket(fileno=sock.detach())
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setblocking(False)
        client = self._clients[raw.fileno()] = Client(self, raw)
        self._readable.register(raw, select.EPOLLIN)
        await client.upgrade(f"{self.address[0]}:{self.address[1]}")
        return client

    def ignore(self, client: Client) -> None:
        if self._clients.pop(client.socket.fileno(), None) is not None:
            self._readable.unregister(client.socket)

    def expect(self, leavers: Iterable[str], listeners: int) -> Watch:
        """From now on, see when each of so many listeners is told of each of these users."""
        self.watch = Watch.of(leavers, listeners)
        return self.watch

    async def told(self, watch: Watch, seconds: float) -> None:
        """Wait until all were told; :exc:`BenchError`, with what is missing, when that takes too long."""
        with trio.move_on_after(seconds):
            await watch.done.wait()
            return
        codes = Counter(client.close_code for client in self.lost)
        missing = {user_id: len(times) for user_id, times in watch.times.items() if len(times) < watch.listeners}
        raise BenchError(
            f"after {seconds:g} s {watch.outstanding} tellings are missing: of {len(missing)} users, {watch.listeners} "
            f"others each, were told {list(missing.items())[:5]}; closed meanwhile: {dict(codes)}"
        )

    async def quiet(self, seconds: float = 0.05) -> None:
        """Return when nothing was heard for so long."""
        with trio.move_on_after(QUIET_AT_MOST):
            while True:
                left = self.heard_at + seconds - time.perf_counter()
                if left <= 0:
                    return
                await trio.sleep(left)
        raise BenchError(f"the gateway still tells something after {QUIET_AT_MOST:g} s")

    def close(self) -> None:
        for client in list(self._clients.values()):
            client.close()
        self._readable.close()


def _read(client: Client) -> None:
    try:
        data = client.socket.recv(_READ)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if data:
        client.receive(data, time.perf_counter())
    else:
        client.end(CloseCode.ABNORMAL)


def _data(answer: bytes) -> dict[str, Any]:
    message = json.loads(answer)
    if message["type"] != "ok":
        raise BenchError(f"the gateway refused: {message['data']}")
    data: dict[str, Any] = message.get("data", {})
    return data

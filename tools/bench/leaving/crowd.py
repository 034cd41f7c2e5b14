"""Many clients of one gateway.

No message is decoded when it comes: it is told apart by its first bytes, stamped with the one clock and kept for
:mod:`tools.bench.leaving.view` to check afterwards.  So a list of 30 KB for each of 99 members takes some
milliseconds to take in, and what is measured is the gateway.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import trio
from attrs import define, field

from protocol import limits
from protocol.codec import encode
from protocol.declarations import RequestData
from protocol.requests import Request
from tools.bench.leaving import BenchError
from tools.bench.websocket import Sockets, WebSocket

ANSWER_SECONDS: Final = 60.0
QUIET_AT_MOST: Final = 180.0
_RESPONSE: Final = b'{"id":'
# An event's type and whom it is about are in its first bytes, well before the list.
_HEAD: Final = 160
_LEFT: Final = b'"type":"user_left"'
_USER: Final = b'"userId":"'


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
class Client(WebSocket):
    """One client of our gateway, made by :meth:`Crowd.connect`.  ``events`` are the frames that nobody checked yet.

    With ``dies_after_pong`` it falls silent when it has answered the next ping; ``silent_since`` is when it did.
    """

    path = limits.PATH
    subprotocol = limits.SUBPROTOCOL

    crowd: Crowd = field(kw_only=True)
    events: list[bytes] = field(factory=list)
    dies_after_pong: bool = False
    silent_since: float | None = None
    _next_id: int = 0
    _answers: dict[int, _Answers] = field(factory=dict)

    async def ask(self, request: RequestData[Any]) -> dict[str, Any]:
        """The ``data`` of its ``ok``.  Raises :exc:`BenchError` for an error, or when none comes."""
        [data] = await self.ask_all([request])
        return data

    async def ask_all(self, requests: Sequence[RequestData[Any]]) -> list[dict[str, Any]]:
        """The same for many, sent at once."""
        if not requests:
            return []
        answers, texts = _Answers(len(requests)), []
        for request in requests:
            self._next_id += 1
            self._answers[self._next_id] = answers
            texts.append(encode(Request(self._next_id, request)))
        await self.send_text(*texts)
        with trio.move_on_after(ANSWER_SECONDS):
            await answers.all_came.wait()
        if answers.outstanding:
            why = f"closed with {self.close_code}" if self.close_code else f"no answer in {ANSWER_SECONDS:g} s"
            raise BenchError(f"{type(requests[0]).__name__}: {why}")
        return [_data(answer) for answer in answers.came]

    def receive_text(self, payload: bytes, at: float) -> None:
        self.crowd.heard_at = at
        if payload.startswith(_RESPONSE):
            id_ = int(payload[len(_RESPONSE) : payload.index(b",")])
            answers = self._answers.pop(id_)
            answers.came.append(payload)
            answers.outstanding -= 1
            if not answers.outstanding:
                answers.all_came.set()
            return
        self.keep(payload)
        if payload.find(_LEFT, 0, _HEAD) >= 0:
            start = payload.index(_USER) + len(_USER)
            self.told(payload[start : payload.index(b'"', start)].decode(), at)

    def keep(self, event: bytes) -> None:
        self.events.append(event)

    def told(self, user_id: str, at: float) -> None:
        """Somebody has left."""
        if self.crowd.watch is not None:
            self.crowd.watch.told(user_id, at)

    def answer_ping(self, payload: bytes) -> None:
        WebSocket.answer_ping(self, payload)
        if self.dies_after_pong:
            self.abandon()

    def ended(self) -> None:
        self.crowd.lost.append(self)
        for answers in self._answers.values():
            answers.all_came.set()

    def abandon(self) -> None:
        """Read and answer nothing any more.  The socket stays open, with all that still comes in the kernel."""
        self.silent_since = time.perf_counter()
        self.ignore()


@define(eq=False)
class Crowd(Sockets):
    """All clients of one gateway.

    ``heard_at`` is when the newest frame came (pings do not count), ``lost`` are those whom the gateway has closed.
    """

    watch: Watch | None = None
    lost: list[Client] = field(factory=list)
    heard_at: float = field(factory=time.perf_counter)

    async def connect(self) -> Client:
        return await self.open(partial(Client, crowd=self))

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


def _data(answer: bytes) -> dict[str, Any]:
    message = json.loads(answer)
    if message["type"] != "ok":
        raise BenchError(f"the gateway refused: {message['data']}")
    data: dict[str, Any] = message.get("data", {})
    return data

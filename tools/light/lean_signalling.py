"""Signalling of many clients of one gateway, for benches: a :class:`PooledWebSocket` that decodes no event.

It notes the time at which it reads an event, and keeps the event's bytes.  A bench looks into them afterwards.  So a
list of 30 KB for each of 99 members costs a few milliseconds, and the bench measures the gateway and not itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import trio
from attrs import define, field

from protocol import limits
from protocol.client import ConnectionClosed, RequestError
from protocol.codec import decode_from_gateway, encode
from protocol.declarations import RequestData
from protocol.requests import ConsumedMany, Ping, Request
from protocol.responses import Error, Ok
from tools.light.light_media import Answer
from tools.light.websocket import PooledWebSocket

ANSWER_SECONDS: Final = 60.0
_RESPONSE: Final = b'{"id":'
_EVENT: Final = b'{"seq":'
# Bytes at the beginning of a message in which to search.  An event has its type and user id there, before the list.
_HEAD: Final = 160
_OK: Final = b'"type":"ok"'
_REFUSED: Final = b'"refused":[{'
_VOICE_STATE: Final = b'"type":"voice_state"'
_LIST: Final = b'"participants":['
_LEFT: Final = b'"type":"user_left"'
_USER: Final = b'"userId":"'


@define
class _Batch:
    """Requests that were sent together.  ``answers`` has the answers so far, in the order of the requests."""

    outstanding: int
    answers: list[bytes] = field(factory=list)
    done: trio.Event = field(factory=trio.Event)


@define(eq=False)
class LeanSignalling(PooledWebSocket):
    """A client's signalling.  Make it with :meth:`tools.light.websocket.WebSocketPool.open`.

    ``on_message`` gets the time of each message.  ``on_left`` gets the user id of each ``user_left`` event, and the
    time at which this client read it.  ``events`` collects the undecoded ``voice_state`` events, unless
    ``keep_events`` is False.
    """

    path = limits.PATH
    subprotocol = limits.SUBPROTOCOL

    on_message: Callable[[float], object] | None = field(default=None, kw_only=True)
    on_left: Callable[[str, float], object] | None = field(default=None, kw_only=True)
    keep_events: bool = field(default=True, kw_only=True)
    events: list[bytes] = field(factory=list)
    _next_id: int = 0
    _batches: dict[int, _Batch] = field(factory=dict)
    _last_event: int = 0
    _last_answer: int = 0
    _unacknowledged: int = 0
    _acknowledged_at: float = field(factory=time.perf_counter)

    async def request(self, data: RequestData[Answer]) -> Answer:
        """Send one request and return the data of its answer.  Raises the same exceptions as :meth:`requests`."""
        [answer] = await self.requests([data])
        return answer

    async def requests(self, requests: Iterable[RequestData[Answer]]) -> list[Answer]:
        """Send requests in one write and return the data of their answers, in the same order.

        Raises :exc:`RequestError` for the first refusal, :exc:`ConnectionClosed`, ``OSError``, and
        ``trio.TooSlowError`` after :data:`ANSWER_SECONDS`.
        """
        asked: dict[int, type[RequestData[Any]]] = {}
        answers = await self._exchange(requests, asked)
        # Decoding makes sure that each answer has the class that its request names.
        return [cast(Answer, _data(decode_from_gateway(answer.decode(), asked))) for answer in answers]

    async def perform(self, requests: Iterable[RequestData[Any]]) -> None:
        """Like :meth:`requests`, without decoding the answers of requests that succeed."""
        asked: dict[int, type[RequestData[Any]]] = {}
        for answer in await self._exchange(requests, asked):
            if answer.find(_OK, 0, _HEAD) < 0 or answer.find(_REFUSED, 0, _HEAD) >= 0:
                _data(decode_from_gateway(answer.decode(), asked))

    async def _exchange(
        self, requests: Iterable[RequestData[Any]], asked: dict[int, type[RequestData[Any]]]
    ) -> list[bytes]:
        """Send requests, note the class of each request in ``asked`` by its id, and return the undecoded answers."""
        texts = []
        for data in requests:
            self._next_id += 1
            asked[self._next_id] = type(data)
            texts.append(encode(Request(self._next_id, data)))
        if not asked:
            return []
        batch = _Batch(len(asked))
        self._batches |= dict.fromkeys(asked, batch)
        await self.send_text(*texts)
        with trio.fail_after(ANSWER_SECONDS):
            await batch.done.wait()
        if batch.outstanding:
            raise ConnectionClosed(self.close_code or 0)
        return batch.answers

    def receive_text(self, payload: bytes, at: float) -> None:
        if self.on_message is not None:
            self.on_message(at)
        is_voice_state = payload.find(_VOICE_STATE, 0, _HEAD) >= 0
        kept = payload.find(_LIST) if is_voice_state else -1  # the gateway keeps it without the list
        self._unacknowledged += len(payload) if kept < 0 else kept + limits.VOICE_STATE_BYTES // 2
        if payload.startswith(_RESPONSE):
            self._take_answer(payload)
            return
        if payload.startswith(_EVENT):
            self._last_event = int(payload[len(_EVENT) : payload.index(b",")])
        if self._unacknowledged >= limits.ACKNOWLEDGE_BYTES or at - self._acknowledged_at >= limits.ACKNOWLEDGE_SECONDS:
            self.acknowledge(at)
        if not is_voice_state:
            return
        if self.keep_events:
            self.events.append(payload)
        if self.on_left is not None and payload.find(_LEFT, 0, _HEAD) >= 0:
            start = payload.index(_USER) + len(_USER)
            self.on_left(payload[start : payload.index(b'"', start)].decode(), at)

    def acknowledge(self, at: float) -> None:
        """Let the gateway forget what has come. Otherwise it keeps up to 256 KiB for each client that may resume."""
        self._next_id += 1
        if not self.send_now(encode(Request(self._next_id, Ping(self._last_event, self._last_answer)))):
            self._next_id -= 1  # another message is being sent: the next event tries again
            return
        self._batches[self._next_id] = _Batch(1)  # nobody waits for this answer
        self._unacknowledged, self._acknowledged_at = 0, at

    def _take_answer(self, payload: bytes) -> None:
        self._last_answer = int(payload[len(_RESPONSE) : payload.index(b",")])
        batch = self._batches.pop(self._last_answer)
        batch.answers.append(payload)
        batch.outstanding -= 1
        if not batch.outstanding:
            batch.done.set()

    def ended(self) -> None:
        for batch in self._batches.values():
            batch.done.set()


def _data(message: object) -> object:
    if isinstance(message, Error):
        error = message.data
        raise RequestError(error.code, error.message, error.path, error.reference)
    assert isinstance(message, Ok)
    if isinstance(message.data, ConsumedMany) and message.data.refused:
        [refused, *_] = message.data.refused
        raise RequestError(refused.code, refused.message)
    return message.data

"""Janus' JSON over a WebSocket: requests and what they are answered, what handles are told, keeping a session alive."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import trio
import trio_websocket
from attrs import define, field

SUBPROTOCOL: Final = "janus-protocol"
REQUEST_SECONDS: Final = 15.0
# Janus ends a session that says nothing for 60 s.
KEEPALIVE_SECONDS: Final = 20.0

Message = dict[str, Any]


class JanusError(Exception):
    """Janus refused, or said what the bench cannot use."""


@define
class _Question:
    """``final`` says which message is the answer: a plugin first acknowledges."""

    final: Callable[[Message], bool]
    came: trio.Event = field(factory=trio.Event)
    answer: Message | None = None


@define
class Session:
    """Made by :func:`open_session`.  ``hear`` is called with every event that answers nothing."""

    host: str
    _stream: trio.SocketStream
    _websocket: trio_websocket.WebSocketConnection
    hear: Callable[[Message], None]
    _id: int = 0
    _numbers: itertools.count[int] = field(factory=itertools.count)
    _questions: dict[str, _Question] = field(factory=dict)

    async def create(self) -> None:
        self._id = (await self._ask({"janus": "create"}))["data"]["id"]

    async def attach(self, plugin: str) -> Handle:
        answer = await self._ask({"janus": "attach", "plugin": plugin, "session_id": self._id})
        return Handle(self, answer["data"]["id"])

    async def ask_handle(self, handle: int, body: Message, jsep: Message | None = None) -> Message:
        """Ask a plugin something and wait for what it says, which may come with a ``jsep``."""
        message = {"janus": "message", "session_id": self._id, "handle_id": handle, "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        event = await self._ask(message, lambda answer: answer["janus"] != "ack")
        data = event.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise JanusError(f"{body.get('request')}: {data['error']}")
        return {**data, "jsep": event.get("jsep")}

    def hang_up(self) -> None:
        """Break the connection off without a word."""
        self._stream.socket.shutdown(trio.socket.SHUT_RDWR)

    async def _ask(self, message: Message, final: Callable[[Message], bool] = lambda answer: True) -> Message:
        number = str(next(self._numbers))
        question = self._questions[number] = _Question(final)
        try:
            with trio.fail_after(REQUEST_SECONDS):
                await self._websocket.send_message(json.dumps({**message, "transaction": number}))
                await question.came.wait()
        finally:
            del self._questions[number]
        answer = question.answer
        if answer is None:
            raise JanusError(f"the connection ended before {message['janus']} was answered")
        if answer["janus"] == "error":
            raise JanusError(f"{message['janus']}: {answer['error']['reason']}")
        return answer

    async def keep_alive(self) -> None:
        with suppress(trio_websocket.ConnectionClosed):
            while True:
                await trio.sleep(KEEPALIVE_SECONDS)
                await self._ask({"janus": "keepalive", "session_id": self._id})

    async def listen(self) -> None:
        """Sort what comes, until the connection ends."""
        try:
            while True:
                self._sort(json.loads(await self._websocket.get_message()))
        except (trio_websocket.ConnectionClosed, trio.ClosedResourceError):
            for question in self._questions.values():
                question.came.set()

    def _sort(self, message: Message) -> None:
        question = self._questions.get(message.get("transaction", ""))
        if question is None:
            self.hear(message)
        elif question.final(message):
            question.answer = message
            question.came.set()


@define
class Handle:
    """One attachment to a plugin, with at most one transport."""

    session: Session
    id: int

    async def ask(self, body: Message, jsep: Message | None = None) -> Message:
        return await self.session.ask_handle(self.id, body, jsep)


@asynccontextmanager
async def open_session(address: tuple[str, int], hear: Callable[[Message], None]) -> AsyncIterator[Session]:
    """A session for as long as the block runs; leaving the block just closes the socket."""
    stream = await trio.open_tcp_stream(*address)
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(REQUEST_SECONDS):
                websocket = await trio_websocket.wrap_client_stream(
                    nursery, stream, address[0], "/", subprotocols=[SUBPROTOCOL]
                )
            session = Session(address[0], stream, websocket, hear)
            nursery.start_soon(session.listen)
            await session.create()
            nursery.start_soon(session.keep_alive)
            yield session
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)

"""Janus' JSON over a WebSocket: requests and what they are answered, what handles are told, keeping a session alive."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import trio
from attrs import define, field

from protocol.errors import CloseCode
from tools.bench.websocket import Sockets, WebSocket

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


@define(eq=False)
class Session(WebSocket):
    """Made by :func:`open_session`.  ``hear`` is called with every event that answers nothing."""

    path = "/"
    subprotocol = "janus-protocol"

    hear: Callable[[Message], None] = field(kw_only=True)
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

    async def _ask(self, message: Message, final: Callable[[Message], bool] = lambda answer: True) -> Message:
        number = str(next(self._numbers))
        question = self._questions[number] = _Question(final)
        try:
            with trio.fail_after(REQUEST_SECONDS):
                await self.send_text(json.dumps({**message, "transaction": number}))
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
        """Until it ends."""
        while self.close_code is None:
            await self._ask({"janus": "keepalive", "session_id": self._id})
            await trio.sleep(KEEPALIVE_SECONDS)

    def receive_text(self, payload: bytes, at: float) -> None:
        message = json.loads(payload)
        question = self._questions.get(message.get("transaction", ""))
        if question is None:
            self.hear(message)
        elif question.final(message):
            question.answer = message
            question.came.set()

    def hang_up(self) -> None:
        """Break the connection off without a word."""
        self.end(CloseCode.ABNORMAL)
        self.close()

    def ended(self) -> None:
        for question in self._questions.values():
            question.came.set()


@define
class Handle:
    """One attachment to a plugin, with at most one transport."""

    session: Session
    id: int

    async def ask(self, body: Message, jsep: Message | None = None) -> Message:
        return await self.session.ask_handle(self.id, body, jsep)


@asynccontextmanager
async def open_session(sockets: Sockets, hear: Callable[[Message], None]) -> AsyncIterator[Session]:
    """A session for as long as the block runs; leaving the block just closes the socket."""
    session = await sockets.open(partial(Session, hear=hear))
    try:
        async with trio.open_nursery() as nursery:
            await session.create()
            nursery.start_soon(session.keep_alive)
            yield session
            nursery.cancel_scope.cancel()
    finally:
        session.close()

"""Janus' JSON over a WebSocket: requests, events, and the keepalive of a session."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import trio
from attrs import define, field

from tools.bench import BenchError
from tools.light.websocket import PooledWebSocket, WebSocketPool

REQUEST_SECONDS: Final = 15.0
# Janus ends a session after 60 s of silence.
KEEPALIVE_SECONDS: Final = 20.0

Message = dict[str, Any]


class JanusError(BenchError):
    """Janus refused a request, or closed the connection."""


@define
class _PendingRequest:
    """A request that waits for its answer. ``final`` tells the answer from a plugin's acknowledgement."""

    final: Callable[[Message], bool]
    came: trio.Event = field(factory=trio.Event)
    answer: Message | None = None


@define(eq=False)
class JanusSession(PooledWebSocket):
    """A session on Janus. :func:`open_session` makes it. ``on_event`` gets every message that answers no request."""

    path = "/"
    subprotocol = "janus-protocol"

    on_event: Callable[[Message], None] = field(kw_only=True)
    _id: int = 0
    _numbers: itertools.count[int] = field(factory=itertools.count)
    _asked: dict[str, _PendingRequest] = field(factory=dict)

    async def create(self) -> None:
        self._id = (await self._ask({"janus": "create"}))["data"]["id"]

    async def attach(self, plugin: str) -> int:
        """Return the number of a new handle, an attachment to a plugin with at most one transport."""
        answer = await self._ask({"janus": "attach", "plugin": plugin, "session_id": self._id})
        handle: int = answer["data"]["id"]
        return handle

    async def ask(self, handle: int, body: Message, jsep: Message | None = None) -> Message:
        """Send a request to a plugin. Return the answer and its ``jsep``, which is None if there is none."""
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
        asked = self._asked[number] = _PendingRequest(final)
        try:
            with trio.fail_after(REQUEST_SECONDS):
                await self.send_text(json.dumps({**message, "transaction": number}))
                await asked.came.wait()
        finally:
            del self._asked[number]
        answer = asked.answer
        if answer is None:
            raise JanusError(f"the connection ended before {message['janus']} was answered")
        if answer["janus"] == "error":
            raise JanusError(f"{message['janus']}: {answer['error']['reason']}")
        return answer

    async def keep_alive(self) -> None:
        """Keep the session alive until it ends."""
        while self.close_code is None:
            await self._ask({"janus": "keepalive", "session_id": self._id})
            await trio.sleep(KEEPALIVE_SECONDS)

    def receive_text(self, payload: bytes, at: float) -> None:
        message = json.loads(payload)
        asked = self._asked.get(message.get("transaction", ""))
        if asked is None:
            self.on_event(message)
        elif asked.final(message):
            asked.answer = message
            asked.came.set()

    def ended(self) -> None:
        for asked in self._asked.values():
            asked.came.set()


@asynccontextmanager
async def open_session(pool: WebSocketPool, on_event: Callable[[Message], None]) -> AsyncIterator[JanusSession]:
    """Open a session for as long as the block runs. Leaving the block only closes the socket."""
    session = await pool.open(partial(JanusSession, on_event=on_event))
    try:
        async with trio.open_nursery() as nursery:
            await session.create()
            nursery.start_soon(session.keep_alive)
            yield session
            nursery.cancel_scope.cancel()
    finally:
        session.close()

"""Janus' JSON over a WebSocket: requests, events, and the keepalive of a session."""

from __future__ import annotations

import itertools
import json
from typing import Any, Final

import trio
from attrs import define, field

from tools.bench import BenchError
from tools.light.websocket import PooledWebSocket

REQUEST_SECONDS: Final = 15.0
# Janus ends a session after 60 s of silence.
KEEPALIVE_SECONDS: Final = 20.0

Message = dict[str, Any]


class JanusError(BenchError):
    """Janus refused a request, or closed the connection."""


@define(eq=False)
class JanusSession(PooledWebSocket):
    """A session on Janus, after :meth:`create`. Subclasses handle the events."""

    path = "/"
    subprotocol = "janus-protocol"

    _id: int = 0
    _numbers: itertools.count[int] = field(factory=itertools.count)
    _answers: dict[str, Message] = field(factory=dict)
    _came: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    def receive_event(self, event: Message) -> None:
        """Handle a message that answers no request."""
        raise NotImplementedError

    async def create(self, tasks: trio.Nursery) -> None:
        """Begin the session. ``tasks`` runs its keepalive."""
        self._id = (await self._ask("create"))["data"]["id"]
        tasks.start_soon(self._keep_alive)

    async def attach(self, plugin: str) -> int:
        """Return the number of a new handle, an attachment to a plugin with at most one transport."""
        answer = await self._ask("attach", plugin=plugin, session_id=self._id)
        return int(answer["data"]["id"])

    async def ask(self, handle: int, body: Message, jsep: Message | None = None) -> Message:
        """Send a request to a plugin. Return the answer and its ``jsep``, which is None if there is none."""
        description = {} if jsep is None else {"jsep": jsep}
        event = await self._ask("message", session_id=self._id, handle_id=handle, body=body, **description)
        data = event.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise JanusError(f"{body.get('request')}: {data['error']}")
        return {**data, "jsep": event.get("jsep")}

    async def _ask(self, what: str, **message: object) -> Message:
        number = str(next(self._numbers))
        with trio.fail_after(REQUEST_SECONDS):
            await self.send_text(json.dumps({"janus": what, "transaction": number, **message}))
            while number not in self._answers:
                if self.close_code is not None:
                    raise JanusError(f"the connection ended before {what} was answered")
                await self._came.park()
        answer = self._answers.pop(number)
        if answer["janus"] == "error":
            raise JanusError(f"{what}: {answer['error']['reason']}")
        return answer

    async def _keep_alive(self) -> None:
        while self.close_code is None:
            await self.send_text(json.dumps({"janus": "keepalive", "session_id": self._id, "transaction": ""}))
            await trio.sleep(KEEPALIVE_SECONDS)

    def receive_text(self, payload: bytes, at: float) -> None:
        message = json.loads(payload)
        if message["janus"] == "ack":  # of a keepalive, or before a plugin's answer
            return
        if "transaction" in message:
            self._answers[message["transaction"]] = message
            self._came.unpark_all()
        else:
            self.receive_event(message)

    def ended(self) -> None:
        self._came.unpark_all()

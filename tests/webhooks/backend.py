"""A backend that receives webhooks over HTTP, checks their signatures, and keeps the lists that they tell."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h11
import trio
from attrs import define, field
from standardwebhooks import Webhook

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZXNlIHRlc3RzLCAzMiBieXRlcyE="


def write_secret(folder: Path, name: str = "webhook.key", text: str = SECRET) -> str:
    """Write a secret into a file, and return its path."""
    path = folder / name
    path.write_text(text + "\n")
    return str(path)


@define
class Backend:
    """What the backend knows. ``status`` answers each message; ``hangs`` never answers.

    ``history`` has the changes by channel, each once, and ``lists`` who is where. ``ids`` counts the messages by id.
    """

    url: str = ""
    status: int = 204
    hangs: bool = False
    ids: dict[str, int] = field(factory=dict)
    types: list[str] = field(factory=list)
    history: dict[str, list[Any]] = field(factory=dict)
    lists: dict[str, list[str]] = field(factory=dict)
    positions: dict[str, tuple[int, int]] = field(factory=dict)
    refused: int = 0
    changed: trio.Event = field(factory=trio.Event)

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Take a message. Raises ``WebhookVerificationError`` if its signature is wrong."""
        Webhook(SECRET).verify(body, headers)
        assert "cookie" not in headers  # each answer sets one, and the gateway keeps none
        message = json.loads(body)
        known = self.ids.get(headers["webhook-id"], 0)
        self.ids[headers["webhook-id"]] = known + 1
        if known:
            return
        self.types.append(message["type"])
        data = message["data"]
        if message["type"] == "presence.reset":
            self.lists.clear()
            self.positions.clear()
            return
        channel, position = data["channelId"], (data["epoch"], data["revision"])
        assert position > self.positions.get(channel, (0, -1)), "out of order"
        before, self.positions[channel] = self.positions.get(channel), position
        if message["type"] == "presence.snapshot":
            self.lists[channel] = [each["userId"] for each in data["participants"]]
            return
        if before is not None and before[0] == position[0]:
            assert position[1] == before[1] + 1, "a change is missing"
        self.history.setdefault(channel, []).append(data)
        listed = self.lists.setdefault(channel, [])
        if data["type"] == "user_joined":
            listed.append(data["userId"])
        elif data["type"] == "user_left":
            listed.remove(data["userId"])

    def present(self) -> dict[str, list[str]]:
        """Who is where, without the empty channels."""
        return {channel: sorted(users) for channel, users in self.lists.items() if users}

    async def until(self, holds: Callable[[], bool], seconds: float = 10) -> None:
        """Wait until something holds."""
        with trio.fail_after(seconds):
            while not holds():
                await self.changed.wait()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[None]:
        """Listen while the block runs: on this port, or on the one from before."""
        before = int(self.url.rsplit(":", 1)[1].split("/")[0]) if self.url else 0
        async with trio.open_nursery() as nursery:
            [listener] = await nursery.start(partial(trio.serve_tcp, self.serve, port or before, host="127.0.0.1"))
            self.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/presence"
            yield
            nursery.cancel_scope.cancel()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection."""
        http = h11.Connection(h11.SERVER)
        head: h11.Request | None = None
        body = b""
        try:
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    http.receive_data(await stream.receive_some())
                elif isinstance(event, h11.Request):
                    head, body = event, b""
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    assert head is not None
                    await self._answer(stream, http, head, body)
                    http.start_next_cycle()
                else:
                    return
        except (trio.BrokenResourceError, h11.ProtocolError):
            return

    async def _answer(self, stream: trio.SocketStream, http: h11.Connection, head: h11.Request, body: bytes) -> None:
        if self.hangs:
            await trio.sleep_forever()
        status = self.status
        if 200 <= status < 300:
            self.take({name.decode(): value.decode() for name, value in head.headers}, body)
        else:
            self.refused += 1
        self.changed.set()
        self.changed = trio.Event()
        for event in (
            h11.Response(status_code=status, headers=[("content-length", "0"), ("set-cookie", f"a{len(self.ids)}=1")]),
            h11.EndOfMessage(),
        ):
            if data := http.send(event):
                await stream.send_all(data)


@asynccontextmanager
async def open_backend(port: int = 0) -> AsyncIterator[Backend]:
    """Run a backend on loopback while the block runs."""
    backend = Backend()
    async with backend.listening(port):
        yield backend

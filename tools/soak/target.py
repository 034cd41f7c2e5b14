"""What an attacker knows of the gateway, and the connections that it opens."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Never

import trio
from attrs import define, field, frozen

from protocol import limits
from protocol.client import new_session_secret
from tools.light.frames import TEXT, frame, upgrade_request
from tools.loadtest.failures import FAILURES

#: The channel of the attackers. People whose calls are measured are in other channels.
CHANNEL: Final = "attackers"
#: The longest time for one step of an attack, in seconds. The gateway may serve an attacker late.
PATIENCE: Final = 10.0
#: What happens if the gateway has closed a connection, or is slow: all of that is its right.
LOST: Final = (*FAILURES, trio.BrokenResourceError, trio.ClosedResourceError)
_READ: Final = 65536


@frozen
class Target:
    """The gateway's TCP address, its media address, and the join token that attackers inside know."""

    host: str
    port: int
    media_host: str
    media_port: int
    token: str | None = None

    @property
    def url(self) -> str:
        return f"ws://{self.host}:{self.port}{limits.PATH}"


Attack = Callable[[Target, Counter[str]], Awaitable[Never]]
"""Attacks until it is cancelled, and counts what it does."""


@define(eq=False)
class Raw:
    """A WebSocket that checks nothing. The gateway's messages are read only by :meth:`drain` and :meth:`answer`."""

    stream: trio.abc.Stream
    _next_id: int = 0
    _read: bytearray = field(factory=bytearray)

    async def send(self, data: bytes) -> None:
        """Send bytes. Raises one of :data:`LOST`."""
        with trio.fail_after(PATIENCE):
            await self.stream.send_all(data)

    async def request(self, kind: str, **data: Any) -> None:
        self._next_id += 1
        await self.send(frame(TEXT, json.dumps({"id": self._next_id, "type": kind, "data": data}).encode()))

    async def join(self, target: Target, user: str, *, token: str | None = None, channel: str = CHANNEL) -> None:
        """Ask for a seat."""
        given = {"token": token} if token is not None else {}
        data = {"channelId": channel, "username": user, "userId": user, "sessionSecret": new_session_secret(), **given}
        await self.request("join", **data)

    async def answer(self) -> bytes:
        """Return the next bytes, or nothing at the end of the connection. Raises one of :data:`LOST`."""
        with trio.fail_after(PATIENCE):
            return bytes(await self.stream.receive_some(_READ))

    async def drain(self) -> None:
        """Read, and throw away, until the connection ends."""
        with suppress(*LOST):
            while await self.stream.receive_some(_READ):
                pass


@asynccontextmanager
async def open_tcp(target: Target) -> AsyncIterator[trio.abc.Stream]:
    """Raises one of :data:`LOST`."""
    with trio.fail_after(PATIENCE):
        stream = await trio.open_tcp_stream(target.host, target.port)
    try:
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


@asynccontextmanager
async def open_raw(target: Target) -> AsyncIterator[Raw]:
    """Raises one of :data:`LOST`, also if the gateway refuses the WebSocket."""
    async with open_tcp(target) as stream:
        raw = Raw(stream)
        await raw.send(upgrade_request(f"{target.host}:{target.port}", limits.PATH, limits.SUBPROTOCOL))
        if b" 101 " not in (await raw.answer())[:20]:
            raise trio.BrokenResourceError("the gateway refused the WebSocket")
        yield raw


def user_name() -> str:
    """A new name for an attacker."""
    return f"attacker-{secrets.token_hex(4)}"


async def again(attack: Callable[[], Awaitable[object]], counts: Counter[str], pause: float = 0.0) -> Never:
    """Attack again and again. A lost connection is counted, and another one takes its place after 0.1 s."""
    while True:
        try:
            await attack()
            await trio.sleep(pause)
        except* LOST:
            counts["lost connections"] += 1
            await trio.sleep(0.1)


async def side_by_side(number: int, attack: Callable[[], Awaitable[Never]]) -> Never:
    """Run so many attackers at a time."""
    async with trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(attack)
    raise AssertionError("unreachable")

"""Every way in which a client can die, by name.

Each is synchronous, so that it can happen at any moment.  A way that takes time, such as a close frame or a flood,
starts a task of the client for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio
from attrs import field, frozen

from gateway.connection import end_reasons
from gateway.connection.end_reasons import EndReason
from gateway.connection.outbox import Frame
from protocol.events import LeaveReason, MessageReceived
from tools.harness.client import HarnessClient
from tools.harness.transcript import Gone

if TYPE_CHECKING:
    from tools.harness.world import World

#: A number of malformed messages, or of requests, that exceeds the limits in all tests.
TOO_MANY_ERRORS: Final = 30
TOO_MANY_REQUESTS: Final = 5000


@frozen
class Way:
    """One way to die.  Call it with the world and the client's name to begin it.

    ``reasons`` are the reasons that ``user_left`` may give, or none if the client stays in the channel.  ``code`` is
    the gateway's close code, or None if the gateway sends none.  ``ends`` says whether the connection is over
    afterwards, which it is not after ``leave``.
    """

    name: str
    begin: Callable[[World, HarnessClient], None]
    reasons: frozenset[LeaveReason]
    code: int | None = None
    ends: bool = True
    __name__: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "__name__", self.name)

    def __call__(self, world: World, name: str) -> None:
        client = world.clients.get(name)
        if client is not None and not client.over.is_set():
            if self.reasons:
                # The end of an old socket does not count once the gateway has the new one.
                world.expect_end(name, must=self.ends and not client.is_resuming)
            self.begin(world, client)

    def __str__(self) -> str:
        return self.name


WAYS: Final[dict[str, Way]] = {}


def _way(
    name: str, *reasons: LeaveReason, code: int | None = None, ends: bool = True
) -> Callable[[Callable[[World, HarnessClient], None]], Way]:
    def add(begin: Callable[[World, HarnessClient], None]) -> Way:
        WAYS[name] = Way(name, begin, frozenset(reasons), code, ends)
        return WAYS[name]

    return add


def _start(client: HarnessClient, action: Callable[[HarnessClient], Awaitable[None]]) -> None:
    """Start an action that takes time.  The connection is expected to end during it."""

    async def act() -> None:
        with suppress(Gone, trio.TooSlowError, trio.BrokenResourceError):
            await action(client)

    client.tasks.start_soon(act, name=f"{client.name} dies")


# The client or its network goes away.


@_way("close frame 1000", "left")
def closed_normally(world: World, client: HarnessClient) -> None:
    _start(client, HarnessClient.close)


@_way("close frame 1001", "disconnected")
def closed_tab(world: World, client: HarnessClient) -> None:
    _start(client, lambda client: client.close(1001))


@_way("FIN without a close frame", "disconnected")
def sent_fin(world: World, client: HarnessClient) -> None:
    client.stream.close()


@_way("FIN, but it reads on", "disconnected")
def sent_fin_and_reads_on(world: World, client: HarnessClient) -> None:
    client.stream.outgoing.change(ended=True)


@_way("RST", "disconnected")
def reset(world: World, client: HarnessClient) -> None:
    client.stream.reset()


@_way("silence", "timed_out")
def silent(world: World, client: HarnessClient) -> None:
    client.stream.stop()
    client.cut_media()


@_way("no pong", "timed_out", "failed")
def sent_no_pong(world: World, client: HarnessClient) -> None:
    client.stream.stop_reading()


@_way("leave", "left", ends=False)
def left(world: World, client: HarnessClient) -> None:
    async def leave(client: HarnessClient) -> None:
        await client.request("leave")

    _start(client, leave)


# The client misbehaves.


@_way("a binary frame", "failed", code=1003)
def sent_binary_frame(world: World, client: HarnessClient) -> None:
    _start(client, lambda client: client.send_text(b"\0"))


@_way("bytes that are no WebSocket frame", "failed")
def sent_no_websocket(world: World, client: HarnessClient) -> None:
    _start(client, lambda client: client.stream.outgoing.put(b"\xff\xff\xff\xff"))


@_way("too many malformed messages", "failed", code=4400)
def sent_malformed_messages(world: World, client: HarnessClient) -> None:
    async def talk(client: HarnessClient) -> None:
        for _ in range(TOO_MANY_ERRORS):
            await client.send_text("{")

    _start(client, talk)


@_way("too many requests", "failed", code=4429)
def flooded(world: World, client: HarnessClient) -> None:
    async def flood(client: HarnessClient) -> None:
        for _ in range(TOO_MANY_REQUESTS):
            await client.request("ping")

    _start(client, flood)


@_way("a full outbox", "failed", "timed_out", code=4413)
def stopped_reading(world: World, client: HarnessClient) -> None:
    client.stream.stop_reading()
    connection = world.connection(client.name)
    if connection is not None:
        frame = Frame.of(MessageReceived("nobody", "x" * 100_000))
        for _ in range(2 + world.config.outbox_bytes // frame.size):
            connection.send(frame)


# The gateway or another client ends it.


def _end(world: World, client: HarnessClient, end_reason: EndReason) -> None:
    if (connection := world.connection(client.name)) is not None:
        connection.end(end_reason)


@_way("cancelled", "draining", code=1001)
def cancelled(world: World, client: HarnessClient) -> None:
    if (scope := world.serving.get(client.name)) is not None:
        scope.cancel()


@_way("removed by a moderator", "removed", code=4403)
def removed(world: World, client: HarnessClient) -> None:
    _end(world, client, end_reasons.REMOVED)


@_way("ended with its channel", "ended", code=4410)
def channel_ended(world: World, client: HarnessClient) -> None:
    _end(world, client, end_reasons.ENDED)


@_way("drained", "draining", code=1001)
def drained(world: World, client: HarnessClient) -> None:
    _end(world, client, end_reasons.DRAINING)


@_way("replaced by the same user", "replaced", code=4409)
def replaced(world: World, client: HarnessClient) -> None:
    async def replace(_: HarnessClient) -> None:
        newer = world.client(f"{client.name}+", user=client.user)
        await newer.connect()
        await newer.join(client.stays[-1].channel if client.stays else "lobby")

    _start(client, replace)


@_way("a handler that raises", "failed", code=4500)
def handler_raised(world: World, client: HarnessClient) -> None:
    world.ping_fails_for.add(client.name)

    async def ping(client: HarnessClient) -> None:
        await client.request("ping")

    _start(client, ping)


@_way("a bug while others notify it", "failed", code=4500)
def notification_raised(world: World, client: HarnessClient) -> None:
    if (connection := world.connection(client.name)) is not None:
        connection.fail(RuntimeError("made to fail"))


# The client loses its media, but stays in the channel.


@_way("no STUN", ends=False)
def lost_media(world: World, client: HarnessClient) -> None:
    client.cut_media()


@_way("a DTLS alert", ends=False)
def sent_dtls_alert(world: World, client: HarnessClient) -> None:
    client.close_dtls()


#: The ways after which the client is off the list.
DEADLY: Final = {name: way for name, way in WAYS.items() if way.reasons}

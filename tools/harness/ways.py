"""Every way to die, by name.  Each is synchronous, so that it can happen in the middle of anything.

What takes time (a close frame, a flood) is begun at once, in a task of the client's.
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
from tools.harness.client import Client, Gone

if TYPE_CHECKING:
    from tools.harness.world import World

#: How many bad messages, and how many requests, are more than any configuration of a test allows.
TOO_MANY_ERRORS: Final = 30
TOO_MANY_REQUESTS: Final = 5000


@frozen
class Way:
    """One way to die.  Called with the world and the client's name, it begins.

    ``reasons`` are what ``user_left`` may say; another end may always overtake it.  ``code`` is the close code with
    which the gateway closes, None where the client does or where nobody is left to be told.  ``ends`` says whether the
    connection is over afterwards (``leave`` ends a stay, and not the connection).
    """

    name: str
    begin: Callable[[World, Client], None]
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
                world.excuse(name, dead=self.ends)
            self.begin(world, client)

    def __str__(self) -> str:
        return self.name


WAYS: Final[dict[str, Way]] = {}


def _way(
    name: str, *reasons: LeaveReason, code: int | None = None, ends: bool = True
) -> Callable[[Callable[[World, Client], None]], Way]:
    def add(begin: Callable[[World, Client], None]) -> Way:
        WAYS[name] = Way(name, begin, frozenset(reasons), code, ends)
        return WAYS[name]

    return add


def _start(client: Client, action: Callable[[Client], Awaitable[None]]) -> None:
    """Begin something that takes time; that the connection ends meanwhile is the point of it."""

    async def act() -> None:
        with suppress(Gone, trio.TooSlowError, trio.BrokenResourceError):
            await action(client)

    client.tasks.start_soon(act, name=f"{client.name} dies")


# The client goes, or its network does.


@_way("close frame 1000", "left")
def closed_normally(world: World, client: Client) -> None:
    _start(client, Client.close)


@_way("close frame 1001", "disconnected")
def closed_tab(world: World, client: Client) -> None:
    _start(client, lambda client: client.close(1001))


@_way("FIN without a close frame", "disconnected")
def finished(world: World, client: Client) -> None:
    client.stream.close()


@_way("half a FIN: nothing more is sent, what comes is read", "disconnected")
def half_finished(world: World, client: Client) -> None:
    client.stream.outgoing.change(ended=True)


@_way("RST", "disconnected")
def reset(world: World, client: Client) -> None:
    client.stream.reset()


@_way("silence", "timed_out")
def silent(world: World, client: Client) -> None:
    client.stream.stop()
    client.cut_media()


@_way("a pong that never comes", "timed_out", "failed")
def deaf(world: World, client: Client) -> None:
    client.stream.stop_reading()


@_way("leave", "left", ends=False)
def left(world: World, client: Client) -> None:
    async def leave(client: Client) -> None:
        await client.request("leave")

    _start(client, leave)


# It misbehaves.


@_way("a frame that is not text", "failed", code=1003)
def sent_bytes(world: World, client: Client) -> None:
    _start(client, lambda client: client.send_text(b"\0"))


@_way("no WebSocket any more", "failed")
def broke_websocket(world: World, client: Client) -> None:
    _start(client, lambda client: client.stream.outgoing.put(b"\xff\xff\xff\xff"))


@_way("a flood past the error budget", "failed", code=4400)
def talked_nonsense(world: World, client: Client) -> None:
    async def talk(client: Client) -> None:
        for _ in range(TOO_MANY_ERRORS):
            await client.send_text("{")

    _start(client, talk)


@_way("a flood of requests", "failed", code=4429)
def flooded(world: World, client: Client) -> None:
    async def flood(client: Client) -> None:
        for _ in range(TOO_MANY_REQUESTS):
            await client.request("ping")

    _start(client, flood)


@_way("a full outbox", "failed", "timed_out", code=4413)
def read_nothing(world: World, client: Client) -> None:
    client.stream.stop_reading()
    connection = world.connection(client.name)
    if connection is not None:
        frame = Frame.of(MessageReceived("nobody", "x" * 100_000))
        for _ in range(2 + world.config.outbox_bytes // frame.size):
            connection.send(frame)


# The gateway, or somebody else, ends it.


def _end(world: World, client: Client, end_reason: EndReason) -> None:
    if (connection := world.connection(client.name)) is not None:
        connection.end(end_reason)


@_way("cancelled", "draining", code=1001)
def cancelled(world: World, client: Client) -> None:
    if (scope := world.serving.get(client.name)) is not None:
        scope.cancel()


@_way("removed by a moderator", "removed", code=4403)
def removed(world: World, client: Client) -> None:
    _end(world, client, end_reasons.REMOVED)


@_way("drained", "draining", code=1001)
def drained(world: World, client: Client) -> None:
    _end(world, client, end_reasons.DRAINING)


@_way("replaced by the same user", "replaced", code=4409)
def replaced(world: World, client: Client) -> None:
    async def replace(_: Client) -> None:
        newer = world.client(f"{client.name}+", user=client.user)
        await newer.connect()
        await newer.join(client.stays[-1].channel if client.stays else "lobby")

    _start(client, replace)


@_way("a handler that raises", "failed", code=4500)
def hit_a_bug(world: World, client: Client) -> None:
    world.broken_for.add(client.name)

    async def ping(client: Client) -> None:
        await client.request("ping")

    _start(client, ping)


@_way("a bug in what others tell it", "failed", code=4500)
def hit_by_a_bug(world: World, client: Client) -> None:
    if (connection := world.connection(client.name)) is not None:
        connection.fail(RuntimeError("made to fail"))


# Its media goes, and it stays.


@_way("STUN that stops", ends=False)
def lost_media(world: World, client: Client) -> None:
    client.cut_media()


@_way("a DTLS alert", ends=False)
def alerted(world: World, client: Client) -> None:
    client.say_media_goodbye()


#: Those after which the client is off the list.
DEADLY: Final = {name: way for name, way in WAYS.items() if way.reasons}

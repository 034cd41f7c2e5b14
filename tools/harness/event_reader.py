"""A program that reads server-sent events, whose connection breaks again and again."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import trio
from attrs import define, field

from gateway.http.presence import PATH
from tools.harness.history import History, Message
from tools.harness.streams import MemoryStream, memory_stream_pair

if TYPE_CHECKING:
    from gateway.server import Server

#: How many events each connection carries before it breaks.  The last number is repeated.
_EVENTS: Final = (2, 9, 20)
#: Virtual seconds until the program comes back.
_PAUSES: Final = (0.0, 0.2, 1.5)
# An id of no journal at all.  The gateway then tells the program to forget everything.
_UNKNOWN_ID: Final = "1-1"


class _Ended(Exception):
    """The gateway has ended the stream."""


@define(eq=False)
class EventReader:
    """Reads all changes of all channels over HTTP, in memory.

    After some events it breaks its connection, and what is under way is lost.  Then it comes back with its last id.
    With ``loses_place`` every second return has an id that the gateway does not know.  Once ``is_steady``, it breaks no
    connection any more.
    """

    server: Server
    history: History
    loses_place: bool
    is_steady: bool = False
    _last: str = ""
    _left: int = 0
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    _ended: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        """Read until :meth:`stop`."""
        with self._scope:
            for turn, events in enumerate(_last_repeated(_EVENTS)):
                if self.loses_place and turn % 2:
                    self._last = _UNKNOWN_ID
                self._left = events
                await self._read_stream()
                await trio.sleep(_PAUSES[turn % len(_PAUSES)])
        self._ended.set()

    async def stop(self) -> None:
        """Stop, and wait until nothing is left at the gateway."""
        self._scope.cancel()
        await self._ended.wait()

    async def _read_stream(self) -> None:
        """Read one stream to its end, and wait until the gateway has ended it, too."""
        ours, theirs = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.server.serve_stream, theirs, "127.0.0.1", name="serve a reader of events")
            try:
                await ours.send_all(self._request())
                await self._read_events(ours)
            except (_Ended, trio.BrokenResourceError):
                pass
            finally:
                ours.close()

    def _request(self) -> bytes:
        config = self.server.config
        lines = [f"GET {PATH}?prefix= HTTP/1.1", "Host: 127.0.0.1"]
        if (token := config.admin_token or config.join_token) is not None:
            lines.append(f"Authorization: Bearer {token}")
        if self._last:
            lines.append(f"Last-Event-ID: {self._last}")
        return "\r\n".join([*lines, "", ""]).encode()

    async def _read_events(self, stream: MemoryStream) -> None:
        response = _Response(stream)
        if not await response.is_ok():
            self.history.complain("the gateway refused the stream")
            return
        fields: dict[str, str] = {}
        while self._left or self.is_steady:
            name, _, value = (await response.line()).partition(": ")
            if name:
                fields[name] = value
                continue
            if "data" in fields:
                self._take(fields)
                self._left = max(0, self._left - 1)
            fields = {}

    def _take(self, fields: dict[str, str]) -> None:
        text = fields["data"]
        data = json.loads(text)
        kind = fields.get("event") or ("snapshot" if data.get("snapshot") else data["type"])
        position = (data.get("epoch", 0), data.get("revision", 0))
        self._last = fields.get("id", self._last)
        journal = self.server.gateway.journal
        channel = data.get("channelId", "")
        self.history.take(
            Message(fields.get("id", ""), kind, channel, position, text, journal.committed, journal.number)
        )


@define(eq=False)
class _Response:
    """A response whose body comes in chunks (RFC 9112 section 7.1).  Raises :exc:`_Ended`."""

    stream: MemoryStream
    _received: bytes = b""
    _body: bytes = b""
    _lines: deque[bytes] = field(factory=deque)

    async def is_ok(self) -> bool:
        """Whether its status says that a body follows."""
        return (await self._up_to(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")

    async def line(self) -> str:
        """The next line of the body."""
        while not self._lines:
            size = int(await self._up_to(b"\r\n"), 16)
            while len(self._received) < size + 2:
                await self._receive()
            if not size:
                raise _Ended
            *lines, self._body = (self._body + self._received[:size]).split(b"\n")
            self._lines.extend(lines)
            self._received = self._received[size + 2 :]
        return self._lines.popleft().decode()

    async def _up_to(self, end: bytes) -> bytes:
        while end not in self._received:
            await self._receive()
        found, _, self._received = self._received.partition(end)
        return found

    async def _receive(self) -> None:
        if not (data := await self.stream.receive_some()):
            raise _Ended
        self._received += data


def _last_repeated(numbers: tuple[int, ...]) -> Iterator[int]:
    return itertools.chain(numbers, itertools.repeat(numbers[-1]))

"""A client of a gateway in memory: signalling on a WebSocket, media on the network, and a transcript of all it saw.

It speaks the protocol's JSON by itself, through no class of ours, so that it sees what is really sent.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import trio
import trio_websocket
from attrs import define, field, frozen

from protocol.limits import PATH, SUBPROTOCOL
from tools.harness.endpoint import Endpoint
from tools.harness.offers import CAPABILITIES, media_parameters
from tools.harness.streams import MemoryStream

if TYPE_CHECKING:
    from tools.harness.world import World

Frame = dict[str, Any]
Direction = Literal["send", "receive"]
Kind = Literal["audio", "video"]

#: Virtual seconds that a client waits for an answer; far beyond all bounds of the gateway.
PATIENCE = 60.0

# Requests after which a stream may have gaps.
_INTERRUPTS = frozenset({"pause", "resume", "close", "set_layers"})
# What a connection raises that is over.
_OVER = (trio_websocket.ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError)


class Gone(Exception):
    """The client's connection is over: ``client`` is its name, ``code`` the close code, None where it just broke."""

    def __init__(self, client: str, code: int | None = None) -> None:
        super().__init__(client, code)
        self.client = client
        self.code = code


class Refused(AssertionError):
    """A request was answered with an error."""

    def __init__(self, client: str, kind: str, error: Frame) -> None:
        super().__init__(f"{client}: {kind} was refused: {error}")
        self.code = error["code"]


@frozen
class Heard:
    """A frame that came: its place in the order of everything, and when."""

    order: int
    at: float
    frame: Frame


@define
class Stay:
    """One stay in a channel, as the client knows it: from the answer to ``join`` on."""

    channel: str
    user: str
    joined: Heard
    left: Heard | None = None

    @property
    def revision(self) -> int:
        """The list's when it joined."""
        return int(self.joined.frame["data"]["revision"])


@define(eq=False)
class Client:
    """One connection.  ``name`` is how the run speaks of it; ``user`` is the user id it joins with.

    ``transcript`` is every frame that came, ``stays`` the channels that it was in.  ``close_code`` is set with
    ``over``.  ``consumed`` says by SSRC whose stream comes there.
    """

    world: World
    name: str
    user: str
    stream: MemoryStream
    tasks: trio.Nursery
    transcript: list[Heard] = field(factory=list)
    stays: list[Stay] = field(factory=list)
    close_code: int | None = None
    over: trio.Event = field(factory=trio.Event)
    endpoints: dict[Direction, Endpoint] = field(factory=dict)
    consumed: dict[int, Frame] = field(factory=dict)
    producers: dict[str, int] = field(factory=dict)
    transports: dict[Direction, str] = field(factory=dict)
    _websocket: trio_websocket.WebSocketConnection | None = None
    _ids: itertools.count[int] = field(factory=lambda: itertools.count(1))
    _asked: dict[int, str] = field(factory=dict)
    _came: trio.Event = field(factory=trio.Event)

    # The connection.

    async def connect(self) -> None:
        """The WebSocket's handshake.  Raises :exc:`Gone` where there is none."""
        wrap: Any = trio_websocket.wrap_client_stream  # its annotations know sockets only
        with trio.move_on_after(PATIENCE):  # it waits for ever for an answer that does not come
            try:
                self._websocket = await wrap(self.tasks, self.stream, "gateway", PATH, subprotocols=[SUBPROTOCOL])
            except (*_OVER, trio_websocket.HandshakeError):
                self._end(None)
        if self._websocket is None:
            self._end(None)
            raise Gone(self.name)
        self.tasks.start_soon(self._read, self._websocket, name=f"{self.name} reads")

    @property
    def websocket(self) -> trio_websocket.WebSocketConnection:
        if self._websocket is None:
            raise Gone(self.name)
        return self._websocket

    async def _read(self, websocket: trio_websocket.WebSocketConnection) -> None:
        try:
            while True:
                self._hear(json.loads(await websocket.get_message()))
        except trio_websocket.ConnectionClosed as closed:
            self._end(closed.reason.code if closed.reason else None)

    def _hear(self, frame: Frame) -> None:
        heard = Heard(self.world.trace.next(), trio.current_time(), frame)
        self.transcript.append(heard)
        kind = self._asked.get(frame.get("id", -1))
        if frame["type"] == "ok" and kind == "join":
            self.stays.append(Stay(frame["data"]["channelId"], frame["data"]["userId"], heard))
        elif frame["type"] == "ok" and kind == "leave":
            self.stays[-1].left = heard
            self._forget_media()
        elif frame["type"] == "ok" and kind == "consume":
            self.consumed[frame["data"]["rtpParameters"]["encodings"][0]["ssrc"]] = frame["data"]
        elif frame["type"] == "transport_state" and frame["data"]["state"] == "closed":
            self._lose_transport(frame["data"]["transportId"])
        self._notice()

    def _end(self, code: int | None) -> None:
        self.close_code = code
        self.over.set()
        self._forget_media()
        self._notice()

    def _forget_media(self) -> None:
        """The session is over, and its transports with it."""
        self.transports.clear()
        for endpoint in self.endpoints.values():
            endpoint.close()
        self.endpoints.clear()
        self.producers.clear()

    def _lose_transport(self, transport_id: str) -> None:
        for direction, known in list(self.transports.items()):
            if known == transport_id:
                del self.transports[direction]
                self.endpoints.pop(direction).close()

    def cut_media(self) -> None:
        """Its media's network is gone."""
        self.world.interrupted.update(self.producers)
        for endpoint in self.endpoints.values():
            endpoint.link.cut = True

    def say_media_goodbye(self) -> None:
        """It ends its DTLS associations by itself (an alert, RFC 5246 section 7.2.1)."""
        self.world.interrupted.update(self.producers)
        for endpoint in self.endpoints.values():
            endpoint.transport.close()
            endpoint.flush()
            endpoint.quiet = True

    def _notice(self) -> None:
        self._came.set()
        self._came = trio.Event()

    # Asking.

    async def send_text(self, text: str | bytes) -> None:
        """One frame, as it is.  Raises :exc:`Gone`."""
        try:
            await self.websocket.send_message(text)
        except _OVER:
            raise Gone(self.name, self.close_code) from None

    async def request(self, kind: str, /, **data: Any) -> int:
        """Send a request and do not wait for its answer; returns its id."""
        number = next(self._ids)
        self._asked[number] = kind
        if kind in _INTERRUPTS:
            self._interrupt(data)
        await self.send_text(json.dumps({"id": number, "type": kind, "data": data}))
        return number

    def _interrupt(self, data: Frame) -> None:
        consumed = [one["producerId"] for one in self.consumed.values() if one["consumerId"] == data.get("consumerId")]
        self.world.interrupted.update(consumed or [str(data.get("producerId"))])

    async def answer(self, number: int) -> Frame:
        """The answer to the request with this id."""
        return await self.until(lambda frame: frame.get("id") == number)

    async def ask(self, kind: str, /, **data: Any) -> Any:
        """Send a request, which must succeed; the data of its ``ok``.  Raises :exc:`Refused` and :exc:`Gone`."""
        answer = await self.answer(await self.request(kind, **data))
        if answer["type"] != "ok":
            raise Refused(self.name, kind, answer["data"])
        return answer["data"]

    async def until(self, wanted: Callable[[Frame], bool], *, given: Callable[[], bool] = lambda: True) -> Frame:
        """The first frame of the whole transcript, now or later, that is wanted.  It can come only where ``given``.

        Raises :exc:`Gone`, and ``trio.TooSlowError`` after :data:`PATIENCE` where the client was not made to be silent.
        """
        looked = 0
        with trio.move_on_after(PATIENCE):
            while True:
                for heard in self.transcript[looked:]:
                    if wanted(heard.frame):
                        return heard.frame
                looked = len(self.transcript)
                if self.over.is_set() or not given():
                    raise Gone(self.name, self.close_code)
                await self._came.wait()
        if self.name in self.world.dead:
            raise Gone(self.name)
        raise trio.TooSlowError(f"{self.name} waits in vain")

    async def event(self, kind: str, /, **about: Any) -> Any:
        """The data of the first such event whose data has these values."""
        frame = await self.until(
            lambda frame: frame["type"] == kind and about.items() <= frame["data"].items() and "id" not in frame
        )
        return frame["data"]

    # What a client does.

    async def join(self, channel: str = "lobby", **data: Any) -> Any:
        """Join with :attr:`user` as user id and name."""
        return await self.ask("join", **{"channelId": channel, "username": self.user, "userId": self.user, **data})

    async def leave(self) -> None:
        await self.ask("leave")

    async def close(self, code: int = 1000) -> None:
        """Close the WebSocket in an orderly way."""
        self.world.excuse(self.name)
        with trio.move_on_after(PATIENCE), suppress(Gone, *_OVER):
            await self.websocket.aclose(code)

    async def transport(self, direction: Direction, *, wait: bool = True) -> str:
        """The id of the transport of this direction; made and connected when there is none."""
        if direction not in self.transports:
            asked = {"rtpCapabilities": CAPABILITIES} if direction == "receive" else {}
            created = await self.ask("create_transport", direction=direction, **asked)
            if self.over.is_set():  # the answer and the end came at once: nobody would take this endpoint away
                raise Gone(self.name)
            made = self.endpoints[direction] = self.world.endpoint(self, created)
            self.transports[direction] = created["transportId"]
            await self.ask("connect_transport", transportId=created["transportId"], dtlsParameters=made.dtls_parameters)
            self.tasks.start_soon(made.run, name=f"{self.name} {direction}s")
        transport_id, endpoint = self.transports.get(direction), self.endpoints.get(direction)
        if transport_id is None or endpoint is None:  # gone while it was made
            raise Gone(self.name)
        if wait:
            up = {"type": "transport_state", "data": {"transportId": transport_id, "state": "connected"}}
            await self.until(lambda frame: frame == up, given=lambda: transport_id in self.transports.values())
            with trio.fail_after(PATIENCE):
                await endpoint.settled.wait()
        return transport_id

    async def publish(self, kind: Kind = "audio", *, speak: bool = True, **data: Any) -> str:
        """Announce a stream, and begin to send it; its producer's id."""
        transport_id = await self.transport("send", wait=speak)
        ssrc = self.world.new_ssrc()
        parameters = media_parameters(kind, ssrc)
        source = "microphone" if kind == "audio" else "camera"
        produced = await self.ask(
            "produce",
            **{"transportId": transport_id, "kind": kind, "rtpParameters": parameters, "source": source, **data},
        )
        producer_id = str(produced["producerId"])
        self.producers[producer_id] = ssrc
        if speak and "send" in self.endpoints:
            self.tasks.start_soon(self.endpoints["send"].speak, kind, ssrc, producer_id, name=f"{self.name} speaks")
        return producer_id

    async def subscribe(self, producer_id: str, *, paused: bool = False) -> str:
        """Take somebody's stream; the consumer's id."""
        transport_id = await self.transport("receive", wait=False)
        asked = {"transportId": transport_id, "producerId": producer_id, "paused": paused}
        return str((await self.ask("consume", **asked))["consumerId"])

    @property
    def present(self) -> Stay | None:
        """The stay that goes on, as far as this client knows."""
        here = self.stays[-1] if self.stays and not self.over.is_set() else None
        return here if here is not None and here.left is None else None

"""A client of a gateway in memory.  It has signalling on a WebSocket, media on the network, and a transcript.

It reads and writes the protocol's JSON without the gateway's classes, so that it sees the bytes as they are.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import trio
import trio_websocket
from attrs import define, field

from protocol.limits import PATH, SUBPROTOCOL
from tools.harness.endpoint import Endpoint
from tools.harness.offers import CAPABILITIES, media_parameters
from tools.harness.steps import SOCKET_MARK
from tools.harness.streams import MemoryStream
from tools.harness.transcript import Gone, Json, ReceivedFrame, Refused, Stay

if TYPE_CHECKING:
    from tools.harness.world import World

Direction = Literal["send", "receive"]
MediaKind = Literal["audio", "video"]

#: Virtual seconds that a client waits for an answer, which is much longer than all limits of the gateway.
PATIENCE = 60.0

# After these requests a stream may have gaps.
_INTERRUPTS = frozenset({"pause", "resume", "close", "set_layers"})
# The exceptions of a connection that is over.
_CLOSED = (trio_websocket.ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError)


def secret_of(user: str) -> str:
    """The session secret of a user in a test."""
    return hashlib.sha256(user.encode()).hexdigest()


@define(eq=False)
class HarnessClient:
    """One connection of a user.

    ``name`` identifies it in traces and messages.  ``user`` is the user id that it joins with.  ``transcript`` has
    every received frame, and ``stays`` the stays in channels.  ``over`` is set at the end of the connection, together
    with ``close_code``.  ``consumed`` has the answer to ``consume`` by SSRC, and ``producers`` the SSRC by producer id.

    ``session`` has the fields that resume its session.  ``last_event`` and ``last_answer`` are the newest that it has.
    ``sockets`` counts the sockets.
    """

    world: World
    name: str
    user: str
    stream: MemoryStream
    tasks: trio.Nursery
    transcript: list[ReceivedFrame] = field(factory=list)
    stays: list[Stay] = field(factory=list)
    close_code: int | None = None
    over: trio.Event = field(factory=trio.Event)
    endpoints: dict[Direction, Endpoint] = field(factory=dict)
    consumed: dict[int, Json] = field(factory=dict)
    producers: dict[str, int] = field(factory=dict)
    transports: dict[Direction, str] = field(factory=dict)
    session: Json = field(factory=dict)
    last_event: int = 0
    last_answer: int = 0
    sockets: int = 1
    is_resuming: bool = False
    # The close codes of old sockets that ended during `resume`.
    _old_codes: list[int | None] = field(factory=list)
    _websocket: trio_websocket.WebSocketConnection | None = None
    _ids: itertools.count[int] = field(factory=lambda: itertools.count(1))
    _request_types: dict[int, str] = field(factory=dict)
    _unanswered: dict[int, str] = field(factory=dict)
    _changed: trio.Event = field(factory=trio.Event)

    # The connection.

    async def connect(self) -> None:
        """Do the WebSocket handshake.  Raises :exc:`Gone` if it fails or takes too long."""
        self._websocket = await self._open(self.stream)
        if self._websocket is None:
            self._end(None)
            raise Gone(self.name)
        self.tasks.start_soon(self._read, self._websocket, name=f"{self.name} reads")

    async def _open(self, stream: MemoryStream) -> trio_websocket.WebSocketConnection | None:
        wrap: Any = trio_websocket.wrap_client_stream  # trio-websocket's annotations allow only sockets
        with trio.move_on_after(PATIENCE), suppress(*_CLOSED, trio_websocket.HandshakeError):
            websocket: trio_websocket.WebSocketConnection = await wrap(
                self.tasks, stream, "localhost", PATH, subprotocols=[SUBPROTOCOL]
            )
            return websocket
        return None  # the handshake has no timeout of its own

    async def resume(self) -> bool:
        """Go on with the session over a new socket, as ``resume_session`` does it.  Return whether the gateway agreed.

        The old socket stays as it is until the answer.  The gateway's task of the new one is named ``ada~2`` for the
        client ``ada``.
        """
        self.sockets += 1
        self.is_resuming = True
        try:
            resumed = await self._resume(self.world.new_stream(f"{self.name}{SOCKET_MARK}{self.sockets}"))
        finally:
            self.is_resuming = False
        if self._old_codes and not resumed:  # the old socket has ended meanwhile, and with it the session
            self._end(self._old_codes[0])
        return resumed

    def give_up(self) -> None:
        """Close its socket without a close frame, because its network may be dead."""
        if not self.over.is_set():
            self.world.expect_end(self.name)
            self.stream.close()
            self._end(None)

    async def _resume(self, stream: MemoryStream) -> bool:
        websocket = await self._open(stream)
        if websocket is None:
            return False
        number = next(self._ids)
        self._request_types[number] = "resume_session"
        data = {**self.session, "lastEvent": self.last_event, "lastAnswer": self.last_answer}
        with suppress(*_CLOSED):
            await websocket.send_message(json.dumps({"id": number, "type": "resume_session", "data": data}))
        return await self._follow(websocket, stream, number)

    async def _follow(self, websocket: trio_websocket.WebSocketConnection, stream: MemoryStream, number: int) -> bool:
        """Read the answer to ``resume_session``, and use the new socket if the gateway agreed."""
        try:
            with trio.fail_after(PATIENCE):
                frame = json.loads(await websocket.get_message())
        except (*_CLOSED, trio.TooSlowError):
            return False
        if frame["type"] != "ok":
            await websocket.aclose()
            return False
        old, self._websocket, self.stream = self.stream, websocket, stream
        old.close()  # The end of the old socket must not count.
        # Requests that the gateway has not received were lost with the old socket.
        again = [text for request, text in self._unanswered.items() if request > frame["data"]["lastRequest"]]
        self.tasks.start_soon(self._read, websocket, name=f"{self.name} reads")
        for text in again:
            await self.send_text(text)
        return True

    @property
    def websocket(self) -> trio_websocket.WebSocketConnection:
        if self._websocket is None:
            raise Gone(self.name)
        return self._websocket

    async def _read(self, websocket: trio_websocket.WebSocketConnection) -> None:
        try:
            while True:
                self._receive(json.loads(await websocket.get_message()))
        except trio_websocket.ConnectionClosed as closed:
            code = closed.reason.code if closed.reason else None
            if self.is_resuming:
                self._old_codes.append(code)
            elif websocket is self._websocket:
                self._end(code)

    def _receive(self, frame: Json) -> None:
        sequence = frame.pop("seq", None)
        if not self._is_news(frame, sequence):
            return
        received = ReceivedFrame(self.world.trace.next(), trio.current_time(), frame, sequence)
        self.transcript.append(received)
        kind = self._request_types.get(frame.get("id", -1))
        if frame["type"] == "ok" and kind == "join":
            self.stays.append(Stay(frame["data"]["channelId"], frame["data"]["userId"], received))
        elif frame["type"] == "ok" and kind == "move":
            self._move(received)
        elif frame["type"] == "ok" and kind == "leave":
            self.stays[-1].left = received
            self._forget_media()
        elif frame["type"] == "ok" and kind == "consume":
            self.consumed[frame["data"]["rtpParameters"]["encodings"][0]["ssrc"]] = frame["data"]
        elif frame["type"] == "transport_state" and frame["data"]["state"] == "closed":
            self._lose_transport(frame["data"]["transportId"])
        self._notify()

    def _move(self, received: ReceivedFrame) -> None:
        data = received.frame["data"]
        self.stays[-1].left = received
        self.stays.append(Stay(data["channelId"], data["userId"], received, events=self.last_event))
        if not data["mediaKept"]:
            self._forget_media()

    def _is_news(self, frame: Json, sequence: int | None) -> bool:
        """Whether a frame came for the first time.  While two sockets overlap, it may come on both."""
        if sequence is not None:
            # Events before `closing` may be dropped.  The judge looks for gaps.
            is_new = sequence > self.last_event
            self.last_event = max(self.last_event, sequence)
            return is_new
        number = frame.get("id")
        if number is None:
            return True
        self.last_answer = max(self.last_answer, number)
        if self._request_types.get(number) == "join" and frame["type"] == "ok":
            self.session = {name: frame["data"][name] for name in ("sessionId", "sessionSecret")}
            self.last_event = 0
        return self._unanswered.pop(number, None) is not None

    def _end(self, code: int | None) -> None:
        self.close_code = code
        self.over.set()
        self._forget_media()
        self._notify()

    def _forget_media(self) -> None:
        """Forget all media, because the session has ended."""
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
        """Cut the network for its media."""
        self.world.interrupted.update(self.producers)
        for endpoint in self.endpoints.values():
            endpoint.link.cut = True

    def close_dtls(self) -> None:
        """Close its DTLS associations with a close_notify alert (RFC 5246, section 7.2.1)."""
        self.world.interrupted.update(self.producers)
        for endpoint in self.endpoints.values():
            endpoint.transport.close()
            endpoint.flush()
            endpoint.quiet = True

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # Requests and events.

    async def send_text(self, text: str | bytes) -> None:
        """Send one frame as it is.  Raises :exc:`Gone`."""
        try:
            await self.websocket.send_message(text)
        except _CLOSED:
            raise Gone(self.name, self.close_code) from None

    async def request(self, kind: str, /, **data: Any) -> int:
        """Send a request without waiting for its answer, and return its id.  Raises :exc:`Gone`."""
        number = next(self._ids)
        self._request_types[number] = kind
        if kind in _INTERRUPTS:
            self._interrupt(data)
        text = self._unanswered[number] = json.dumps({"id": number, "type": kind, "data": data})
        await self.send_text(text)
        return number

    def _interrupt(self, data: Json) -> None:
        consumed = [one["producerId"] for one in self.consumed.values() if one["consumerId"] == data.get("consumerId")]
        self.world.interrupted.update(consumed or [str(data.get("producerId"))])

    async def answer(self, number: int) -> Json:
        """Wait for the answer to the request with this id.  Raises the same exceptions as :meth:`until`."""
        return await self.until(lambda frame: frame.get("id") == number)

    async def ask(self, kind: str, /, **data: Any) -> Any:
        """Send a request, and return the data of its ``ok``.

        Raises :exc:`Refused` if the answer is an error, and as :meth:`until`.
        """
        answer = await self.answer(await self.request(kind, **data))
        if answer["type"] != "ok":
            raise Refused(self.name, kind, answer["data"])
        return answer["data"]

    async def until(self, wanted: Callable[[Json], bool], *, possible: Callable[[], bool] = lambda: True) -> Json:
        """Wait for the first frame in the transcript for which ``wanted`` is true.

        Raises :exc:`Gone` if the connection is over, or if ``possible`` becomes false.  Raises ``trio.TooSlowError``
        after :data:`PATIENCE` seconds, or :exc:`Gone` if the client was made to die.
        """
        looked = 0
        with trio.move_on_after(PATIENCE):
            while True:
                for received in self.transcript[looked:]:
                    if wanted(received.frame):
                        return received.frame
                looked = len(self.transcript)
                if self.over.is_set() or not possible():
                    raise Gone(self.name, self.close_code)
                await self._changed.wait()
        if self.name in self.world.must_end:
            raise Gone(self.name)
        raise trio.TooSlowError(f"{self.name} waited in vain for a frame that the test needs")

    async def event(self, kind: str, /, **about: Any) -> Any:
        """Wait for the first event of this type whose data has these values, and return its data."""
        frame = await self.until(
            lambda frame: frame["type"] == kind and about.items() <= frame["data"].items() and "id" not in frame
        )
        return frame["data"]

    # Joining, leaving and media.

    async def join(self, channel: str = "lobby", **data: Any) -> Any:
        """Join a channel with :attr:`user` as user id and name, and return the data of the answer.

        All clients of a user have one secret, so that each may take the seat of the one before it.
        """
        own = {"username": self.user, "userId": self.user, "sessionSecret": secret_of(self.user)}
        return await self.ask("join", **{"channelId": channel, **own, **data})

    async def move(self, channel: str) -> Any:
        """Go to another channel, and return the data of the answer."""
        return await self.ask("move", channelId=channel)

    def waits_for(self, kind: str) -> bool:
        """Whether the answer to a request of this type is missing."""
        return any(self._request_types[number] == kind for number in self._unanswered)

    async def leave(self) -> None:
        await self.ask("leave")

    async def close(self, code: int = 1000) -> None:
        """Close the WebSocket with a close frame."""
        self.world.expect_end(self.name, must=not self.is_resuming)
        with trio.move_on_after(PATIENCE), suppress(Gone, *_CLOSED):
            await self.websocket.aclose(code)

    async def transport(self, direction: Direction, *, wait: bool = True) -> str:
        """The id of the transport for this direction.  It is created and connected if there is none.

        ``wait`` waits until it is connected.  Raises :exc:`Gone` if it is lost before.
        """
        if direction not in self.transports:
            asked = {"rtpCapabilities": CAPABILITIES} if direction == "receive" else {}
            created = await self.ask("create_transport", direction=direction, **asked)
            if self.over.is_set():  # the session has ended, so nothing would close the endpoint
                raise Gone(self.name)
            made = self.endpoints[direction] = self.world.endpoint(self, created)
            self.transports[direction] = created["transportId"]
            await self.ask("connect_transport", transportId=created["transportId"], **made.parameters)
            self.tasks.start_soon(made.run, name=f"{self.name} {direction}s")
        transport_id, endpoint = self.transports.get(direction), self.endpoints.get(direction)
        if transport_id is None or endpoint is None:  # lost before it was connected
            raise Gone(self.name)
        if wait:
            up = {"type": "transport_state", "data": {"transportId": transport_id, "state": "connected"}}
            await self.until(lambda frame: frame == up, possible=lambda: transport_id in self.transports.values())
            with trio.fail_after(PATIENCE):
                await endpoint.settled.wait()
        return transport_id

    async def publish(self, kind: MediaKind = "audio", *, speak: bool = True, **data: Any) -> str:
        """Produce a stream, and return its producer id.  With ``speak`` start sending packets as well."""
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
        """Consume a stream, and return the consumer id."""
        transport_id = await self.transport("receive", wait=False)
        asked = {"transportId": transport_id, "producerId": producer_id, "paused": paused}
        return str((await self.ask("consume", **asked))["consumerId"])

    @property
    def current_stay(self) -> Stay | None:
        """The stay that has not ended, as far as this client knows."""
        here = self.stays[-1] if self.stays and not self.over.is_set() else None
        return here if here is not None and here.left is None else None

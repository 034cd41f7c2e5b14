"""Janus' VideoRoom as a contestant: every member is on the room's list and receives media through a second handle."""

from __future__ import annotations

import itertools
import json
import random
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import trio
from attrs import define, field

from protocol.media import DtlsFingerprint, DtlsParameters, IceParameters
from tools.bench import BenchError
from tools.bench.conference import Departures, Offered, StreamToPublish, new_departures, open_pool
from tools.bench.janus import sdp
from tools.bench.janus.process import ROOM, WEBSOCKET_PORT, running_janus
from tools.light import Identity, LightEndpoint, LightTransport, PacketMeter, run_endpoint
from tools.light.light_media import HANDSHAKE_SECONDS
from tools.light.sockets import open_socket
from tools.light.websocket import PooledWebSocket, WebSocketPool
from tools.servers import ServerProcess

PLUGIN: Final = "janus.plugin.videoroom"
#: Janus is ICE-lite, but begins DTLS only after an answer to a check of its own.  All members share one password.
CREDENTIALS: Final = IceParameters("bench", secrets.token_hex(16))
REQUEST_SECONDS: Final = 15.0
# Janus ends a session after 60 s of silence.
KEEPALIVE_SECONDS: Final = 20.0
UP_SECONDS: Final = 10.0
#: Port of the discard service (RFC 863), which nobody runs. A socket that is connected to it knows its own address.
_DISCARD: Final = 9

Message = dict[str, Any]


class JanusError(BenchError):
    """Janus refused a request, or closed the connection."""


@define(eq=False)
class JanusMember(PooledWebSocket):
    """A member of the room, after :meth:`join`: a session of Janus' WebSocket API.

    ``names`` has the display name of each feed, for all members. ``gone`` has events by these names.
    """

    path = "/"
    subprotocol = "janus-protocol"

    identity: Identity = field(kw_only=True)
    names: dict[int, str] = field(kw_only=True)
    tasks: trio.Nursery = field(kw_only=True)
    feedback: bool = field(kw_only=True, default=False)
    #: The id of the transport-wide numbers of published packets. None if they have none.
    wide_id: int | None = field(default=None, init=False)
    gone: Departures = field(factory=new_departures, init=False)
    _session: Message = field(factory=dict, init=False)
    _handle: int = field(default=0, init=False)
    _feed: int = field(default=0, init=False)
    _up: trio.Event = field(factory=trio.Event, init=False)
    _numbers: itertools.count[int] = field(factory=itertools.count, init=False)
    _answers: dict[str, Message] = field(factory=dict, init=False)
    _came: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    # The session.

    async def begin(self) -> None:
        """Begin a session, which needs keepalives."""
        self._session = {"session_id": (await self._request("create"))["data"]["id"]}
        self.tasks.start_soon(self._keep_alive)

    async def attach(self, plugin: str = PLUGIN) -> int:
        """Return the number of a new handle, an attachment to a plugin with at most one transport."""
        return int((await self._request("attach", plugin=plugin))["data"]["id"])

    async def ask(self, handle: int, body: Message, jsep: Message | None = None) -> Message:
        """Send a request to a plugin. Return the answer and its ``jsep``, which is None if there is none."""
        description = {} if jsep is None else {"jsep": jsep}
        event = await self._request("message", handle_id=handle, body=body, **description)
        data = event.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise JanusError(f"{body.get('request')}: {data['error']}")
        return {**data, "jsep": event.get("jsep")}

    async def _request(self, what: str, **message: object) -> Message:
        number = str(next(self._numbers))
        with trio.fail_after(REQUEST_SECONDS):
            await self.send_text(json.dumps({"janus": what, "transaction": number, **self._session, **message}))
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
            await self.send_text(json.dumps({"janus": "keepalive", "transaction": "", **self._session}))
            await trio.sleep(KEEPALIVE_SECONDS)

    def receive_text(self, payload: bytes, at: float) -> None:
        message = json.loads(payload)
        if message["janus"] == "ack":  # of a keepalive, or before a plugin's answer
            return
        if "transaction" in message:
            self._answers[message["transaction"]] = message
            self._came.unpark_all()
        elif message["janus"] == "webrtcup":
            self._up.set()
        elif (feed := message.get("plugindata", {}).get("data", {}).get("leaving")) is not None:
            self.gone[self.names.get(feed, "?")].set()

    def ended(self) -> None:
        self._came.unpark_all()

    # The room.

    async def join(self, name: str) -> None:
        await self.begin()
        self._handle = await self.attach()
        body = {"request": "join", "ptype": "publisher", "room": ROOM, "display": name}
        self._feed = (await self.ask(self._handle, body))["id"]
        self.names[self._feed] = name

    async def publish(self, streams: Sequence[StreamToPublish]) -> tuple[LightEndpoint, Offered]:
        sock, ours = self._open_socket()
        jsep = {"type": "offer", "sdp": sdp.offer(ours, streams, feedback=self.feedback)}
        answered = await self.ask(self._handle, {"request": "configure"}, jsep)
        accepted = sdp.parse(answered["jsep"]["sdp"])
        self.wide_id = accepted.wide_id
        endpoint = await self._connect(accepted, sock)
        # Other members can subscribe to the feed once Janus reports it.
        with trio.fail_after(UP_SECONDS):
            await self._up.wait()
        return endpoint, {"feed": self._feed}

    async def subscribe(self, offers: Sequence[Offered]) -> LightEndpoint:
        handle = await self.attach()
        body = {"request": "join", "ptype": "subscriber", "room": ROOM, "streams": offers}
        offered = sdp.parse((await self.ask(handle, body))["jsep"]["sdp"])
        sock, ours = self._open_socket()
        await self.ask(handle, {"request": "start"}, {"type": "answer", "sdp": sdp.answer(ours, offered)})
        endpoint = await self._connect(offered, sock)
        if self.feedback and offered.wide_id is not None:
            endpoint.report_arrivals(offered.wide_id)
        return endpoint

    def _open_socket(self) -> tuple[socket.socket, sdp.Description]:
        sock = open_socket((self.socket.getpeername()[0], _DISCARD))
        fingerprint = DtlsFingerprint("sha-256", self.identity.certificate.fingerprint.value)
        return sock, sdp.Description(CREDENTIALS, DtlsParameters((fingerprint,)), sock.getsockname())

    async def _connect(self, theirs: sdp.Description, sock: socket.socket) -> LightEndpoint:
        sock.connect(theirs.address)
        # Janus begins DTLS in both directions.  So the client chooses the SRTP profile, as our gateway does.
        transport = LightTransport(
            self.identity,
            theirs.ice,
            theirs.dtls,
            dtls_role="server",
            rng=random.Random(),
            password=CREDENTIALS.password,
            peer=theirs.address,
        )
        run = partial(run_endpoint, transport, theirs.address, sock=sock, packet_meter=PacketMeter())
        endpoint: LightEndpoint = await self.tasks.start(run)
        endpoint.start()
        await endpoint.connected(HANDSHAKE_SECONDS)
        return endpoint


@define
class JanusConference:
    """One room on Janus."""

    process: ServerProcess
    _pool: WebSocketPool
    _identity: Identity = field(factory=Identity.new)
    _names: dict[int, str] = field(factory=dict)

    async def enter(self, name: str, tasks: trio.Nursery, *, feedback: bool = False) -> JanusMember:
        kind = partial(JanusMember, identity=self._identity, names=self._names, tasks=tasks, feedback=feedback)
        member: JanusMember = await self._pool.open(kind)
        await member.join(name)
        return member


@asynccontextmanager
async def open_janus(host: str, prefix: Sequence[str]) -> AsyncIterator[JanusConference]:
    """Run a Janus that listens at ``host`` for as long as the block runs; ``prefix`` runs it there."""
    async with running_janus(host, prefix) as process, open_pool((host, WEBSOCKET_PORT)) as pool:
        yield JanusConference(process, pool)

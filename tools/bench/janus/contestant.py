"""Janus' VideoRoom as a contestant: every member is on the room's list and receives media through a second handle."""

from __future__ import annotations

import random
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio
from attrs import define, field

from protocol.media import DtlsFingerprint, DtlsParameters, IceParameters
from tools.bench.conference import Departures, Offered, StreamToPublish, new_departures, open_pool
from tools.bench.janus import sdp
from tools.bench.janus.api import JanusSession, Message
from tools.bench.janus.process import ROOM, WEBSOCKET_PORT, running_janus
from tools.light import Identity, LightEndpoint, LightTransport, PacketMeter, run_endpoint
from tools.light.endpoint import open_socket
from tools.light.light_media import HANDSHAKE_SECONDS
from tools.light.websocket import WebSocketPool
from tools.servers import ServerProcess

PLUGIN: Final = "janus.plugin.videoroom"
#: Janus is ICE-lite, but begins DTLS only after an answer to a check of its own.  All members share one password.
CREDENTIALS: Final = IceParameters("bench", secrets.token_hex(16))
UP_SECONDS: Final = 10.0
#: Port of the discard service (RFC 863), which nobody runs. A socket that is connected to it knows its own address.
_DISCARD: Final = 9


@define(eq=False)
class JanusMember(JanusSession):
    """A member of the room, after :meth:`join`. The keys of ``gone`` are display names of members with a known feed."""

    conference: JanusConference = field(kw_only=True)
    tasks: trio.Nursery = field(kw_only=True)
    gone: Departures = field(factory=new_departures, init=False)
    _up: trio.Event = field(factory=trio.Event, init=False)
    _handle: int = 0
    _feed: int = 0

    async def join(self, name: str) -> None:
        await self.create(self.tasks)
        self._handle = await self.attach(PLUGIN)
        body = {"request": "join", "ptype": "publisher", "room": ROOM, "display": name}
        self._feed = (await self.ask(self._handle, body))["id"]
        self.conference.names[self._feed] = name

    def receive_event(self, event: Message) -> None:
        if event["janus"] == "webrtcup":
            self._up.set()
        data = event.get("plugindata", {}).get("data", {})
        if "leaving" in data:
            self.gone[self.conference.names.get(data["leaving"], "?")].set()

    async def publish(self, streams: Sequence[StreamToPublish]) -> tuple[LightEndpoint, Offered]:
        sock, ours = self._open_socket()
        jsep = {"type": "offer", "sdp": sdp.offer(ours, streams)}
        answered = await self.ask(self._handle, {"request": "configure"}, jsep)
        endpoint = await self._connect(sdp.parse(answered["jsep"]["sdp"]), sock)
        # Other members can subscribe to the feed once Janus reports it.
        with trio.fail_after(UP_SECONDS):
            await self._up.wait()
        return endpoint, {"feed": self._feed}

    async def subscribe(self, offers: Sequence[Offered]) -> LightEndpoint:
        handle = await self.attach(PLUGIN)
        body = {"request": "join", "ptype": "subscriber", "room": ROOM, "streams": offers}
        offered = sdp.parse((await self.ask(handle, body))["jsep"]["sdp"])
        sock, ours = self._open_socket()
        jsep = {"type": "answer", "sdp": sdp.answer(ours, offered)}
        await self.ask(handle, {"request": "start"}, jsep)
        return await self._connect(offered, sock)

    def _open_socket(self) -> tuple[socket.socket, sdp.Description]:
        sock = open_socket((self.conference.pool.address[0], _DISCARD))
        fingerprint = DtlsFingerprint("sha-256", self.conference.identity.certificate.fingerprint.value)
        return sock, sdp.Description(CREDENTIALS, DtlsParameters((fingerprint,)), sock.getsockname())

    async def _connect(self, theirs: sdp.Description, sock: socket.socket) -> LightEndpoint:
        sock.connect(theirs.address)
        # Janus begins DTLS in both directions.  So the client chooses the SRTP profile, as our gateway does.
        transport = LightTransport(
            self.conference.identity,
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
    """One room on Janus. ``names`` has the display name of each feed."""

    process: ServerProcess
    pool: WebSocketPool
    identity: Identity = field(factory=Identity.new)
    names: dict[int, str] = field(factory=dict)

    async def enter(self, name: str, tasks: trio.Nursery) -> JanusMember:
        member = await self.pool.open(partial(JanusMember, conference=self, tasks=tasks))
        await member.join(name)
        return member


@asynccontextmanager
async def open_janus(host: str, prefix: Sequence[str]) -> AsyncIterator[JanusConference]:
    """Run a Janus that listens at ``host`` for as long as the block runs; ``prefix`` runs it there."""
    async with running_janus(host, prefix) as process, open_pool((host, WEBSOCKET_PORT)) as pool:
        yield JanusConference(process, pool)

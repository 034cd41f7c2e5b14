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

from tools.bench.beside.conference import Departures, Offered, StreamToPublish, running_pool
from tools.bench.janus import sdp
from tools.bench.janus.api import JanusSession, Message, open_session
from tools.bench.janus.process import ROOM, JanusProcess, running_janus
from tools.light import Identity, LightEndpoint, LightTransport, PacketMeter, run_endpoint
from tools.light.endpoint import open_socket
from tools.light.light_media import HANDSHAKE_SECONDS
from tools.light.websocket import WebSocketPool

PLUGIN: Final = "janus.plugin.videoroom"
#: Janus is ICE-lite, but begins DTLS only after an answer to a check of its own.  All members share one password.
PASSWORD: Final = secrets.token_hex(16)
UFRAG: Final = "bench"
UP_SECONDS: Final = 10.0
#: Port of the discard service (RFC 863), which nobody runs. A socket that is connected to it knows its own address.
_DISCARD: Final = 9


@define
class JanusMember:
    """A member of the room. The keys of ``gone`` are the display names of members whose feed is known."""

    gone: Departures
    _session: JanusSession
    _handle: int
    _identity: Identity
    _tasks: trio.Nursery
    _id: int
    _host: str
    _up: trio.Event

    async def publish(self, streams: Sequence[StreamToPublish]) -> tuple[LightEndpoint, Offered]:
        sock = open_socket((self._host, _DISCARD))
        offered = sdp.offer(self._credentials(sock), streams)
        answered = await self._session.ask(self._handle, {"request": "configure"}, {"type": "offer", "sdp": offered})
        endpoint = await self._connect(sdp.parse(answered["jsep"]["sdp"]), sock)
        # Other members can subscribe to the feed once Janus reports it.
        with trio.fail_after(UP_SECONDS):
            await self._up.wait()
        return endpoint, self._id

    async def subscribe(self, offers: Sequence[Offered]) -> LightEndpoint:
        handle = await self._session.attach(PLUGIN)
        feeds = [{"feed": offer} for offer in offers]
        offered = await self._session.ask(
            handle, {"request": "join", "ptype": "subscriber", "room": ROOM, "streams": feeds}
        )
        description = sdp.parse(offered["jsep"]["sdp"])
        sock = open_socket((self._host, _DISCARD))
        text = sdp.answer(self._credentials(sock), description)
        await self._session.ask(handle, {"request": "start"}, {"type": "answer", "sdp": text})
        return await self._connect(description, sock)

    def _credentials(self, sock: socket.socket) -> sdp.LocalCredentials:
        return sdp.LocalCredentials(UFRAG, PASSWORD, self._identity.certificate.fingerprint.value, sock.getsockname())

    async def _connect(self, description: sdp.Description, sock: socket.socket) -> LightEndpoint:
        sock.connect(description.address)
        # Janus begins DTLS in both directions.  So the client chooses the SRTP profile, as our gateway does.
        transport = LightTransport(
            self._identity,
            description.ice,
            description.dtls,
            dtls_role="server",
            rng=random.Random(),
            password=PASSWORD,
            peer=description.address,
        )
        run = partial(run_endpoint, transport, description.address, sock=sock, packet_meter=PacketMeter())
        endpoint: LightEndpoint = await self._tasks.start(run)
        endpoint.start()
        await endpoint.connected(HANDSHAKE_SECONDS)
        return endpoint

    def hang_up(self) -> None:
        self._session.hang_up()


@define
class JanusConference:
    """One room on Janus."""

    process: JanusProcess
    _pool: WebSocketPool
    _identity: Identity
    _names: dict[int, str] = field(factory=dict)

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[JanusMember]:
        gone, up = Departures(trio.Event), trio.Event()

        def on_event(event: Message) -> None:
            if event["janus"] == "webrtcup":
                up.set()
            data = event.get("plugindata", {}).get("data", {})
            if "leaving" in data:
                gone[self._names.get(data["leaving"], "?")].set()

        async with open_session(self._pool, on_event) as session, trio.open_nursery() as tasks:
            handle = await session.attach(PLUGIN)
            joined = await session.ask(handle, {"request": "join", "ptype": "publisher", "room": ROOM, "display": name})
            self._names[joined["id"]] = name
            host = self.process.address[0]
            yield JanusMember(gone, session, handle, self._identity, tasks, joined["id"], host, up)
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def open_janus(host: str, prefix: Sequence[str], identity: Identity) -> AsyncIterator[JanusConference]:
    """Run a Janus that listens at ``host`` for as long as the block runs; ``prefix`` runs it there."""
    async with running_janus(host, prefix) as process, running_pool(WebSocketPool(process.address)) as pool:
        yield JanusConference(process, pool, identity)

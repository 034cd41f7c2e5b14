"""Janus' VideoRoom, as the bench sees it: everybody is on the room's list, and who receives has a second handle."""

from __future__ import annotations

import random
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from tools.bench.beside.conference import Gone, Publication, Stream
from tools.bench.beside.legs import Leg, open_leg, open_socket
from tools.bench.janus import sdp
from tools.bench.janus.api import Handle, Message, Session, open_session
from tools.bench.janus.process import ROOM, JanusProcess, running_janus
from tools.bench.websocket import Sockets
from tools.light import Identity, LightTransport

PLUGIN = "janus.plugin.videoroom"
#: Though ICE-lite, Janus begins with DTLS only when a check of its own was answered.  One password is enough for all.
PASSWORD = secrets.token_hex(16)
UFRAG = "bench"
UP_SECONDS = 10.0


@define
class JanusMember:
    """Somebody in the room; ``gone`` has display names of those whose feed is known."""

    _session: Session
    _handle: Handle
    _identity: Identity
    _id: int
    _host: str
    _up: trio.Event
    gone: Gone

    async def publish(self, streams: Sequence[Stream]) -> tuple[Leg, Publication]:
        sock = open_socket(self._host)
        sections = [sdp.Stream(stream.kind, stream.ssrc) for stream in streams]
        offered = sdp.offer(self._credentials(sock), sections)
        answered = await self._handle.ask({"request": "configure"}, {"type": "offer", "sdp": offered})
        leg = self._leg(sdp.parse(answered["jsep"]["sdp"]), sock)
        await leg.connect()
        # Until Janus says so itself, there is no such feed.
        with trio.fail_after(UP_SECONDS):
            await self._up.wait()
        return leg, Publication(self._id)

    async def subscribe(self, publications: Sequence[Publication]) -> Leg:
        handle = await self._session.attach(PLUGIN)
        feeds = [{"feed": publication.reference} for publication in publications]
        offered = await handle.ask({"request": "join", "ptype": "subscriber", "room": ROOM, "streams": feeds})
        description = sdp.parse(offered["jsep"]["sdp"])
        sock = open_socket(self._host)
        text = sdp.answer(self._credentials(sock), description)
        await handle.ask({"request": "start"}, {"type": "answer", "sdp": text})
        leg = self._leg(description, sock)
        await leg.connect()
        return leg

    def _credentials(self, sock: socket.socket) -> sdp.Credentials:
        return sdp.Credentials(UFRAG, PASSWORD, self._identity.certificate.fingerprint.value, sock.getsockname())

    def _leg(self, description: sdp.Description, sock: socket.socket) -> Leg:
        # It is Janus that begins with DTLS, in either direction: then we choose the SRTP profile, as our gateway does.
        transport = LightTransport(
            self._identity, description.ice, description.dtls, dtls_role="server", rng=random.SystemRandom()
        )
        return open_leg(transport, description.address, sock, PASSWORD)

    def hang_up(self) -> None:
        self._session.hang_up()


@define
class JanusConference:
    """One room on Janus."""

    process: JanusProcess
    _sockets: Sockets
    _identity: Identity
    _names: dict[int, str] = field(factory=dict)

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[JanusMember]:
        gone, up = Gone(), trio.Event()

        def hear(event: Message) -> None:
            if event["janus"] == "webrtcup":
                up.set()
            data = event.get("plugindata", {}).get("data", {})
            if "leaving" in data:
                gone.add(self._names.get(data["leaving"], "?"))

        async with open_session(self._sockets, hear) as session:
            handle = await session.attach(PLUGIN)
            joined = await handle.ask({"request": "join", "ptype": "publisher", "room": ROOM, "display": name})
            self._names[joined["id"]] = name
            yield JanusMember(session, handle, self._identity, joined["id"], self.process.address[0], up, gone)


@asynccontextmanager
async def open_janus(host: str, prefix: Sequence[str], identity: Identity) -> AsyncIterator[JanusConference]:
    """A Janus that listens at ``host``, for as long as the block runs; ``prefix`` runs it there."""
    async with running_janus(host, prefix) as process, trio.open_nursery() as nursery:
        sockets = Sockets(process.address)
        nursery.start_soon(sockets.run)
        try:
            yield JanusConference(process, sockets, identity)
        finally:
            nursery.cancel_scope.cancel()
            sockets.close()

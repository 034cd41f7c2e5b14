"""The UDP port that all peers share: its data plane, its certificate, and where each datagram belongs."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio
from attrs import frozen

from sfu.capabilities import router_capabilities
from sfu.dataplane.interface import (
    CameBack,
    ConsentExpired,
    ConsumerId,
    DataPlane,
    DropReason,
    EncodingFlows,
    EncodingLearned,
    Event,
    FellSilent,
    LayersChanged,
    PlaneFailed,
    ProducerId,
    RtcpArrived,
    SlowDatagram,
    TransportId,
)
from sfu.dataplane.udp import UdpDataPlane
from sfu.listening import prepare_listening
from sfu.ortc import PROBATOR_SSRC
from sfu.parameters import DtlsParameters
from sfu.wire.candidates import host_candidates
from sfu.wire.certificate import generate_certificate
from sfu.wire.demux import Protocol, classify
from sfu.wire.dtls.dtls import DtlsContext
from sfu.wire.errors import BadDatagram, UnexpectedMessage
from sfu.wire.stun import parse_binding_request_untrusted

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.peer import Peer
    from sfu.producer import Producer
    from sfu.settings import MediaSettings
    from sfu.transport import Transport

log = structlog.get_logger(__name__)


@frozen
class Census:
    """Live objects; all zero when nobody is there."""

    peers: int
    transports: int
    producers: int
    consumers: int


class Port:
    """Made by :func:`open_port`.  The tables here are for finding whom an event belongs to; who owns what is nesting.

    ``slow_path_errors`` counts exceptions while handling what belonged to nobody, ``forced_cleanups`` goodbyes that
    were cut off, ``failed_cleanups`` steps of an exit that raised.
    """

    def __init__(
        self,
        settings: MediaSettings,
        plane: DataPlane,
        addresses: Sequence[tuple[str, int]],
        rng: random.Random,
        today: datetime,
        announced: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.plane = plane
        self.listen(addresses, announced or settings.announce)
        self.capabilities = router_capabilities(video_orientation=settings.video_orientation)
        certificate = generate_certificate(today)
        self.dtls_context = DtlsContext(certificate)
        self.dtls_parameters = DtlsParameters(fingerprints=(certificate.fingerprint,), role="auto")
        self.random_bytes = rng.randbytes
        self.random = rng
        self._numbers = 0
        self.rtcp_ssrc = self._random_ssrc()
        self.cname = self.new_id()
        self.peers: dict[int, Peer] = {}
        self.transports: dict[TransportId, Transport] = {}
        self.producers: dict[ProducerId, Producer] = {}
        self.consumers: dict[ConsumerId, Consumer] = {}
        self.usernames: dict[str, Transport] = {}
        self.forced_cleanups = 0
        self.failed_cleanups = 0
        self.slow_path_errors = 0

    def listen(self, addresses: Sequence[tuple[str, int]], announced: Sequence[str]) -> None:
        """These are its addresses from now on, and those to announce: its own where there are none.

        Raises ``ValueError`` for one that nobody can send to.
        """
        self.addresses = tuple(addresses)
        number = self.addresses[0][1]
        self.candidates = host_candidates([(host, number) for host in announced] or self.addresses)

    def census(self) -> Census:
        return Census(len(self.peers), len(self.transports), len(self.producers), len(self.consumers))

    # Names and numbers.

    def new_id(self) -> str:
        """96 random bits: nobody guesses another's."""
        return self.random_bytes(12).hex()

    def new_number(self) -> int:
        """An identifier for the data plane; never used twice."""
        self._numbers += 1
        return self._numbers

    def new_ssrc(self, transport: Transport) -> int:
        """An SSRC that neither we nor a consumer on this transport have (RFC 3550 section 8.1)."""
        while (ssrc := self._random_ssrc()) in transport.consumers_by_ssrc or ssrc == self.rtcp_ssrc:
            pass
        return ssrc

    def _random_ssrc(self) -> int:
        while (ssrc := self.random.getrandbits(32)) in {0, PROBATOR_SSRC}:
            pass
        return ssrc

    # Whom a datagram belongs to.

    def learn_usernames(self, transport: Transport) -> None:
        """Its ICE credentials may have changed."""
        if transport.ice.ufrags == transport.known_usernames:
            return
        self._forget_usernames(transport)
        transport.known_usernames = transport.ice.ufrags
        for ufrag in transport.known_usernames:
            self.usernames[ufrag] = transport

    def _forget_usernames(self, transport: Transport) -> None:
        for ufrag in transport.known_usernames:
            self.usernames.pop(ufrag, None)
        transport.known_usernames = ()

    def forget_transport(self, transport: Transport) -> None:
        self._forget_usernames(transport)
        self.transports.pop(transport.plane_id, None)

    # The slow path.

    async def run(self) -> None:
        """Move packets and handle what the data plane hands up, one bounded batch after the other."""
        while True:
            await self.plane.wait()
            self._handle_batch(trio.current_time())

    def _handle_batch(self, now: float) -> None:
        for event in self.plane.poll(now):
            self.handle(event, now)

    def handle(self, event: Event, now: float) -> None:
        """One event; an exception ends the client that it belongs to, and never this loop."""
        try:
            self._dispatch(event, now)
        except Exception:
            self.slow_path_errors += 1
            log.exception("an event from the network could not be handled")

    def _dispatch(self, event: Event, now: float) -> None:
        match event:
            case SlowDatagram():
                self._dispatch_datagram(event, now)
            case RtcpArrived(transport=number, packet=packet, at=at):
                if (transport := self._transport(number)) is not None:
                    transport.peer.guard(transport.receive_rtcp, packet, at)
            case EncodingLearned():
                if (producer := self.producers.get(event.producer)) is not None:
                    producer.transport.peer.guard(producer.learned, event, now)
            case EncodingFlows():
                if (producer := self.producers.get(event.producer)) is not None:
                    producer.transport.peer.guard(producer.flows, event.encoding, now)
            case LayersChanged():
                if (consumer := self.consumers.get(event.consumer)) is not None:
                    consumer.transport.peer.guard(consumer.layers_changed, event, now)
            case FellSilent() | ConsentExpired() | CameBack():
                self._dispatch_life(event, now)
            case PlaneFailed():
                self._lose_all(event.why)

    def _dispatch_life(self, event: FellSilent | ConsentExpired | CameBack, now: float) -> None:
        if (transport := self._transport(event.transport)) is None:
            return
        match event:
            case FellSilent():
                transport.peer.guard(transport.fell_silent, event.last_at)
            case ConsentExpired():
                transport.peer.guard(transport.lose_consent, event.last_at)
            case CameBack():
                transport.peer.guard(transport.came_back, now)

    def _lose_all(self, why: str) -> None:
        """The data plane has forgotten everybody: their clients are told, and may come again."""
        log.error("the data plane failed", why=why)
        self.slow_path_errors += 1
        for transport in list(self.transports.values()):
            transport.peer.guard(transport.fail, "the data plane failed")

    def _transport(self, number: TransportId | None) -> Transport | None:
        # An event can be older than its transport's end: both were in one batch.
        return None if number is None else self.transports.get(number)

    def _dispatch_datagram(self, event: SlowDatagram, now: float) -> None:
        if classify(event.data) is Protocol.STUN:
            self._dispatch_stun(event, now)
        elif (transport := self._transport(event.transport)) is not None:
            transport.peer.guard(transport.receive_dtls, event.data, now)

    def _dispatch_stun(self, event: SlowDatagram, now: float) -> None:
        try:
            request = parse_binding_request_untrusted(event.data)
        except UnexpectedMessage:
            self.plane.count_drop(DropReason.UNEXPECTED_STUN)
            return
        except BadDatagram:
            self.plane.count_drop(DropReason.MALFORMED_STUN)
            return
        transport = self.usernames.get(request.local_ufrag)
        if transport is None:
            self.plane.count_drop(DropReason.UNKNOWN_USERNAME)
            return
        transport.peer.guard(transport.receive_stun, request, event.path, now)


@asynccontextmanager
async def open_port(settings: MediaSettings, *, rng: random.Random | None = None) -> AsyncIterator[Port]:
    """Bind the UDP port and serve it for as long as the block runs.

    ``rng`` gives identifiers and credentials: the system's unless a test wants the same ones again.  Raises
    :exc:`BadAddress` for hosts of which nothing can be made, :exc:`BadAnnouncement` for those to be announced, and
    ``OSError`` where an address cannot be bound.
    """
    rng = rng or random.SystemRandom()
    listening = await prepare_listening(settings)
    choice = listening.choose()
    plane = UdpDataPlane(choice.listen, settings.port, rng)
    try:
        async with serve_port(
            settings,
            plane,
            plane.addresses,
            rng=rng,
            today=datetime.now(UTC),
            announced=listening.announced or choice.announce,
            meanwhile=partial(listening.run, plane),
        ) as port:
            yield port
    finally:
        plane.close()


@asynccontextmanager
async def serve_port(
    settings: MediaSettings,
    plane: DataPlane,
    addresses: Sequence[tuple[str, int]],
    *,
    rng: random.Random,
    today: datetime,
    announced: Sequence[str] = (),
    meanwhile: Callable[[Port], Awaitable[None]] | None = None,
) -> AsyncIterator[Port]:
    """The same over a data plane of the caller's.

    ``announced`` are the hosts told to clients, where they are not those of the settings.  ``meanwhile`` runs for as
    long as the block.
    """
    port = Port(settings, plane, addresses, rng, today, announced)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(port.run, name="media port")
        if meanwhile is not None:
            nursery.start_soon(meanwhile, port, name="media addresses")
        yield port
        nursery.cancel_scope.cancel()

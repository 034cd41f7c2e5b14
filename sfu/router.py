"""The router: it opens the UDP port of many peers and hands each event of the data plane to its object."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from sfu.context import RouterContext
from sfu.dataplane.interface import DataPlane
from sfu.dataplane.udp import UdpDataPlane
from sfu.dataplane.values import (
    BandwidthCrossed,
    CameBack,
    ConsentExpired,
    DtlsArrived,
    EncodingFlows,
    EncodingLearned,
    Event,
    FellSilent,
    KeyFrameRequested,
    LayersChanged,
    LimitsExceeded,
    PathSelected,
    PlaneFailed,
    RepairFailed,
)
from sfu.directory import Directory, RouterCounts
from sfu.listening import prepare_listening
from sfu.streams import Connection, StreamRefusal, prepare

if TYPE_CHECKING:
    from sfu.producer import Producer
    from sfu.settings import MediaSettings
    from sfu.transport import Transport

TransportEvent = DtlsArrived | PathSelected | FellSilent | ConsentExpired | CameBack | LimitsExceeded | BandwidthCrossed
ProducerEvent = EncodingLearned | EncodingFlows | RepairFailed

log = structlog.get_logger(__name__)

_STREAM_REFUSALS = frozenset(map(str, StreamRefusal))


class Router:
    """Made by :func:`open_router`.  Runs the slow path: it dispatches events, and nothing else.

    ``context`` is the state that its peers share.  ``directory`` finds the object that an event belongs to.
    """

    def __init__(self, context: RouterContext) -> None:
        self.context = context
        self.directory = Directory()

    def counts(self) -> RouterCounts:
        return self.directory.counts()

    def use_tcp_listeners(self, listeners: Sequence[tuple[str, int]]) -> None:
        """Offer these listeners to clients for media over TCP (RFC 6544).  Their owner calls :meth:`adopt_stream`."""
        self.context.set_tcp_listeners(listeners)

    def adopt_stream(self, connection: Connection, frame: bytes) -> StreamRefusal | None:
        """Carry media over a TCP connection whose first bytes were ``frame``, a whole Binding request.

        The caller closes its socket, which keeps the connection open if it was taken.  Returns why it was not.
        """
        refusal = self.context.plane.adopt_stream(connection.fileno(), frame)
        if refusal is None:
            prepare(connection)
            return None
        return StreamRefusal(refusal) if refusal in _STREAM_REFUSALS else StreamRefusal.MALFORMED

    def stream_counts(self) -> tuple[int, int]:
        """The number of streams, and the bytes that wait in them for slow clients."""
        return self.context.plane.stream_counts()

    async def run(self) -> None:
        """Handle the events of the data plane, one bounded batch after the other."""
        while True:
            await self.context.plane.wait()
            self._handle_batch(trio.current_time())

    def _handle_batch(self, now: float) -> None:
        for event in self.context.plane.poll(now):
            self.handle(event, now)

    def handle(self, event: Event, now: float) -> None:
        """Handle one event.  An exception ends the client that it belongs to, and never this loop."""
        try:
            self._dispatch(event, now)
        except Exception:
            self.context.slow_path_errors += 1
            log.exception("an event from the network could not be handled")

    def _dispatch(self, event: Event, now: float) -> None:
        match event:
            case (
                DtlsArrived()
                | PathSelected()
                | FellSilent()
                | ConsentExpired()
                | CameBack()
                | LimitsExceeded()
                | BandwidthCrossed()
            ):
                # A transport may have closed since the event: both can be in one batch.
                if (transport := self.directory.transports.get(event.transport)) is not None:
                    _dispatch_to_transport(transport, event, now)
            case EncodingLearned() | EncodingFlows() | RepairFailed():
                if (producer := self.directory.producers.get(event.producer)) is not None:
                    _dispatch_to_producer(producer, event, now)
            case LayersChanged():
                if (consumer := self.directory.consumers.get(event.consumer)) is not None:
                    consumer.guard(consumer.on_layers_changed, event)
            case KeyFrameRequested():
                if (consumer := self.directory.consumers.get(event.consumer)) is not None:
                    consumer.guard(consumer.on_picture_loss, now)
            case PlaneFailed():
                self._fail_all(event.why)

    def _fail_all(self, why: str) -> None:
        """The data plane has forgotten every transport.  Fail them all, so that each client can create new ones."""
        log.error("the data plane failed", why=why)
        self.context.slow_path_errors += 1
        for transport in list(self.directory.transports.values()):
            transport.guard(transport.fail, "the data plane failed")


def _dispatch_to_transport(transport: Transport, event: TransportEvent, now: float) -> None:
    match event:
        case DtlsArrived():
            transport.guard(transport.receive_dtls, event.data, now)
        case PathSelected():
            transport.guard(transport.on_path_selected, event.path, now)
        case FellSilent():
            transport.guard(transport.on_silent, event.last_at)
        case ConsentExpired():
            transport.guard(transport.on_consent_expired, event.last_at)
        case CameBack():
            transport.guard(transport.on_heard_again, now)
        case LimitsExceeded():
            transport.guard(transport.fail, "the client sends far more than it may")
        case BandwidthCrossed():
            transport.guard(transport.on_bandwidth_crossed, event.why)


def _dispatch_to_producer(producer: Producer, event: ProducerEvent, now: float) -> None:
    match event:
        case EncodingLearned():
            producer.guard(producer.on_encoding_learned, event, now)
        case EncodingFlows():
            producer.guard(producer.on_encoding_flows, event, now)
        case RepairFailed():
            producer.guard(producer.on_repair_failed, event, now)


@asynccontextmanager
async def open_router(settings: MediaSettings, *, rng: random.Random | None = None) -> AsyncIterator[Router]:
    """Bind the UDP port and serve it for as long as the block runs.

    ``rng`` makes identifiers and credentials.  The default is the system's; tests pass a seeded one.

    Raises :exc:`BadAddress` for unusable hosts to listen on, :exc:`BadAnnouncement` for unusable hosts to announce, and
    ``OSError`` if an address cannot be bound.
    """
    rng = rng or random.SystemRandom()
    listening = await prepare_listening(settings)
    choice = listening.choose()
    plane = UdpDataPlane(choice.listen, settings.port, rng)
    try:
        async with serve_router(
            settings,
            plane,
            plane.addresses,
            rng=rng,
            today=datetime.now(UTC),
            announced=listening.announced or choice.announce,
            meanwhile=partial(listening.run, plane),
        ) as router:
            router.context.set_tcp_announced(listening.tcp_announced)
            yield router
    finally:
        plane.close()


@asynccontextmanager
async def serve_router(
    settings: MediaSettings,
    plane: DataPlane,
    addresses: Sequence[tuple[str, int]],
    *,
    rng: random.Random,
    today: datetime,
    announced: Sequence[str] = (),
    meanwhile: Callable[[RouterContext], Awaitable[None]] | None = None,
) -> AsyncIterator[Router]:
    """Like :func:`open_router`, over a data plane of the caller's, which listens on ``addresses``.

    Clients get candidates on the ``announced`` hosts, or else on those of the settings.  ``meanwhile`` runs as long as
    the block does.
    """
    router = Router(RouterContext(settings, plane, addresses, rng, today, announced))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(router.run, name="media port")
        if meanwhile is not None:
            nursery.start_soon(meanwhile, router.context, name="media addresses")
        yield router
        nursery.cancel_scope.cancel()

"""One client's media: its transports, producers and consumers, and how they end."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import structlog
import trio
from attrs import evolve

from sfu import ortc
from sfu.closing import PeerExit, Resource, close_or_drop
from sfu.consumer import Consumer
from sfu.dataplane.interface import ConsumerId, ProducerId
from sfu.errors import Conflict, LimitExceeded, NotFound, WrongDirection
from sfu.guard import Guard
from sfu.layers import Layers
from sfu.lookup import notify_closed, own, receiver_of
from sfu.producer import Producer
from sfu.settings import ConsumerEndReason, TransportState
from sfu.transport import Direction, Transport

if TYPE_CHECKING:
    from sfu.context import RouterContext
    from sfu.directory import Directory
    from sfu.observer import PeerObserver
    from sfu.parameters import DtlsParameters, IceParameters, MediaKind, RtpCapabilities, RtpParameters

T = TypeVar("T")
log = structlog.get_logger(__name__)

MAX_CONSUMERS_EVER: Final = 100_000
"""Most consumers that one transport has in its life.  Its SRTP keys last as long as the transport.  So the data plane
must remember the SSRCs of all its consumers, which takes about 2 MB."""


class PeerRouter(Protocol):
    """The part of a router that its peers use."""

    @property
    def context(self) -> RouterContext: ...
    @property
    def directory(self) -> Directory: ...


class Peer:
    """Made by :func:`open_peer`.

    All methods are synchronous.  No other task can run between finding a producer and connecting a consumer to it, so
    the producer cannot close in between.
    """

    def __init__(self, router: PeerRouter, observer: PeerObserver, name: str, nursery: trio.Nursery) -> None:
        self.context = router.context
        self.observer = observer
        self.name = name
        self.guard = Guard(observer, name)
        self.transports: dict[str, Transport] = {}
        self.producers: dict[str, Producer] = {}
        self.consumers: dict[str, Consumer] = {}
        self.left = False
        self.deaf = False
        self.exit: PeerExit | None = None
        self.number = self.context.new_number()
        self.cname = ""
        self.directory = router.directory
        self._nursery = nursery
        self._forced = 0
        self._leaving_since = 0.0
        self.directory.peers.add(self.number)

    # Making transports, producers and consumers.

    def create_transport(self, direction: Direction, rtp_capabilities: RtpCapabilities | None = None) -> Transport:
        """A new transport.  ``rtp_capabilities`` are the default for its consumers.

        Raises ``Conflict`` if there is one of this direction.
        """
        if self.left:
            raise Conflict("this peer has left")
        if any(transport.direction == direction for transport in self.transports.values()):
            raise Conflict(f"there is a {direction} transport already")
        receiver = None if rtp_capabilities is None else self.context.receiver(rtp_capabilities)
        transport = Transport(self.context, self, direction, receiver)
        self.transports[transport.id] = transport
        self.directory.transports[transport.plane_id] = transport
        self._nursery.start_soon(transport.run, name=f"transport {self.name} {direction}")
        return transport

    def connect_transport(self, transport_id: str, parameters: DtlsParameters) -> None:
        self.transport(transport_id).connect(parameters, trio.current_time())

    def restart_ice(self, transport_id: str) -> IceParameters:
        return self.transport(transport_id).restart_ice()

    def produce(
        self,
        transport_id: str,
        kind: MediaKind,
        parameters: RtpParameters,
        *,
        paused: bool = False,
        screen: bool = False,
    ) -> Producer:
        """Take a stream that the client sends.  A ``screen`` comes before cameras where bandwidth is short."""
        transport = self.transport(transport_id)
        if transport.direction != "send":
            raise WrongDirection("this is not a send transport")
        if len(self.producers) >= self.context.settings.max_producers:
            raise LimitExceeded(f"at most {self.context.settings.max_producers} producers", "max_producers")
        self.cname = self.cname or self.context.new_id()
        plan = ortc.accept_producer(
            kind, parameters, self.context.capabilities, default_cname=self.cname, paused=paused
        )
        plane_id = ProducerId(self.context.new_number())
        producer = Producer(self.context.new_id(), plane_id, transport, plan, paused, screen)
        try:
            transport.plane.add_producer(transport.plane_id, plane_id, plan.spec)
        except ValueError as error:
            raise Conflict(str(error)) from error
        self.producers[producer.id] = transport.producers[producer.id] = producer
        self.directory.producers[plane_id] = producer
        transport.wake()
        return producer

    def receiver(self, transport_id: str, capabilities: RtpCapabilities | None) -> ortc.Receiver:
        """What this client can receive on a transport.  ``capabilities`` default to the transport's.

        Raises ``WrongDirection`` for a sending transport, and ``InvalidParameters`` without any capabilities.
        """
        return receiver_of(self.transport(transport_id), capabilities)

    def consume(
        self,
        transport_id: str,
        producer: Producer,
        capabilities: RtpCapabilities | ortc.Receiver | None,
        *,
        stream: str,
        paused: bool = True,
    ) -> Consumer:
        """Send a producer's stream to this client.  ``capabilities`` default to the transport's.  For several streams,
        :meth:`receiver` converts them once.

        ``stream`` groups the consumers that are played in step (the first half of ``msid``, RFC 8830).

        Raises ``Conflict`` for a second consumer of the producer on one transport, since each one would multiply the
        cost of the producer's packets.  Raises ``Conflict``, too, if the transport has had too many consumers.  Then it
        fails, and the client may create another one.
        """
        transport = self.transport(transport_id)
        receiver = receiver_of(transport, capabilities)
        if producer.closed:
            raise NotFound("this producer has closed")
        if len(self.consumers) >= self.context.settings.max_consumers:
            raise LimitExceeded(f"at most {self.context.settings.max_consumers} consumers", "max_consumers")
        report_interval = self.context.settings.report_interval_of(producer.kind)
        plan = receiver.plan(producer.plan, report_interval=report_interval)
        if producer.plane_id in transport.consumers:
            raise Conflict("this transport has a consumer of this producer already")
        if transport.mids >= MAX_CONSUMERS_EVER:
            transport.fail("it has had as many consumers as one transport may have")
            raise Conflict("this transport has had too many consumers, so it is closed")
        consumer_id = self.context.new_id()
        ssrc, *rest = self.context.new_ssrcs(2 if plan.has_rtx else 1, transport.consumer_ssrcs)
        rtx_ssrc = rest[0] if rest else None
        mid, msid = transport.next_mid(), f"{stream} {consumer_id}"
        rtp_parameters = plan.parameters(ssrc=ssrc, rtx_ssrc=rtx_ssrc, mid=mid, msid=msid, cname=producer.plan.cname)
        plane_id = ConsumerId(self.context.new_number())
        consumer = Consumer(
            consumer_id, plane_id, transport, producer, plan, rtp_parameters, ssrc, rtx_ssrc, paused, self.deaf
        )
        self._connect(consumer, transport, producer, mid)
        return consumer

    def _connect(self, consumer: Consumer, transport: Transport, producer: Producer, mid: str) -> None:
        now = trio.current_time()
        consumer.target = consumer.best_encoding(producer.active_encodings(now))
        transport.plane.add_consumer(
            transport.plane_id,
            consumer.plane_id,
            producer.plane_id,
            consumer.plan.format,
            consumer.ssrc,
            mid,
            encoding=consumer.target,
            paused=consumer.stopped,
            rtx_ssrc=consumer.rtx_ssrc,
        )
        self.consumers[consumer.id] = consumer
        transport.remember_consumer(consumer)
        producer.remember_consumer(consumer)
        self.directory.consumers[consumer.plane_id] = consumer
        consumer.on_unblocked(now)

    def media_heard_at(self) -> float:
        """Time of the newest authentic media on any transport, in seconds.  Minus infinity if none came."""
        return max((transport.media_heard_at() for transport in self.transports.values()), default=-math.inf)

    # Finding this peer's objects.  Each raises ``NotFound`` for any other identifier.

    def transport(self, transport_id: str) -> Transport:
        return own(self.transports, transport_id, "transport")

    def producer(self, producer_id: str) -> Producer:
        return own(self.producers, producer_id, "producer")

    def consumer(self, consumer_id: str) -> Consumer:
        return own(self.consumers, consumer_id, "consumer")

    # Changing producers and consumers.

    def set_producer_paused(self, producer_id: str, paused: bool) -> None:
        self.producer(producer_id).set_paused(paused, trio.current_time())

    def set_consumer_paused(self, consumer_id: str, paused: bool) -> None:
        self.consumer(consumer_id).set_paused(paused, trio.current_time())

    def set_deaf(self, deaf: bool) -> None:
        """Send no media to this client, whatever it asks for.  Or let its consumers go on, except those that it paused.

        An exception ends this peer's session alone, since the request of another client may run this.
        """
        self.deaf = deaf
        for consumer in list(self.consumers.values()):
            self.guard(consumer.set_held, deaf, trio.current_time())

    def set_layers(self, consumer_id: str, spatial: int, temporal: int) -> None:
        """Set the highest layers that this consumer forwards.  The lowest layer is 0."""
        self.consumer(consumer_id).set_bounds(Layers(spatial, temporal), trio.current_time())

    def set_priority(self, consumer_id: str, priority: int) -> None:
        """Set who gets bandwidth first: 1 to 255, the higher ones first."""
        self.consumer(consumer_id).set_priority(priority)

    # Closing one object.  docs/closures.md gives the order of the steps and of the notices.

    def close_consumer(self, consumer_id: str) -> None:
        self.consumer(consumer_id).close()

    def close_producer(self, producer_id: str) -> None:
        notify_closed(self.producer(producer_id).close(), ConsumerEndReason.PRODUCER_CLOSED)

    def close_transport(self, transport_id: str) -> None:
        """Close it with all streams on it.  The owner asked for it, and so gets no notice."""
        transport = self.transport(transport_id)
        deadline = trio.current_time() + self.context.settings.exit_timeout
        # This task first runs after this method has returned, so after the close.
        self._nursery.start_soon(self._say_goodbye, transport, deadline)
        _, _, closed_consumers = self._close_transport(transport)
        notify_closed(closed_consumers, ConsumerEndReason.PRODUCER_CLOSED)

    def lose_transport(self, transport: Transport, *, failed: bool) -> None:
        """Close a transport that failed, or that the client closed, with all its streams.  Then notify."""
        consumers, producers, closed_consumers = self._close_transport(transport)
        for consumer in consumers:
            self.consumer_closed(consumer, ConsumerEndReason.FAILED)
        notify_closed(closed_consumers, ConsumerEndReason.PRODUCER_CLOSED)
        for producer in producers:
            self.guard(self.observer.producer_closed, producer)
        if failed:
            transport.state = TransportState.FAILED
            self.transport_changed(transport)
        transport.state = TransportState.CLOSED
        self.transport_changed(transport)

    def _close_transport(self, transport: Transport) -> tuple[list[Consumer], list[Producer], list[Consumer]]:
        """Close its consumers, its producers with their consumers, and then itself.  Notify nobody yet.

        Returns its own consumers, its producers, and the consumers of those producers.
        """
        consumers = list(transport.consumers.values())
        producers = list(transport.producers.values())
        for consumer in consumers:
            consumer.close()
        closed_consumers = [consumer for producer in producers for consumer in producer.close()]
        transport.close()
        self.transports.pop(transport.id, None)
        return consumers, producers, closed_consumers

    # Leaving.

    def leave(self) -> list[Transport]:
        """Call :meth:`close`.  If it fails as a whole, call it again, so that nothing stays open."""
        try:
            return self.close()
        except Exception:
            self.context.failed_cleanups += 1
            log.exception("closing a peer failed", peer=self.name)
            return self.close()

    def close(self) -> list[Transport]:
        """Close everything in one synchronous pass, then notify the other peers.  See docs/closures.md.

        Returns the transports, which may still say goodbye.
        """
        self.left = True
        self._leaving_since = trio.current_time()
        consumers, producers = list(self.consumers.values()), list(self.producers.values())
        transports = list(self.transports.values())
        closed_consumers = [consumer for producer in producers for consumer in producer.consumers.values()]
        # From the inside out.  After the consumers, nothing goes to this client.  After the producers, nothing of it is
        # forwarded.  The transports close last.  Notices wait until all of this is done.
        resources: list[Resource] = [*consumers, *producers, *transports]
        for resource in resources:
            close_or_drop(resource, self.context)
        self.transports.clear()
        self.directory.peers.discard(self.number)
        self.exit = PeerExit(len(consumers), len(producers), len(transports))
        # This peer may have consumed its own producer.  It gets no notice of its own leaving.
        others = (consumer for consumer in closed_consumers if consumer.guard is not self.guard)
        notify_closed(others, ConsumerEndReason.USER_LEFT)
        return transports

    async def say_goodbyes(self, transports: Iterable[Transport], deadline: float) -> None:
        """Send all goodbyes side by side, each with a time limit.  Nothing depends on them."""
        try:
            async with trio.open_nursery() as goodbyes:
                for transport in transports:
                    goodbyes.start_soon(self._say_goodbye, transport, deadline)
        finally:
            if self.exit is not None:
                self.exit = evolve(self.exit, seconds=trio.current_time() - self._leaving_since, forced=self._forced)

    async def _say_goodbye(self, transport: Transport, deadline: float) -> None:
        """One goodbye, which may hang or fail without harm.

        The shield lets it happen although the peer's scope is cancelled; the deadline bounds the shield.
        """
        deadline = min(trio.current_time() + self.context.settings.courtesy_timeout, deadline)
        with trio.CancelScope(deadline=deadline, shield=True) as scope:
            try:
                await transport.say_goodbye()
            except Exception:
                self.context.failed_cleanups += 1
                log.exception("a transport's goodbye failed", peer=self.name, transport=transport.id)
        if scope.cancelled_caught:
            self._forced += 1
            self.context.forced_cleanups += 1
            log.warning("a transport's goodbye was cut off", peer=self.name, transport=transport.id)

    # Notices of its transports (:class:`sfu.transport.TransportOwner`).

    def transport_changed(self, transport: Transport) -> None:
        self.guard(self.observer.transport_changed, transport)

    def demand_changed(self, producer: Producer) -> None:
        self.guard(self.observer.demand_changed, producer)

    def consumer_updated(self, consumer: Consumer) -> None:
        self.guard(self.observer.consumer_updated, consumer)

    def consumer_closed(self, consumer: Consumer, why: ConsumerEndReason) -> None:
        self.guard(self.observer.consumer_closed, consumer, why)

    def forget_transport(self, transport: Transport) -> None:
        self.directory.transports.pop(transport.plane_id, None)

    def forget_producer(self, producer: Producer) -> None:
        self.producers.pop(producer.id, None)
        self.directory.producers.pop(producer.plane_id, None)

    def forget_consumer(self, consumer: Consumer) -> None:
        self.consumers.pop(consumer.id, None)
        self.directory.consumers.pop(consumer.plane_id, None)


@asynccontextmanager
async def open_peer(router: PeerRouter, observer: PeerObserver, *, name: str) -> AsyncIterator[Peer]:
    """A client's media for as long as the block runs.  ``name`` is for logs.

    Leaving the block first takes everything out of the packet path, then sends goodbyes for at most
    ``settings.exit_timeout`` seconds.  An exception comes out as the block raised it.
    """
    raised: Exception | None = None
    async with trio.open_nursery() as nursery:
        peer = Peer(router, observer, name, nursery)
        try:
            yield peer
        except Exception as error:
            # Keep it from the nursery, which would wrap it in an exception group.
            raised = error
        finally:
            transports = peer.leave()
            deadline = trio.current_time() + router.context.settings.exit_timeout
            # Each goodbye has a shield of its own.  This one bounds them all together, while we wait for them.
            with trio.CancelScope(deadline=deadline, shield=True):
                await peer.say_goodbyes(transports, deadline)
            nursery.cancel_scope.cancel()
    if raised is not None:
        raise raised

"""One client's media: its transports, producers and consumers, and how they end."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from weakref import WeakValueDictionary

import structlog
import trio
from attrs import evolve, frozen

from sfu import ortc
from sfu.consumer import Consumer
from sfu.errors import Conflict, InvalidParameters, LimitExceeded, NotFound, WrongDirection
from sfu.layers import Layers
from sfu.producer import Producer
from sfu.settings import ConsumerEnd, TransportState
from sfu.transport import Direction, Transport

if TYPE_CHECKING:
    from sfu.observer import PeerObserver
    from sfu.parameters import DtlsParameters, IceParameters, Kind, RtpCapabilities, RtpParameters
    from sfu.router import Port

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)


@frozen
class PeerExit:
    """What leaving a peer closed.  ``seconds`` is how long it took, ``forced`` how many goodbyes were cut off."""

    consumers: int
    producers: int
    transports: int
    seconds: float = 0
    forced: int = 0


class Peer:
    """Made by :func:`open_peer`.  All methods are synchronous: between finding a producer and connecting a consumer
    to it nothing else can run, so it cannot close in between."""

    def __init__(self, port: Port, observer: PeerObserver, name: str, nursery: trio.Nursery) -> None:
        self.port = port
        self.observer = observer
        self.name = name
        self.transports: dict[str, Transport] = {}
        self.producers: dict[str, Producer] = {}
        self.consumers: dict[str, Consumer] = {}
        # By transport and producer, or by producer.  Weak: what is closed is nobody's, and the packet path need not
        # tell us.
        self._copies: WeakValueDictionary[tuple[str, str], Consumer] = WeakValueDictionary()
        self.left = False
        self.exit: PeerExit | None = None
        self.number = port.new_number()
        self.cname = ""
        self._nursery = nursery
        self._forced = 0
        self._leaving_since = 0.0

    # Making.

    def create_transport(self, direction: Direction, rtp_capabilities: RtpCapabilities | None = None) -> Transport:
        """One of each direction at a time, else ``Conflict``.  ``rtp_capabilities`` are the default for consuming."""
        if self.left:
            raise Conflict("this peer has left")
        if any(transport.direction == direction for transport in self.transports.values()):
            raise Conflict(f"there is a {direction} transport already")
        if rtp_capabilities is not None:
            ortc.validate_capabilities(rtp_capabilities)
        transport = Transport(self, direction, rtp_capabilities)
        self.transports[transport.id] = transport
        self.port.learn_usernames(transport)
        self.port.transports[transport.plane_id] = transport
        self._nursery.start_soon(transport.run, name=f"transport {self.name} {direction}")
        return transport

    def connect_transport(self, transport_id: str, parameters: DtlsParameters) -> None:
        self.transport(transport_id).connect(parameters, trio.current_time())

    def restart_ice(self, transport_id: str) -> IceParameters:
        return self.transport(transport_id).restart_ice()

    def produce(self, transport_id: str, kind: Kind, parameters: RtpParameters, *, paused: bool = False) -> Producer:
        """Take a stream that the client sends."""
        transport = self.transport(transport_id)
        if transport.direction != "send":
            raise WrongDirection("this is not a send transport")
        if len(self.producers) >= self.port.settings.max_producers:
            raise LimitExceeded(f"at most {self.port.settings.max_producers} producers")
        self.cname = self.cname or self.port.new_id()
        plan = ortc.accept_producer(kind, parameters, self.port.capabilities, default_cname=self.cname, paused=paused)
        producer = Producer(transport, plan, paused)
        try:
            transport.plane.add_producer(transport.plane_id, producer.plane_id, plan.spec)
        except ValueError as error:
            raise Conflict(str(error)) from error
        self.producers[producer.id] = transport.producers[producer.id] = producer
        self.port.producers[producer.plane_id] = producer
        transport.wake()
        return producer

    def consume(
        self,
        transport_id: str,
        producer: Producer,
        capabilities: RtpCapabilities | None,
        *,
        stream: str,
        paused: bool = True,
    ) -> Consumer:
        """Send a producer's stream to this client, once over each transport, else ``Conflict``: copies multiply what
        one client's packets cost.  ``stream`` groups what is played in step (the first half of ``msid``, RFC 8830)."""
        transport = self.transport(transport_id)
        if transport.direction != "receive":
            raise WrongDirection("this is not a receive transport")
        if producer.closed:
            raise NotFound("this producer has closed")
        if len(self.consumers) >= self.port.settings.max_consumers:
            raise LimitExceeded(f"at most {self.port.settings.max_consumers} consumers")
        capabilities = capabilities or transport.rtp_capabilities
        if capabilities is None:
            raise InvalidParameters("neither the transport nor this request has rtpCapabilities")
        ortc.validate_capabilities(capabilities)
        consumer_id, ssrc = self.port.new_id(), self.port.new_ssrc(transport)
        rtp_parameters = ortc.plan_consumer(
            producer.plan.consumable,
            capabilities,
            ssrc=ssrc,
            mid=transport.next_mid(),
            msid=f"{stream} {consumer_id}",
        )
        copy = self._copies.get((transport.id, producer.id))
        if copy is not None and not copy.closed:
            raise Conflict("this transport has a consumer of this producer already")
        consumer = Consumer(consumer_id, transport, producer, rtp_parameters, ssrc, paused)
        self._connect(consumer, rtp_parameters, trio.current_time())
        return consumer

    def _connect(self, consumer: Consumer, rtp_parameters: RtpParameters, now: float) -> None:
        transport, producer = consumer.transport, consumer.producer
        consumer.target = consumer.best_encoding(producer.active_encodings(now))
        spec = ortc.consumer_spec(
            rtp_parameters,
            encoding=consumer.target,
            paused=consumer.paused,
            report_interval=self.port.settings.report_interval_of(consumer.kind),
        )
        transport.plane.add_consumer(transport.plane_id, consumer.plane_id, producer.plane_id, spec)
        self.consumers[consumer.id] = transport.consumers[consumer.id] = consumer
        self._copies[transport.id, producer.id] = consumer
        transport.consumers_by_ssrc[consumer.ssrc] = consumer
        producer.consumers[consumer.id] = consumer
        self.port.consumers[consumer.plane_id] = consumer
        consumer.may_flow(now)

    def media_heard_at(self) -> float:
        """When its newest authentic media came on any transport, in seconds; minus infinity for never."""
        return max((transport.media_heard_at() for transport in self.transports.values()), default=-math.inf)

    # Finding what is one's own: NotFound for everything else.

    def transport(self, transport_id: str) -> Transport:
        return _own(self.transports, transport_id, "transport")

    def producer(self, producer_id: str) -> Producer:
        return _own(self.producers, producer_id, "producer")

    def consumer(self, consumer_id: str) -> Consumer:
        return _own(self.consumers, consumer_id, "consumer")

    # Changing.

    def set_producer_paused(self, producer_id: str, paused: bool) -> None:
        self.producer(producer_id).set_paused(paused, trio.current_time())

    def set_consumer_paused(self, consumer_id: str, paused: bool) -> None:
        self.consumer(consumer_id).set_paused(paused, trio.current_time())

    def set_layers(self, consumer_id: str, spatial: int, temporal: int) -> None:
        """Upper bounds of what this consumer forwards."""
        if spatial < 0 or temporal < 0:
            raise InvalidParameters("0 is the lowest layer")
        self.consumer(consumer_id).set_bounds(Layers(spatial, temporal), trio.current_time())

    # Ending one of them.  Order and notices: docs/closures.md.

    def close_consumer(self, consumer_id: str) -> None:
        self.consumer(consumer_id).close()

    def close_producer(self, producer_id: str) -> None:
        tell_orphans(self.producer(producer_id).close(), ConsumerEnd.PRODUCER_CLOSED)

    def close_transport(self, transport_id: str) -> None:
        """With all that runs over it.  The owner asked for it and is told nothing."""
        transport = self.transport(transport_id)
        self._nursery.start_soon(self._courtesy, transport, trio.current_time() + self.port.settings.exit_timeout)
        _, _, orphans = self._close_transport(transport)
        tell_orphans(orphans, ConsumerEnd.PRODUCER_CLOSED)

    def lose_transport(self, transport: Transport, *, failed: bool) -> None:
        """It failed, fell silent or was ended by the client: close it with all that runs over it, then tell."""
        consumers, producers, orphans = self._close_transport(transport)
        for consumer in consumers:
            self.guard(self.observer.consumer_closed, consumer, ConsumerEnd.FAILED)
        tell_orphans(orphans, ConsumerEnd.PRODUCER_CLOSED)
        for producer in producers:
            self.guard(self.observer.producer_closed, producer)
        if failed:
            transport.state = TransportState.FAILED
            self.guard(self.observer.transport_changed, transport)
        transport.state = TransportState.CLOSED
        self.guard(self.observer.transport_changed, transport)

    def _close_transport(self, transport: Transport) -> tuple[list[Consumer], list[Producer], list[Consumer]]:
        """Its consumers, its producers, the consumers of those: all closed, nobody told."""
        consumers = list(transport.consumers.values())
        producers = list(transport.producers.values())
        for consumer in consumers:
            consumer.close()
        orphans = [orphan for producer in producers for orphan in producer.close()]
        transport.close()
        self.transports.pop(transport.id, None)
        return consumers, producers, orphans

    # Leaving.

    def leave(self) -> list[Transport]:
        """:meth:`close`, of which nothing may be left undone: should it fail as a whole, it is done again."""
        try:
            return self.close()
        except Exception:
            self.port.failed_cleanups += 1
            log.exception("closing a peer failed", peer=self.name)
            return self.close()

    def close(self) -> list[Transport]:
        """Everything in one synchronous pass, then tell whom it concerns; gives the transports, which may still say
        goodbye.  See docs/closures.md."""
        self.left = True
        self._leaving_since = trio.current_time()
        consumers, producers = list(self.consumers.values()), list(self.producers.values())
        transports = list(self.transports.values())
        orphans = [orphan for producer in producers for orphan in producer.consumers.values()]
        resources: list[Consumer | Producer | Transport] = [*consumers, *producers, *transports]
        for resource in resources:
            self._close(resource)
        self.transports.clear()
        self.port.peers.pop(self.number, None)
        self.exit = PeerExit(len(consumers), len(producers), len(transports))
        tell_orphans((orphan for orphan in orphans if orphan.transport.peer is not self), ConsumerEnd.USER_LEFT)
        return transports

    def _close(self, resource: Consumer | Producer | Transport) -> None:
        """One that fails is logged and counted, dropped by force, and does not keep the others from closing."""
        try:
            resource.close()
        except Exception:
            self._note_failure("closing failed", resource)
            self.drop(resource)

    def drop(self, resource: Consumer | Producer | Transport) -> None:
        """After a close that failed: take it out of every table and off the packet path, whatever is still there."""
        try:
            resource.drop()
        except Exception:
            self._note_failure("dropping failed", resource)

    def _note_failure(self, event: str, resource: Consumer | Producer | Transport) -> None:
        self.port.failed_cleanups += 1
        log.exception(event, peer=self.name, what=type(resource).__name__, id=resource.id)

    async def say_goodbyes(self, transports: Iterable[Transport], deadline: float) -> None:
        """All at once, each bounded, none of them needed."""
        try:
            async with trio.open_nursery() as courtesies:
                for transport in transports:
                    courtesies.start_soon(self._courtesy, transport, deadline)
        finally:
            if self.exit is not None:
                self.exit = evolve(self.exit, seconds=trio.current_time() - self._leaving_since, forced=self._forced)

    async def _courtesy(self, transport: Transport, deadline: float) -> None:
        """One goodbye, which may hang or fail without harm."""
        deadline = min(trio.current_time() + self.port.settings.courtesy_timeout, deadline)
        with trio.CancelScope(deadline=deadline, shield=True) as scope:
            try:
                await transport.say_goodbye()
            except Exception:
                self.port.failed_cleanups += 1
                log.exception("a transport's goodbye failed", peer=self.name, transport=transport.id)
        if scope.cancelled_caught:
            self._forced += 1
            self.port.forced_cleanups += 1
            log.warning("a transport's goodbye was cut off", peer=self.name, transport=transport.id)

    # Code that runs for this peer on somebody else's behalf.

    def guard(self, step: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Run it; an exception ends this peer's owner and never the caller.  Gives whether there was none.

        It is the owner who logs it, with what it tells its client.
        """
        try:
            step(*args, **kwargs)
        except Exception as error:
            self._fail(error)
            return False
        return True

    def _fail(self, error: Exception) -> None:
        try:
            self.observer.failed(error)
        except Exception:
            log.exception("its owner could not even be told", peer=self.name)

    def tell_transport_changed(self, transport: Transport) -> None:
        self.guard(self.observer.transport_changed, transport)

    def tell_consumer_updated(self, consumer: Consumer) -> None:
        self.guard(self.observer.consumer_updated, consumer)


def tell_orphans(orphans: Iterable[Consumer], why: ConsumerEnd) -> None:
    """Consumers went with their producer: tell each owner, who is mostly another client."""
    for consumer in orphans:
        peer = consumer.transport.peer
        peer.guard(peer.observer.consumer_closed, consumer, why)


def _own(things: dict[str, T], id_: str, what: str) -> T:
    try:
        return things[id_]
    except KeyError:
        raise NotFound(f"no such {what}") from None


@asynccontextmanager
async def open_peer(port: Port, observer: PeerObserver, *, name: str) -> AsyncIterator[Peer]:
    """A client's media for as long as the block runs; ``name`` is for logs.

    Leaving the block, for whatever reason, takes everything out of the packet path before anything else happens, and
    is done within ``settings.exit_timeout``.  An exception comes out as the block raised it.
    """
    raised: Exception | None = None
    async with trio.open_nursery() as nursery:
        peer = Peer(port, observer, name, nursery)
        port.peers[peer.number] = peer
        try:
            yield peer
        except Exception as error:
            # Not through the nursery, which is nobody's business and would wrap it.
            raised = error
        finally:
            transports = peer.leave()
            deadline = trio.current_time() + port.settings.exit_timeout
            # Each goodbye has a shield of its own; this one has the bound of them all where they are waited for.
            with trio.CancelScope(deadline=deadline, shield=True):
                await peer.say_goodbyes(transports, deadline)
            nursery.cancel_scope.cancel()
    if raised is not None:
        raise raised

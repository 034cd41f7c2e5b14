"""One client's ICE-lite, DTLS and SRTP association, and the streams that run over it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, Protocol
from weakref import WeakKeyDictionary

import structlog
import trio

from sfu.bandwidth import BandwidthSharing
from sfu.dataplane.interface import DropReason, Path, TransportId
from sfu.errors import Conflict, InvalidParameters
from sfu.keyframes import Patience
from sfu.settings import TransportState
from sfu.wire.dtls.dtls import Dtls, DtlsClosed, DtlsConnected, DtlsEvent, DtlsFailed, DtlsRole, DtlsState
from sfu.wire.errors import BadDatagram
from sfu.wire.ice import new_ice_parameters

if TYPE_CHECKING:
    from sfu.consumer import Consumer, ConsumerSource
    from sfu.context import RouterContext
    from sfu.dataplane.interface import Crossing, ProducerId
    from sfu.dataplane.values import BandwidthStats
    from sfu.guard import Guard
    from sfu.ortc import Receiver
    from sfu.parameters import DtlsParameters, IceCandidate, IceCredentials, IceParameters
    from sfu.producer import Producer
    from sfu.settings import ConsumerEndReason

Direction = Literal["send", "receive"]

log = structlog.get_logger(__name__)


class TransportOwner(Protocol):
    """The part of a peer that its transports use.  The peer owns them."""

    @property
    def guard(self) -> Guard: ...

    def transport_changed(self, transport: Transport) -> None: ...
    def lose_transport(self, transport: Transport, *, failed: bool) -> None: ...
    def demand_changed(self, producer: Producer) -> None: ...
    def forget_transport(self, transport: Transport) -> None: ...
    def forget_producer(self, producer: Producer) -> None: ...
    def forget_consumer(self, consumer: Consumer) -> None: ...
    def consumer_updated(self, consumer: Consumer) -> None: ...
    def consumer_closed(self, consumer: Consumer, why: ConsumerEndReason) -> None: ...


class Transport:
    """A transport of one peer.  ``direction`` is the client's: it sends on a ``send`` transport.

    ``consumers`` has the one consumer of each producer that it carries.  ``receiver`` has the client's capabilities, if
    the client gave them for all its consumers.

    The router hands datagrams in.  Time passes in :meth:`run`, the one task of a transport.  That task cleans nothing
    up: :meth:`close` is synchronous and complete, whoever calls it.
    """

    def __init__(
        self,
        context: RouterContext,
        owner: TransportOwner,
        direction: Direction,
        receiver: Receiver | None,
    ) -> None:
        self.context = context
        self.settings = context.settings
        self.plane = context.plane
        self.guard = owner.guard
        self._owner = owner
        self.direction = direction
        self.receiver = receiver
        self.id = context.new_id()
        self.plane_id = TransportId(context.new_number())
        self.state = TransportState.NEW
        self.closed = False
        self.producers: dict[str, Producer] = {}
        self.consumers: dict[ProducerId, Consumer] = {}
        self.consumer_ssrcs: set[int] = set()
        self._patience: WeakKeyDictionary[ConsumerSource, dict[int, Patience]] = WeakKeyDictionary()
        self.dtls: Dtls | None = None
        self.sharing = BandwidthSharing(self.settings.share_bandwidth)
        self.mids = 0  # given so far: one for each consumer that there ever was
        self._path: Path | None = None
        self._handshake_deadline = math.inf
        self._next_review = math.inf
        self._scope = trio.CancelScope()
        self._wake = trio.Event()
        self.plane.add_transport(self.plane_id)
        self.ice_parameters = self.restart_ice()

    # Parameters for the client.

    @property
    def ice_candidates(self) -> tuple[IceCandidate, ...]:
        return self.context.candidates

    @property
    def dtls_parameters(self) -> DtlsParameters:
        return self.context.dtls_parameters

    # Requests of the client.

    def connect(self, parameters: DtlsParameters, now: float) -> None:
        """Begin, with the client's fingerprints and DTLS role.

        If the client's role is ``client``, we are the DTLS server and wait for the client.  Otherwise we begin the
        handshake with the first authenticated STUN binding, since before that there is no address to send to.

        Raises ``Conflict`` the second time, and ``InvalidParameters`` if we can check none of the fingerprints.
        """
        if self.dtls is not None:
            raise Conflict("this transport is connected already")
        role = DtlsRole.SERVER if parameters.role == "client" else DtlsRole.CLIENT
        try:
            self.dtls = Dtls(self.context.dtls_context, role, parameters.fingerprints)
        except ValueError as error:
            raise InvalidParameters(str(error), "fingerprints") from error
        self.state = TransportState.CONNECTING
        self._handshake_deadline = now + self.settings.handshake_timeout
        if role is DtlsRole.SERVER or self._path is not None:
            self._start_handshake(now)
        self.wake()

    def restart_ice(self) -> IceParameters:
        """New credentials (RFC 8445 section 2.4).  The old ones stay valid until the client uses the new ones."""
        self.ice_parameters = new_ice_parameters(self.context.random_bytes)
        self.plane.set_credentials(self.plane_id, *self.ice_parameters.pair)
        self.check_paths_with(None)  # the client makes new ones, too
        return self.ice_parameters

    def check_paths_with(self, client_ice: IceCredentials | None) -> None:
        """Check the client's paths with its own credentials from now on, if it told them.  Then only it can answer."""
        self.plane.set_client_credentials(self.plane_id, None if client_ice is None else client_ice.pair)

    def next_mid(self) -> str:
        """A MID that this transport has not used before (RFC 8843)."""
        self.mids += 1
        return str(self.mids - 1)

    def patience(self, producer: ConsumerSource, encoding: int) -> Patience:
        """The spacing of this client's key frame requests for one encoding.

        It belongs to the transport, so that a client cannot reset it with a new consumer.
        """
        return self._patience.setdefault(producer, {}).setdefault(encoding, Patience())

    # Datagrams from the network.

    def on_path_selected(self, path: Path, now: float) -> None:
        """Send DTLS to this path from now on.  The first path starts a handshake in which we are the client.

        Key frame requests may have gone to a path that was dead already, so repeat those without an answer.
        """
        self._path = path
        if self.dtls is not None and self.dtls.state is DtlsState.NEW:
            self._start_handshake(now)
        if self.connected:
            self._repeat_key_frame_requests(now)

    def receive_dtls(self, datagram: bytes, now: float) -> None:
        """A datagram of the handshake.  After the handshake only a close_notify or an alert matters."""
        if self.dtls is None:
            self.plane.count_drop(DropReason.UNEXPECTED_DTLS)
            return
        try:
            self.dtls.receive(datagram, now)
        except BadDatagram:
            self.plane.count_drop(DropReason.MALFORMED_DTLS)
        self._flush_dtls(now)

    # Signs of life, which the data plane watches for.

    def on_silent(self, last_at: float) -> None:
        """No sign of life came since ``last_at``, for long enough to call the client disconnected."""
        if self.state is TransportState.CONNECTED and not self._heard_since(last_at):
            self._change(TransportState.DISCONNECTED)

    def on_heard_again(self, now: float) -> None:
        """A sign of life came.  If it ended a silence, key frame requests need not wait any longer."""
        if self.state is TransportState.DISCONNECTED:
            self._change(TransportState.CONNECTED)
            self._repeat_key_frame_requests(now)

    def _repeat_key_frame_requests(self, now: float) -> None:
        for producer in self.producers.values():
            producer.on_reachable(now)

    def on_consent_expired(self, last_at: float) -> None:
        """No sign of life came since ``last_at``, so nothing may be sent to the client (RFC 7675 section 5.1)."""
        if not self._heard_since(last_at):
            self.fail("no sign of life from the client any more")

    def _heard_since(self, last_at: float) -> bool:
        """Whether a sign of life came while the event waited in the data plane's queue."""
        heard_at = self.plane.heard_at(self.plane_id)
        return heard_at is not None and heard_at > last_at

    def media_heard_at(self) -> float:
        """Time of its newest authentic RTP or RTCP, in seconds.  Minus infinity if none came."""
        try:
            heard_at = self.plane.media_heard_at(self.plane_id)
        except KeyError:  # the data plane has failed; its `PlaneFailed` still waits in the queue
            heard_at = None
        return -math.inf if heard_at is None else heard_at

    def bandwidth(self) -> BandwidthStats | None:
        """How much the network to the client carries.  None before the first numbered packet."""
        return self.plane.bandwidth_stats(self.plane_id)

    # Time.

    async def run(self) -> None:
        """Handle the timers of this transport until it closes."""
        with self._scope:
            while True:
                self._wake = trio.Event()
                with trio.move_on_at(self.get_timer()):
                    await self._wake.wait()
                # After a failure the same timer would fail again at once.  So the owner has to end this transport.
                if not self.guard(self.handle_timer, trio.current_time()):
                    return

    def wake(self) -> None:
        """Look at the timers again, because one may be due earlier now."""
        self._wake.set()

    def get_timer(self) -> float:
        """Time of the next call of :meth:`handle_timer`.  Infinity if none is needed."""
        timers = [self._handshake_deadline, self.sharing.get_timer(), self._next_review if self._videos else math.inf]
        if self.dtls is not None:
            timers.append(_never_if_none(self.dtls.get_timer()))
        timers += [_never_if_none(producer.get_timer()) for producer in self.producers.values()]
        return min(timers)

    def handle_timer(self, now: float) -> None:
        if now >= self._handshake_deadline:
            self.fail("the DTLS handshake was not done in time")
            return
        if self.dtls is not None:
            self.dtls.handle_timer(now)
            self._flush_dtls(now)
        if self.closed:
            return
        for producer in self.producers.values():
            producer.handle_timer(now)
        if (videos := self._videos) and now >= self._next_review:
            for video in videos:
                video.review_consumers(now)
            self._next_review = now + self.settings.report_interval
        self.sharing.handle_timer(self.consumers.values(), self.plane, self.plane_id, now)

    @property
    def _videos(self) -> list[Producer]:
        """The producers whose consumers may need another encoding."""
        return [producer for producer in self.producers.values() if producer.kind == "video"]

    # The handshake.

    def _start_handshake(self, now: float) -> None:
        assert self.dtls is not None
        self.dtls.start(now)
        self._flush_dtls(now)

    def _flush_dtls(self, now: float) -> None:
        """Send the handshake's datagrams, then act on its events.

        The data plane gets the keys before our last flight leaves.  The client sends media right after that flight,
        and the data plane does not wait for us.
        """
        assert self.dtls is not None
        datagrams, event = self.dtls.datagrams_to_send(), self.dtls.next_event()
        if isinstance(event, DtlsConnected):
            self.plane.set_keys(self.plane_id, event.keys)
            self.plane.set_round_trip(self.plane_id, event.round_trip)
        if self._path is not None:
            for datagram in datagrams:
                self.plane.send(self._path, datagram)
        while event is not None and not self.closed:
            self._follow_dtls(event, now)
            event = self.dtls.next_event()
        self.wake()

    def _follow_dtls(self, event: DtlsEvent, now: float) -> None:
        match event:
            case DtlsConnected():
                self._handshake_deadline = math.inf
                settings = self.settings
                # A random phase.  Otherwise transports that connect together would review and report together for ever.
                self._next_review = now + settings.report_interval * self.context.random.random()
                self.plane.start_reports(self.plane_id, self._next_review, settings.report_interval)
                self.plane.watch(self.plane_id, now, settings.disconnected_after, settings.silence_timeout)
                self._change(TransportState.CONNECTED)
                self._begin_media(now)
            case DtlsFailed(reason):
                self.fail(reason)
            case DtlsClosed():
                self._owner.lose_transport(self, failed=False)

    def _begin_media(self, now: float) -> None:
        for consumer in self.consumers.values():
            consumer.on_unblocked(now)
        for producer in self.producers.values():
            producer.handle_timer(now)

    @property
    def connected(self) -> bool:
        return self.state in {TransportState.CONNECTED, TransportState.DISCONNECTED}

    def _change(self, state: TransportState) -> None:
        self.state = state
        log.debug("transport changed", peer=self.guard.name, transport=self.id, state=str(state))
        self.wake()
        self._owner.transport_changed(self)

    # Events of the streams on it.

    def release_ssrc(self, ssrc: int) -> None:
        """An encoding gets this SSRC.  Take it from the encoding that had it before."""
        for producer in self.producers.values():
            producer.release_ssrc(ssrc)

    def demand_changed(self, producer: Producer) -> None:
        self._owner.demand_changed(producer)

    def share_bandwidth(self, *, if_short: bool = False) -> None:
        """Share out the bandwidth of the receiver's path again, soon.  ``if_short`` is for those who only want more."""
        if self.sharing.ask(if_short=if_short):
            self.wake()

    def on_bandwidth_crossed(self, why: Crossing) -> None:
        """The estimate of the receiver's path crossed a watermark."""
        self.sharing.on_crossed(why)
        self.wake()

    def consumer_updated(self, consumer: Consumer) -> None:
        self._owner.consumer_updated(consumer)

    def consumer_closed(self, consumer: Consumer, why: ConsumerEndReason) -> None:
        self._owner.consumer_closed(consumer, why)

    def forget_producer(self, producer: Producer) -> None:
        self.producers.pop(producer.id, None)
        self._owner.forget_producer(producer)

    def remember_consumer(self, consumer: Consumer) -> None:
        """The data plane sends it on this transport from now on."""
        self.consumers[consumer.producer.plane_id] = consumer
        self.consumer_ssrcs.update(ssrc for ssrc in (consumer.ssrc, consumer.rtx_ssrc) if ssrc is not None)
        self.sharing.on_consumer(consumer)
        self.share_bandwidth()

    def forget_consumer(self, consumer: Consumer) -> None:
        self.consumers.pop(consumer.producer.plane_id, None)
        self.consumer_ssrcs.discard(consumer.ssrc)
        if consumer.rtx_ssrc is not None:
            self.consumer_ssrcs.discard(consumer.rtx_ssrc)
        self.share_bandwidth()
        self._owner.forget_consumer(consumer)

    # The end.

    def fail(self, why: str) -> None:
        """End it because something went wrong.  Its owner gets two notices: ``failed``, then ``closed``."""
        if self.closed:
            return
        log.info("transport failed", peer=self.guard.name, transport=self.id, why=why)
        self._owner.lose_transport(self, failed=True)

    def close(self) -> None:
        """Leave the packet path: synchronous and complete.  The second call does nothing.

        Its producers and consumers must be closed before; :class:`sfu.peer.Peer` keeps that order.
        """
        if not self.closed:
            self.drop()

    def drop(self) -> None:
        """Do all steps of :meth:`close`, also those that failed before."""
        self.closed = True
        self.state = TransportState.CLOSED
        self._scope.cancel()
        self._owner.forget_transport(self)
        self.plane.remove_transport(self.plane_id)

    async def say_goodbye(self) -> None:
        """After :meth:`close`, send a close_notify, so that the client need not wait for silence."""
        await trio.lowlevel.checkpoint()
        if self.dtls is not None and self._path is not None:
            self.dtls.close()
            for datagram in self.dtls.datagrams_to_send():
                self.plane.send(self._path, datagram)


def _never_if_none(timer: float | None) -> float:
    return math.inf if timer is None else timer

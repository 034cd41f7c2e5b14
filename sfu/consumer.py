"""A stream that goes out to one client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sfu.allocation import DEFAULT_PRIORITY, NO_LIMIT
from sfu.dataplane.interface import ConsumerId
from sfu.errors import Conflict
from sfu.layers import Layers, choose_encoding

if TYPE_CHECKING:
    from sfu.allocation import Ladder
    from sfu.dataplane.interface import DataPlane, ProducerId
    from sfu.dataplane.values import ConsumerStats, LayersChanged
    from sfu.guard import Guard
    from sfu.keyframes import Patience
    from sfu.ortc import ConsumerPlan
    from sfu.parameters import MediaKind, RtpParameters
    from sfu.settings import ConsumerEndReason


class ConsumerSource(Protocol):
    """The part of a producer that its consumers use."""

    @property
    def plane_id(self) -> ProducerId: ...
    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> MediaKind: ...
    @property
    def paused(self) -> bool: ...
    @property
    def simulcast(self) -> bool: ...
    @property
    def top_encoding(self) -> int: ...
    @property
    def screen(self) -> bool: ...
    @property
    def speaking(self) -> bool: ...
    @property
    def guard(self) -> Guard: ...

    def change_demand(self, before: int | None, after: int | None) -> None: ...
    def active_encodings(self, now: float) -> list[bool]: ...
    def ladder(self, bounds: Layers | None) -> Ladder: ...
    def request_key_frame(self, encoding: int, consumer_id: str, patience: Patience, now: float) -> None: ...
    def forget_consumer(self, consumer: Consumer) -> None: ...


class ConsumerTransport(Protocol):
    """The part of a transport that its consumers use.  The transport owns them."""

    @property
    def plane(self) -> DataPlane: ...
    @property
    def guard(self) -> Guard: ...
    @property
    def connected(self) -> bool: ...

    def patience(self, producer: ConsumerSource, encoding: int) -> Patience: ...
    def share_bandwidth(self, *, if_short: bool = False) -> None: ...
    def consumer_updated(self, consumer: Consumer) -> None: ...
    def consumer_closed(self, consumer: Consumer, why: ConsumerEndReason) -> None: ...
    def forget_consumer(self, consumer: Consumer) -> None: ...


class Consumer:
    """One producer's stream on one transport of another peer (or of the same).  A plain object, without a task.

    All consumers of equal streams at equal receivers share one ``plan``.  ``paused`` is the wish of its owner,
    ``producer_paused`` that of the producer's owner.  ``held`` says that the receiver may get nothing, whatever its
    owner wishes (:meth:`sfu.peer.Peer.set_deaf`).  ``bounds`` are the highest layers that its owner wants, and
    ``limit`` those for which the receiver's path has room.  ``starved`` says that it has room for none.  ``priority``
    is from 1 to 255; consumers with more get room first.  ``target`` is the encoding that it should forward.  Until a
    key frame of that encoding comes, the data plane goes on with the encoding from before.
    """

    # A channel of 100 has 9,900 consumers: without a dict each takes 40 bytes less.
    __slots__ = (
        "__weakref__",
        "_rtp_parameters",
        "bounds",
        "closed",
        "held",
        "id",
        "layers",
        "limit",
        "paused",
        "plan",
        "plane_id",
        "priority",
        "producer",
        "rtx_ssrc",
        "ssrc",
        "starved",
        "target",
        "transport",
    )

    def __init__(
        self,
        id_: str,
        plane_id: ConsumerId,
        transport: ConsumerTransport,
        producer: ConsumerSource,
        plan: ConsumerPlan,
        rtp_parameters: RtpParameters,
        ssrc: int,
        rtx_ssrc: int | None,
        paused: bool,
        held: bool = False,
    ) -> None:
        self.id = id_
        self.plane_id = plane_id
        self.transport = transport
        self.producer = producer
        self.plan = plan
        self._rtp_parameters: RtpParameters | None = rtp_parameters
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.paused = paused
        self.held = held
        self.closed = False
        self.bounds: Layers | None = None
        self.layers: Layers | None = None
        self.limit = NO_LIMIT
        self.starved = False
        self.priority = DEFAULT_PRIORITY
        self.target = 0

    @property
    def guard(self) -> Guard:
        """Runs code for the peer that receives this stream.  An exception there ends that peer alone."""
        return self.transport.guard

    @property
    def kind(self) -> MediaKind:
        return self.producer.kind

    @property
    def producer_paused(self) -> bool:
        return self.producer.paused

    def take_rtp_parameters(self) -> RtpParameters:
        """Hand out the parameters for the receiver, and forget them to save memory.

        Raises ``Conflict`` the second time.
        """
        parameters, self._rtp_parameters = self._rtp_parameters, None
        if parameters is None:
            raise Conflict("the parameters of this consumer were taken before")
        return parameters

    @property
    def flowing(self) -> bool:
        """Whether the data plane forwards every packet that comes for it."""
        return self.wanted and not self.starved and self.transport.connected

    @property
    def wanted(self) -> bool:
        """Whether its owner and the producer's owner want it to flow, and the receiver may get it."""
        return not (self.closed or self.stopped or self.producer.paused)

    @property
    def stopped(self) -> bool:
        """Whether the receiving side stops it: its owner has paused it, or the gateway holds it."""
        return self.paused or self.held

    def stats(self) -> ConsumerStats:
        """The statistics since it began."""
        return self.transport.plane.consumer_stats(self.plane_id)

    # Key frames.

    def on_unblocked(self, now: float) -> None:
        """Handle the end of a pause or another obstacle.  Without any obstacle left, the receiver needs a key frame."""
        if self.flowing:
            self.request_key_frame(now)

    def on_picture_loss(self, now: float) -> None:
        """The receiver cannot decode (it sent PLI or FIR).

        During a switch it still gets the encoding from before, so it needs a key frame of that one as well.
        """
        if self.flowing and self.kind == "video":
            self._request_key_frame(self.target, now)
            forwarded = self.stats().encoding
            if forwarded is not None and forwarded != self.target:
                self._request_key_frame(forwarded, now)

    def request_key_frame(self, now: float) -> None:
        """Ask the producer for a key frame of the target encoding."""
        if self.kind == "video":
            self._request_key_frame(self.target, now)

    def _request_key_frame(self, encoding: int, now: float) -> None:
        patience = self.transport.patience(self.producer, encoding)
        # Under the producer's guard: a failure there must not end this receiver.
        self.producer.guard(self.producer.request_key_frame, encoding, self.id, patience, now)

    def needs_key_frame(self, encoding: int) -> bool:
        """Whether a key frame of this encoding would let the receiver begin or go on."""
        return self.flowing and (encoding == self.target or encoding == self.stats().encoding)

    # Pauses.

    def set_paused(self, paused: bool, now: float) -> None:
        """Stop it as its owner wishes, or let it go on."""
        self._stop(paused, self.held, now)

    def set_held(self, held: bool, now: float) -> None:
        """Stop it whatever its owner wishes, or let it go on as its owner wishes.  Tell the owner if its layers change.

        Another step may have closed it by now.
        """
        layers = self.layers
        if not self.closed:
            self._stop(self.paused, held, now)
        if self.layers != layers:
            self.transport.consumer_updated(self)

    def _stop(self, paused: bool, held: bool, now: float) -> None:
        if (paused, held) == (self.paused, self.held):
            return
        wanted = self.best_wanted
        self.paused, self.held = paused, held
        self._report_demand(wanted)
        self._apply_pauses()
        self.on_unblocked(now)
        self.transport.share_bandwidth()

    def _apply_pauses(self) -> None:
        """Let the data plane forward it, unless the receiving side or a lack of bandwidth stops it."""
        self.transport.plane.set_consumer_paused(self.plane_id, self.stopped or self.starved)
        self._forget_layers()

    def on_producer_paused(self, now: float) -> None:
        """The producer was paused or resumed.  A notice to another receiver may have closed this consumer by now."""
        if not self.closed:
            self._forget_layers()
            self.on_unblocked(now)
            self.transport.share_bandwidth()
            self.transport.consumer_updated(self)

    def _forget_layers(self) -> None:
        """Forget the layers of a paused stream.  The data plane reports new layers, but it does not report that a pause
        stopped them."""
        if self.stopped or self.starved or self.producer.paused:
            self.layers = None

    # Layers.

    def set_bounds(self, bounds: Layers, now: float) -> None:
        """Forward nothing above these layers."""
        wanted = self.best_wanted
        self.bounds = bounds
        self._report_demand(wanted)
        self._set_layers()
        self.retarget(self.producer.active_encodings(now), now)
        if self.flowing and _rises(self.stats()):
            self.request_key_frame(now)
        self.transport.share_bandwidth()

    def _set_layers(self) -> None:
        """Give the target and the bounds to the data plane.

        With several encodings, each is a spatial layer.  A single encoding may have spatial layers of its own.
        """
        bounds = NO_LIMIT if self.bounds is None else self.bounds
        temporal, spatial = min(bounds.temporal, self.limit.temporal), min(bounds.spatial, self.limit.spatial)
        inside = None if self.producer.simulcast or spatial == NO_LIMIT.spatial else spatial
        self.transport.plane.set_layers(self.plane_id, self.target, temporal, inside)

    @property
    def best_wanted(self) -> int | None:
        """The best encoding that its owner wants, whether or not it flows.  None while it is stopped."""
        if self.stopped:
            return None
        top = self.producer.top_encoding
        return top if self.bounds is None else min(self.bounds.spatial, top)

    def _report_demand(self, before: int | None) -> None:
        # Under the producer's guard, as a key frame request is.
        self.producer.guard(self.producer.change_demand, before, self.best_wanted)

    def best_encoding(self, active: list[bool]) -> int:
        """The best encoding within the bounds that flows now; see :func:`sfu.layers.choose_encoding`."""
        bound = self.limit.spatial if self.bounds is None else min(self.bounds.spatial, self.limit.spatial)
        return choose_encoding(active, bound, self.target)

    def retarget(self, active: list[bool], now: float) -> None:
        """Choose the target encoding again.  A switch needs a key frame of the new one."""
        target = self.best_encoding(active)
        if target != self.target:
            # A receiver can only join an encoding at a key frame.  Until that comes, the data plane goes on with the
            # old encoding, so a switch never leaves the receiver without a picture.
            self.target = target
            self._set_layers()
            self.on_unblocked(now)

    def review(self, active: list[bool], now: float) -> None:
        """Choose the target encoding again.  If it flows but is not forwarded yet, ask for its key frame again."""
        if self.closed:
            return
        self.retarget(active, now)
        # The network may have lost the key frame of a switch, or the request for it.  No event would show that.
        if active[self.target] and self.flowing and self._awaits_key_frame():
            self.request_key_frame(now)

    def _awaits_key_frame(self) -> bool:
        """Whether the receiver would get other layers with a key frame."""
        stats = self.stats()
        return stats.encoding != self.target or _rises(stats)

    # Bandwidth.

    def set_priority(self, priority: int) -> None:
        """Get room before other consumers of the transport that have less priority.  1 to 255."""
        self.priority = priority
        self.transport.share_bandwidth()

    def on_speaking(self) -> None:
        """The person whose picture it is begins to speak."""
        if self.wanted:
            self.transport.share_bandwidth(if_short=True)

    def ladder(self) -> Ladder:
        """The layers that it could get within its bounds, with their rates.  Empty for sound, and if none flow."""
        return self.producer.ladder(self.bounds) if self.kind == "video" else ()

    def is_on_target(self) -> bool:
        """Whether the data plane forwards the target encoding already, with all its layers within the limits."""
        return not self._awaits_key_frame()

    def allot(self, limit: Layers | None, now: float, *, urgent: bool = False) -> None:
        """The receiver's path has room for these layers; None for no room at all.  Tell the owner of a pause.

        ``urgent``: the path carries less than it gets.  Then a larger encoding stops at once, and does not go on until
        the key frame of the new one: what it still sent would fill the queue in front of that.
        """
        if self.closed:
            return
        starved = limit is None
        if limit is not None and limit != self.limit:
            self.limit = limit
            self._set_layers()
            self.retarget(self.producer.active_encodings(now), now)
            if self.flowing and _rises(self.stats()):
                self.request_key_frame(now)
        if urgent and limit is not None:
            self.stop_above_target()
        if starved != self.starved:
            self.starved = starved
            self._apply_pauses()
            self.on_unblocked(now)
            self.transport.consumer_updated(self)

    def stop_above_target(self) -> None:
        """Send nothing more of a larger encoding than the target, although the target's key frame has not come."""
        forwarded = self.stats().encoding
        if forwarded is not None and forwarded > self.target:
            self.transport.plane.set_consumer_paused(self.plane_id, True)
            self._apply_pauses()

    def on_layers_changed(self, event: LayersChanged) -> None:
        """The data plane forwards other layers than before."""
        # A stream with one encoding and no temporal layers has no layers to tell its receiver about.
        layered = self.producer.simulcast or event.temporal is not None
        now_forwarded = event.encoding is not None and layered
        spatial = event.encoding if self.producer.simulcast else event.spatial
        layers = Layers(spatial or 0, event.temporal or 0) if now_forwarded else None
        if layers != self.layers:
            self.layers = layers
            self.transport.consumer_updated(self)

    # The end.

    def notify_closed(self, why: ConsumerEndReason) -> None:
        """Notify its owner of an end that the owner did not ask for."""
        self.transport.consumer_closed(self, why)

    def close(self) -> None:
        """Leave the packet path.  The second call does nothing."""
        if not self.closed:
            self.drop()

    def drop(self) -> None:
        """Do all steps of :meth:`close`, also those that failed before."""
        self.closed = True
        # Leave the tables first: if a later step fails, no event finds the closed consumer any more.
        self.producer.forget_consumer(self)
        self.transport.forget_consumer(self)
        self.transport.plane.remove_consumer(self.plane_id)


def _rises(stats: ConsumerStats) -> bool:
    """Whether a key frame would bring more spatial layers of the encoding that is forwarded now."""
    return stats.spatial is not None and stats.spatial_target is not None and stats.spatial < stats.spatial_target

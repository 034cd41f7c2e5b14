"""A stream that comes in from one client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sfu.allocation import EncodingRates, Ladder, build_ladder
from sfu.closing import drop_by_force
from sfu.damage import PATIENCE, DamagedEncodings
from sfu.dataplane.core import ENCODING_IDLE
from sfu.demand import EncodingDemand
from sfu.keyframes import KeyFrameRequests, Patience

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfu.allocation import LayerRates
    from sfu.consumer import Consumer
    from sfu.context import RouterContext
    from sfu.dataplane.interface import DataPlane, ProducerId, TransportId
    from sfu.dataplane.values import EncodingFlows, EncodingLearned, EncodingStats, RepairFailed
    from sfu.guard import Guard
    from sfu.layers import Layers
    from sfu.ortc import ProducerPlan
    from sfu.parameters import MediaKind


MAX_LADDERS: Final = 16
"""A producer remembers the ladders for this many different bounds of consumers."""


class ProducerTransport(Protocol):
    """The part of a transport that its producers use.  The transport owns them."""

    @property
    def context(self) -> RouterContext: ...
    @property
    def plane(self) -> DataPlane: ...
    @property
    def plane_id(self) -> TransportId: ...
    @property
    def guard(self) -> Guard: ...
    @property
    def connected(self) -> bool: ...

    def wake(self) -> None: ...
    def release_ssrc(self, ssrc: int) -> None: ...
    def demand_changed(self, producer: Producer) -> None: ...
    def forget_producer(self, producer: Producer) -> None: ...


class Producer:
    """A microphone, camera or screen of one client.  A plain object, without a task.

    ``consumers`` are those of every peer that receives it.  The data plane moves its packets; this class decides.
    ``paused`` is the wish of its client.  ``muted`` is that of the gateway, which forwards only the loudest voices.
    ``ssrcs`` has one entry for each encoding: None until the first packet shows the SSRC.  A ``screen`` shows text: it
    comes before cameras where bandwidth is short.  So does a camera whose person is ``speaking``, before others.
    """

    def __init__(
        self,
        id_: str,
        plane_id: ProducerId,
        transport: ProducerTransport,
        plan: ProducerPlan,
        paused: bool,
        screen: bool = False,
    ) -> None:
        self.id = id_
        self.plane_id = plane_id
        self.transport = transport
        self.plan = plan
        self.paused = paused
        self.muted = False
        self.screen = screen
        self.speaking = False
        self.closed = False
        self.consumers: dict[str, Consumer] = {}
        self.ssrcs = [encoding.ssrc for encoding in plan.spec.encodings]
        self._key_frame_requests = KeyFrameRequests(transport.context.settings.key_frame_interval)
        # A microphone has one encoding, which costs little.  Its first syllable must not wait for a sender.
        self._demand = EncodingDemand(len(self.ssrcs)) if self.kind == "video" else None
        self._damaged = DamagedEncodings()
        self._voice_read = (0, 0.0)
        self._rates = [EncodingRates(index, announced) for index, announced in enumerate(plan.max_bitrates)]
        self._flowing = [False] * len(self.ssrcs)
        self._ladders: dict[Layers | None, Ladder] = {}

    @property
    def guard(self) -> Guard:
        """Runs code for the peer that sends this stream.  An exception there ends that peer alone."""
        return self.transport.guard

    @property
    def kind(self) -> MediaKind:
        return self.plan.spec.kind

    @property
    def simulcast(self) -> bool:
        """Whether it has several encodings."""
        return len(self.ssrcs) > 1

    @property
    def top_encoding(self) -> int:
        """The number of its best encoding."""
        return len(self.ssrcs) - 1

    def encoding_stats(self) -> Sequence[EncodingStats]:
        return self.transport.plane.producer_stats(self.plane_id).encodings

    def set_paused(self, paused: bool, now: float) -> None:
        """Tell the owners of its consumers.  A resumed video producer is asked for key frames."""
        if paused == self.paused:
            return
        self.paused = paused
        self.transport.plane.set_producer_paused(self.plane_id, paused)
        self._damaged.await_none()
        for consumer in list(self.consumers.values()):
            consumer.guard(consumer.on_producer_paused, now)
        self.on_reachable(now)

    def take_voice_level(self) -> float:
        """The mean linear amplitude since the last call, 0 to 1 (RFC 6464); 0 if no packet carried a level."""
        stats = self.transport.plane.producer_stats(self.plane_id)
        packets, amplitude = self._voice_read
        self._voice_read = (stats.voice_packets, stats.voice_amplitude)
        fresh = stats.voice_packets - packets
        return (stats.voice_amplitude - amplitude) / fresh if fresh else 0.0

    @property
    def tells_level(self) -> bool:
        """Whether its packets say how loud they are (RFC 6464)."""
        return self.plan.spec.audio_level_id is not None

    def set_muted(self, muted: bool) -> None:
        """Forward nothing of a muted producer.  Nobody is notified, and ``paused`` does not change."""
        if muted != self.muted:
            self.muted = muted
            self.transport.plane.set_producer_muted(self.plane_id, muted)

    # Key frames.

    def request_key_frame(self, encoding: int, consumer_id: str, patience: Patience, now: float) -> None:
        """A consumer needs a key frame; :mod:`sfu.keyframes` says how soon the request leaves."""
        self._key_frame_requests.add(self, encoding, consumer_id, patience, now)
        self.transport.wake()

    def on_repair_failed(self, event: RepairFailed, now: float) -> None:
        """The client could not send lost packets again, so each receiver of this encoding needs a key frame.

        If it cannot send one either, they need another encoding.
        """
        receivers = [id_ for id_ in self.consumers if self.is_needed(event.encoding, id_)]
        if receivers and not self._leaves_damaged(event, now):
            is_asked = self._key_frame_requests.add_all(self, event.encoding, receivers, now)
            if is_asked:
                self._damaged.on_asked(event.encoding, now)
        self.transport.wake()

    def _leaves_damaged(self, event: RepairFailed, now: float) -> bool:
        """Whether the receivers get a lower encoding from now on."""
        stats = self.encoding_stats()
        if not any(self._active(stats, now)[: event.encoding]):
            return False
        failed = stats[event.encoding]
        patience = 0.0 if event.narrow else PATIENCE + 2 * (failed.round_trip or 0.0)
        if not self._damaged.on_repair_failed(event.encoding, failed.key_frames, patience, now):
            return False
        self._stop_damaged(now)
        return True

    def _stop_damaged(self, now: float) -> None:
        """Give the receivers of damaged encodings lower ones, and send them no more pieces of those."""
        self.review_consumers(now)
        for consumer in list(self.consumers.values()):
            consumer.guard(self._stop_if_damaged, consumer)

    def _stop_if_damaged(self, consumer: Consumer) -> None:
        if not consumer.closed and consumer.stats().encoding in self._damaged:
            consumer.stop_above_target()

    def on_reachable(self, now: float) -> None:
        """The client can answer key frame requests again.  Repeat those that it has not answered."""
        for encoding in range(len(self.ssrcs)):
            self._key_frame_requests.retry_soon(self, encoding, now)
        self.transport.wake()

    def handle_timer(self, now: float) -> None:
        """Send the key frame requests that are due, and those that have become possible.  Review the demand."""
        if self._damaged.update(self.key_frames, now):
            self._stop_damaged(now)
        self._key_frame_requests.send_due(self, now)
        if self._demand is not None and self._demand.update(now, self._damaged.resting(now)):
            self.transport.demand_changed(self)

    def get_timer(self) -> float | None:
        """When :meth:`handle_timer` has something to do next; None for never."""
        demand = None if self._demand is None else self._demand.get_timer()
        timers = (self._key_frame_requests.get_timer(self), demand, self._damaged.get_timer())
        return min((timer for timer in timers if timer is not None), default=None)

    def can_be_asked(self, encoding: int) -> bool:
        reachable = self.transport.connected and self.ssrcs[encoding] is not None
        return reachable and not self.paused and (self.plan.pli or self.plan.fir)

    def is_needed(self, encoding: int, receiver: str) -> bool:
        consumer = self.consumers.get(receiver)
        return encoding not in self._damaged and consumer is not None and consumer.needs_key_frame(encoding)

    def key_frames(self, encoding: int) -> int:
        return self.encoding_stats()[encoding].key_frames

    def send_key_frame_request(self, encoding: int, now: float) -> None:
        """Send PLI if the client understands it (RFC 4585 section 6.3.1), else FIR (RFC 5104 section 4.3.1)."""
        self._damaged.on_asked(encoding, now)
        self.transport.plane.request_key_frame(self.plane_id, encoding, full_intra=not self.plan.pli)

    # Demand.

    @property
    def wanted_encodings(self) -> tuple[bool, ...] | None:
        """Whether its client should send each encoding, in rising quality; see :mod:`sfu.demand`.  None for audio."""
        return None if self._demand is None else self._demand.active

    def change_demand(self, before: int | None, after: int | None) -> None:
        """The best encoding that one of its consumers wants has changed.  None stands for no encoding.

        Its own task notifies the client.  So however many consumers change in one step, the client gets one notice.
        """
        if self._demand is not None and self._demand.change(before, after):
            self.transport.wake()

    # Encodings.

    def on_encoding_learned(self, event: EncodingLearned, now: float) -> None:
        """An encoding got its first SSRC, or began anew under another.  From now on it can send key frames."""
        self.transport.release_ssrc(event.ssrc)
        # Under another SSRC an encoder may have begun anew: its clock, losses and key frames count from zero.
        if self.ssrcs[event.encoding] is not None:
            self._key_frame_requests.restart_count(event.encoding)
            self._damaged.forget(event.encoding)
        self.ssrcs[event.encoding] = event.ssrc
        self.review_consumers(now)
        self.handle_timer(now)
        self.transport.wake()

    def release_ssrc(self, ssrc: int) -> None:
        """Another encoding of the transport has this SSRC from now on.

        If one of ours had it, the data plane learns that encoding's next SSRC from its MID.
        """
        self.ssrcs = [None if known == ssrc else known for known in self.ssrcs]

    def on_encoding_flows(self, event: EncodingFlows, now: float) -> None:
        """An encoding begins, or goes on after a long silence, so a key frame request will reach a live encoder."""
        self.review_consumers(now)
        self._key_frame_requests.retry_soon(self, event.encoding, now)
        self.transport.wake()

    def active_encodings(self, now: float) -> list[bool]:
        """Which encodings flow now, and are not damaged."""
        return self._active(self.encoding_stats(), now)

    def _active(self, stats: Sequence[EncodingStats], now: float) -> list[bool]:
        flowing = (one.last_at is not None and now - one.last_at <= ENCODING_IDLE for one in stats)
        return [flows and encoding not in self._damaged for encoding, flows in enumerate(flowing)]

    def review_consumers(self, now: float) -> None:
        """Check whether each consumer gets the encoding that it should.

        Encodings come and go with the sender's bandwidth, and a requested key frame may get lost.
        """
        if self.kind == "video" and not self.paused:
            stats = self.encoding_stats()
            active = self._active(stats, now)
            if not any(active):
                # Nothing takes the place of a damaged encoding any more, so pieces of it are better than nothing.
                self._damaged.clear()
                active = self._active(stats, now)
            is_new_ladder = self._measure(stats, active, now)
            for consumer in list(self.consumers.values()):
                consumer.guard(consumer.review, active, now)
                if is_new_ladder:
                    consumer.guard(consumer.transport.share_bandwidth)

    # Bandwidth.

    def set_speaking(self, speaking: bool) -> None:
        """Let its consumers get bandwidth before others to which their owners gave the same priority, or no longer.

        The end is no haste: nobody waits for that room who would not have it soon.
        """
        begins = speaking and not self.speaking
        self.speaking = speaking
        for consumer in list(self.consumers.values()) if begins else ():
            consumer.guard(consumer.on_speaking)

    def ladder(self, bounds: Layers | None) -> Ladder:
        """The layers within ``bounds`` that flowed at the last review, with their rates."""
        ladder = self._ladders.get(bounds)
        if ladder is None:
            rates: list[LayerRates | None]
            if self.simulcast:
                rates = [one.rates() if flows else None for one, flows in zip(self._rates, self._flowing, strict=True)]
            else:
                rates = [*self._rates[0].spatial_rates()] if self._flowing[0] else [None]
            if len(self._ladders) >= MAX_LADDERS:
                self._ladders.clear()
            ladder = self._ladders[bounds] = build_ladder(rates, bounds, screen=self.screen, inside=not self.simulcast)
        return ladder

    def _measure(self, stats: Sequence[EncodingStats], active: list[bool], now: float) -> bool:
        """Measure the encodings.  Returns whether others flow than before."""
        is_new_ladder = active != self._flowing
        self._flowing = active
        fresh = [rates.sample(totals, now) for rates, totals in zip(self._rates, stats, strict=True)]
        if is_new_ladder or any(fresh):
            self._ladders.clear()
        return is_new_ladder

    # The end.

    def close(self) -> list[Consumer]:
        """Leave the packet path with every consumer of it.  The second call does nothing.

        Returns the consumers that it closed; :class:`sfu.peer.Peer` tells their owners.
        """
        return [] if self.closed else self.drop()

    def drop(self) -> list[Consumer]:
        """Do all steps of :meth:`close`, also those that failed before."""
        self.closed = True
        closed_consumers = list(self.consumers.values())
        for consumer in closed_consumers:
            # Under the consumer's guard: it mostly belongs to another client, whose failure must not stop this close.
            if not consumer.guard(consumer.close):
                drop_by_force(consumer, self.transport.context)
        self.transport.forget_producer(self)
        self.transport.plane.remove_producer(self.plane_id)
        return closed_consumers

    def remember_consumer(self, consumer: Consumer) -> None:
        """The data plane sends it to this consumer from now on."""
        self.consumers[consumer.id] = consumer
        self.change_demand(None, consumer.best_wanted)

    def forget_consumer(self, consumer: Consumer) -> None:
        """It has closed."""
        if self.consumers.pop(consumer.id, None) is not None:
            self.change_demand(consumer.best_wanted, None)

"""A stream that comes in from one client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfu import reports
from sfu.dataplane.core import ENCODING_IDLE
from sfu.dataplane.interface import ProducerId
from sfu.keyframes import KeyFrameRequests, Patience
from sfu.last_sender_report import SourceClock
from sfu.wire import rtcp

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.dataplane.interface import EncodingLearned, EncodingStats
    from sfu.ortc import ProducerPlan
    from sfu.parameters import Kind
    from sfu.transport import Transport


class Producer:
    """A microphone, camera or screen of one client.  A plain object, without a task.

    ``consumers`` are everybody's who gets it.  Its packets are the data plane's; here is what is decided about it.
    """

    def __init__(self, transport: Transport, plan: ProducerPlan, paused: bool) -> None:
        port = transport.port
        self.id = port.new_id()
        self.plane_id = ProducerId(port.new_number())
        self.transport = transport
        self.plan = plan
        self.paused = paused
        self.closed = False
        self.consumers: dict[str, Consumer] = {}
        self.ssrcs = [encoding.ssrc for encoding in plan.spec.encodings]
        self.clocks = [SourceClock() for _ in plan.spec.encodings]
        self._key_frame_requests = KeyFrameRequests(transport.settings.key_frame_interval)
        self._full_intra_requests = 0
        self._voice_read = (0, 0.0)
        self._reported = [(0, 0) for _ in plan.spec.encodings]

    @property
    def kind(self) -> Kind:
        return self.plan.spec.kind

    def encoding_stats(self) -> tuple[EncodingStats, ...]:
        return self.transport.plane.producer_stats(self.plane_id).encodings

    def set_paused(self, paused: bool, now: float) -> None:
        """Its consumers' owners are told, and get a key frame when it goes on."""
        if paused == self.paused:
            return
        self.paused = paused
        self.transport.plane.set_producer_paused(self.plane_id, paused)
        for consumer in list(self.consumers.values()):
            consumer.transport.peer.guard(consumer.producer_changed, now)
        self.may_answer(now)

    def take_voice_level(self) -> float:
        """How loud it was since the last call: the mean linear amplitude, 0–1 (RFC 6464); 0 where nothing came."""
        stats = self.transport.plane.producer_stats(self.plane_id)
        packets, amplitude = self._voice_read
        self._voice_read = (stats.voice_packets, stats.voice_amplitude)
        fresh = stats.voice_packets - packets
        return (stats.voice_amplitude - amplitude) / fresh if fresh else 0.0

    def take_fraction_lost(self, encoding: int, stats: EncodingStats) -> int:
        """What was lost since the last call, in 1/256 of what was expected (RFC 3550 appendix A.3)."""
        expected_before, lost_before = self._reported[encoding]
        self._reported[encoding] = (stats.expected, stats.lost)
        expected, lost = stats.expected - expected_before, stats.lost - lost_before
        return min(lost * 256 // expected, 255) if expected > 0 and lost > 0 else 0

    # Key frames.

    def ask_key_frame(self, encoding: int, consumer_id: str, patience: Patience, now: float) -> None:
        """A consumer needs one; how soon it is asked for, :mod:`sfu.keyframes` says."""
        self._key_frame_requests.ask(self, encoding, consumer_id, patience, now)
        self.transport.wake()

    def may_answer(self, now: float) -> None:
        """It did not answer before, and may from now on."""
        for encoding in range(len(self.ssrcs)):
            self._key_frame_requests.hurry(self, encoding, now)
        self.transport.wake()

    def pump(self, now: float) -> None:
        """Something may be due, or possible again."""
        self._key_frame_requests.pump(self, now)

    def get_timer(self) -> float | None:
        """When :meth:`pump` has something to do next."""
        return self._key_frame_requests.get_timer(self)

    def can_be_asked(self, encoding: int) -> bool:
        can_be_told = self.plan.pli or self.plan.fir
        return can_be_told and self.transport.connected and not self.paused and self.ssrcs[encoding] is not None

    def is_needed(self, encoding: int, receiver: str) -> bool:
        consumer = self.consumers.get(receiver)
        return consumer is not None and consumer.needs_key_frame(encoding)

    def key_frames(self, encoding: int) -> int:
        return self.encoding_stats()[encoding].key_frames

    def send_key_frame_request(self, encoding: int) -> None:
        """PLI where the client knows it (RFC 4585 section 6.3.1), else FIR (RFC 5104 section 4.3.1)."""
        media_ssrc = self.ssrcs[encoding]
        assert media_ssrc is not None
        our_ssrc = self.transport.port.rtcp_ssrc
        request: rtcp.RtcpPacket = rtcp.PictureLossIndication(our_ssrc, media_ssrc)
        if not self.plan.pli:
            entry = rtcp.FullIntraRequestEntry(media_ssrc, self._full_intra_requests % 256)
            self._full_intra_requests += 1
            request = rtcp.FullIntraRequest(our_ssrc, (entry,))
        self.transport.plane.send_rtcp(self.transport.plane_id, reports.feedback(self.transport.port, request))

    # Encodings.

    def learned(self, event: EncodingLearned, now: float) -> None:
        """The SSRC of an encoding became known, so that it can be asked; or it began anew under another one."""
        for other in self.transport.producers.values():
            other.lose_ssrc(event.ssrc)
        if self.ssrcs[event.encoding] is not None:
            self.clocks[event.encoding] = SourceClock()
            self._reported[event.encoding] = (0, 0)
            self._key_frame_requests.begin_anew(event.encoding)
        self.ssrcs[event.encoding] = event.ssrc
        self.review_consumers(now)
        self.pump(now)
        self.transport.wake()

    def lose_ssrc(self, ssrc: int) -> None:
        """Another encoding of the transport has it from now on; this one's next is learnt from its MID."""
        self.ssrcs = [None if known == ssrc else known for known in self.ssrcs]

    def flows(self, encoding: int, now: float) -> None:
        """The first packet of an encoding came, or the first for long: now a request is worth while."""
        self.review_consumers(now)
        self._key_frame_requests.hurry(self, encoding, now)
        self.transport.wake()

    def active_encodings(self, now: float) -> list[bool]:
        """Which encodings flow now."""
        return [stats.last_at is not None and now - stats.last_at <= ENCODING_IDLE for stats in self.encoding_stats()]

    def review_consumers(self, now: float) -> None:
        """Look whether each consumer gets what it should.

        Encodings come and go with the sender's bandwidth, and a key frame that was asked for may never come.
        """
        if self.kind == "video" and not self.paused:
            active = self.active_encodings(now)
            for consumer in list(self.consumers.values()):
                consumer.transport.peer.guard(consumer.review, active, now)

    def sender_report(self, report: rtcp.SenderReport, now: float) -> None:
        """The sender's clocks, for the reports to receivers and for switching between encodings in step."""
        if report.ssrc not in self.ssrcs:
            return
        encoding = self.ssrcs.index(report.ssrc)
        self.clocks[encoding].report(report.ntp, now)
        if report.ntp:  # zero is said by who has no clock (RFC 3550 section 6.4.1)
            self.transport.plane.set_source_clock(self.plane_id, encoding, report.ntp, report.rtp_timestamp, now)

    # The end.

    def close(self) -> list[Consumer]:
        """Leave the packet path with every consumer of it; the second time nothing.

        Returns the consumers that it took with it: their owners are still to be told, by :class:`sfu.peer.Peer`.
        """
        return [] if self.closed else self.drop()

    def drop(self) -> list[Consumer]:
        """What :meth:`close` does, again as far as it failed before."""
        self.closed = True
        transport = self.transport
        orphans = list(self.consumers.values())
        for consumer in orphans:
            if not consumer.transport.peer.guard(consumer.close):
                consumer.transport.peer.drop(consumer)
        for table in (transport.producers, transport.peer.producers):
            table.pop(self.id, None)
        transport.port.producers.pop(self.plane_id, None)
        transport.plane.remove_producer(self.plane_id)
        return orphans

"""Counts every packet that a light client receives, decrypts a sample of them, and asks for missing ones.

SRTP leaves RTP headers in the clear (RFC 3711 section 3.1), so SSRC and sequence number are enough to count.  A
decrypted packet shows its source and its latency.  Retransmissions are all decrypted, because their payload says which
packets they repeat.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable
from typing import Final

from attrs import define, field

from protocol.vocabulary import MediaKind
from tools.light.histogram import Histogram
from tools.light.packet_counts import PacketCounts
from tools.light.stream_meter import StreamMeter
from tools.light.wire.rtcp import Nack, PictureLossIndication, RtcpPacket, receiver_reports

#: A packet is decrypted if its sequence number is a multiple of this.  A prime samples every position in the bursts.
OPEN_EVERY: Final = 11
#: Sender SSRC of this client's feedback: a receiver has no stream of its own.  Browsers use the same one.
FEEDBACK_SSRC: Final = 1
_MAX_STREAMS: Final = 4096
#: Numbers in one NACK.  Each takes at most four bytes, so a NACK fits into a datagram.
_MAX_NUMBERS: Final = 250
_HEADER: Final = struct.Struct("!BBHII")


@define(eq=False)
class PacketMeter:
    """Counts all streams of one endpoint.  Pass it to :func:`tools.light.open_light_client`.

    ``done``, ``done_latency`` and ``done_waited`` hold the figures of closed streams, by kind.  ``strays`` counts
    packets of closed streams and of unexpected ones.  ``lacking`` has the streams with missing packets to ask for.
    ``clock`` returns the time of those requests in seconds.
    """

    open_every: int = OPEN_EVERY
    clock: Callable[[], float] = time.monotonic
    streams: dict[int, StreamMeter] = field(factory=dict)
    done: dict[MediaKind, PacketCounts] = field(factory=lambda: {"audio": PacketCounts(), "video": PacketCounts()})
    done_latency: dict[MediaKind, Histogram] = field(factory=lambda: {"audio": Histogram(), "video": Histogram()})
    done_waited: dict[MediaKind, Histogram] = field(factory=lambda: {"audio": Histogram(), "video": Histogram()})
    strays: int = 0
    lacking: dict[int, StreamMeter] = field(factory=dict)
    #: Streams by the SSRCs of their retransmissions.
    _retransmitted: dict[int, StreamMeter] = field(factory=dict)
    _closed: dict[int, None] = field(factory=dict)

    def expect(
        self,
        ssrc: int,
        kind: MediaKind,
        producer_id: str,
        *,
        vp8: bool = False,
        simulcast: bool = False,
        nack: bool = False,
        rtx_ssrc: int | None = None,
        red: int | None = None,
    ) -> StreamMeter:
        """Expect a producer's stream with this SSRC.  Some of its packets may have come already.

        With ``nack``, ask for missing packets.  If the codec is ``vp8``, ask for none before a key frame.  ``rtx_ssrc``
        is the SSRC of their retransmissions, ``red`` the payload type of redundant audio.  In ``simulcast`` the packets
        may come from several streams of the producer, one after the other.
        """
        meter = self.streams.get(ssrc) or self._add(ssrc)
        meter.kind, meter.producer_id, meter.vp8 = kind, producer_id, vp8
        meter.simulcast = simulcast
        meter.rtx_ssrc, meter.red = rtx_ssrc, red
        if rtx_ssrc is not None:
            self._retransmitted[rtx_ssrc] = meter
        if nack:
            meter.request_missing()
        return meter

    def _add(self, ssrc: int) -> StreamMeter:
        meter = self.streams[ssrc] = StreamMeter(ssrc, clock=self.clock, lacking=self.lacking)
        return meter

    def close(self, ssrc: int) -> None:
        """Stop expecting a stream.  Its counts stay in ``done``."""
        meter = self.streams.pop(ssrc, None)
        if meter is None:
            return
        self._closed[ssrc] = None
        if meter.rtx_ssrc is not None:
            del self._retransmitted[meter.rtx_ssrc]
            self._closed[meter.rtx_ssrc] = None
        self.lacking.pop(ssrc, None)
        while len(self._closed) > _MAX_STREAMS:
            del self._closed[next(iter(self._closed))]
        if meter.kind is None:
            self.strays += meter.counts.packets
            return
        self.done[meter.kind].add(meter.counts)
        self.done_latency[meter.kind].add(meter.latency)
        if meter.missing is not None:
            self.done_waited[meter.kind].add(meter.missing.waited)

    def counts(self, kind: MediaKind) -> PacketCounts:
        """Return the counts of all streams of a kind, closed ones included."""
        total = PacketCounts()
        total.add(self.done[kind])
        for meter in self.streams.values():
            if meter.kind == kind:
                total.add(meter.counts)
        return total

    def take_latency(self, kind: MediaKind) -> Histogram:
        """Return the latencies since the last call."""
        taken = self.done_latency[kind].take()
        for meter in self.streams.values():
            if meter.kind == kind:
                taken.add(meter.latency.take())
        return taken

    def take_waited(self, kind: MediaKind) -> Histogram:
        """Return the times until a requested packet came, since the last call."""
        taken = self.done_waited[kind].take()
        for meter in self.streams.values():
            if meter.kind == kind and meter.missing is not None:
                taken.add(meter.missing.waited.take())
        return taken

    @property
    def next_request(self) -> float:
        """The time at which :meth:`take_requests` is due, or infinity."""
        return min((meter.missing.next_due for meter in self.lacking.values() if meter.missing), default=math.inf)

    def take_requests(self) -> list[RtcpPacket]:
        """Return the feedback that is due: requests for missing packets, and for key frames after failed repairs."""
        now = self.clock()
        requests: list[RtcpPacket] = []
        for ssrc, meter in list(self.lacking.items()):
            missing = meter.missing
            assert missing is not None
            numbers = [number & 0xFFFF for number in missing.take_due(now)]
            for start in range(0, len(numbers), _MAX_NUMBERS):
                requests.append(Nack(FEEDBACK_SSRC, ssrc, tuple(numbers[start : start + _MAX_NUMBERS])))
            if meter.kind == "video" and missing.take_key_frame_request(now):
                requests.append(PictureLossIndication(FEEDBACK_SSRC, ssrc))
            if not missing.packets:
                del self.lacking[ssrc]
        return requests

    def reports(self) -> list[RtcpPacket]:
        """Return receiver reports about all streams with packets since the last call."""
        blocks = [block for meter in self.streams.values() if (block := meter.report()) is not None]
        return [*receiver_reports(FEEDBACK_SSRC, blocks)] if blocks else []

    def receive_untrusted(
        self, buffer: bytearray, size: int, opened: Callable[[], bytes | None], arrived_at: Callable[[], int]
    ) -> None:
        """Count the SRTP packet in the first ``size`` bytes of the buffer.  ``opened`` decrypts it."""
        if size < _HEADER.size:
            self.strays += 1
            return
        _, second, sequence, _, ssrc = _HEADER.unpack_from(buffer)
        meter = self.streams.get(ssrc) or self._unexpected(ssrc)
        if meter is None:
            repeated = self._retransmitted.get(ssrc)
            if repeated is None:
                self.strays += 1
            else:
                repeated.take_retransmission_untrusted(opened(), size)
            return
        newest = meter.take(sequence, size)
        if meter.first_at is None:
            meter.first_at = arrived_at() / 1e9
            meter.begun.set()
            meter.take_opened(opened(), arrived_at)
        elif newest and meter.red == second & 0x7F and meter.may_recover:
            meter.take_redundant_untrusted(opened())
        elif newest and (sequence % self.open_every == 0 or (self.lacking and ssrc in self.lacking)):
            # A stream that lacks packets is watched for the key frame that makes them superfluous.
            meter.take_opened(opened(), arrived_at)

    def _unexpected(self, ssrc: int) -> StreamMeter | None:
        # The first packets may arrive before the answer to `consume`, which tells their SSRC.
        if ssrc in self._retransmitted or ssrc in self._closed or len(self.streams) >= _MAX_STREAMS:
            return None
        return self._add(ssrc)

"""The data plane without sockets and clocks: datagrams and `now` in, datagrams and events out."""

from collections.abc import Callable
from typing import Protocol

from pylibsrtp import Error as SrtpError

from sfu.dataplane.extensions import ExtensionRewriter, MidElement
from sfu.dataplane.incoming import Encoding, Packet, Producer, learnt_names
from sfu.dataplane.interface import (
    ConsumerId,
    ConsumerSpec,
    ConsumerStats,
    Drop,
    EncodingLearned,
    Event,
    Path,
    PlaneTotals,
    ProducerId,
    ProducerSpec,
    ProducerStats,
    RtcpArrived,
    SlowDatagram,
    TransportId,
)
from sfu.dataplane.outgoing import Consumer
from sfu.dataplane.srtp import MAX_DATAGRAM, SrtpTransport, opening_drop
from sfu.dataplane.transport import Transport
from sfu.wire.demux import Protocol as Wire
from sfu.wire.demux import classify
from sfu.wire.errors import BadDatagram
from sfu.wire.rtp import RtpHeader, padding_size_untrusted, parse_header_untrusted
from sfu.wire.srtp import SrtpKeys

MAX_EVENTS = 1024
"""How many datagrams for the slow path are kept between two looks; the rest is dropped."""

_RTCP_HEADER_SIZE = 8

Transmit = Callable[[Path, bytes], Drop | None]
"""Sends a datagram at once, or says why not."""


class RandomSource(Protocol):
    """What is taken of :class:`random.Random`."""

    def randrange(self, start: int, stop: int, /) -> int: ...


class DataPlaneCore:
    """Everything of :class:`sfu.dataplane.interface.DataPlane` but waiting and sockets.

    A shell hands in datagrams through :meth:`receive` and takes the events through :meth:`take_events`.  What leaves
    goes to ``transmit`` before the call that caused it returns, so nothing is queued that a removal would have to
    find.
    """

    def __init__(self, transmit: Transmit, random: RandomSource) -> None:
        self._transmit = transmit
        self._random = random
        self._transports: dict[TransportId, Transport] = {}
        self._producers: dict[ProducerId, Producer] = {}
        self._consumers: dict[ConsumerId, Consumer] = {}
        self._by_path: dict[Path, Transport] = {}
        self._datagrams: list[SlowDatagram | RtcpArrived] = []
        self._learned: dict[tuple[ProducerId, int], int] = {}
        self._changed: dict[ConsumerId, Consumer] = {}
        self._drops = dict.fromkeys(Drop, 0)
        self._packets_in = self._bytes_in = self._packets_out = self._bytes_out = 0
        self._serial = 0

    def close(self) -> None:
        """Nothing leaves any more."""
        self._transmit = _transmit_nothing

    # Transports

    def add_transport(self, transport: TransportId) -> None:
        if transport in self._transports:
            raise ValueError("this transport is there already")
        self._transports[transport] = Transport(transport)

    def set_keys(self, transport: TransportId, keys: SrtpKeys) -> None:
        owner = self._transports[transport]
        if owner.srtp is not None:
            raise ValueError("this transport has its keys")
        owner.srtp = SrtpTransport(keys)

    def add_path(self, transport: TransportId, path: Path) -> None:
        owner = self._transports[transport]
        before = self._by_path.get(path)
        if before is not None and before is not owner:
            before.lose_path(path)
            self._pause_unready(before)
        self._by_path[path] = owner
        if oldest := owner.learn_path(path):
            del self._by_path[oldest]

    def set_send_path(self, transport: TransportId, path: Path) -> None:
        self._transports[transport].send_path = path

    def remove_transport(self, transport: TransportId) -> None:
        owner = self._transports.pop(transport, None)
        if owner is None:
            return
        for consumer in list(owner.consumers):
            self.remove_consumer(consumer)
        for producer in list(owner.producers):
            self.remove_producer(producer)
        for path in owner.paths:
            del self._by_path[path]
        owner.srtp = None
        self._datagrams = [event for event in self._datagrams if event.transport != transport]

    def _pause_unready(self, transport: Transport) -> None:
        if not transport.ready:
            for consumer in transport.consumers.values():
                self._stop(consumer)
                self._aim(consumer)

    # Producers

    def add_producer(self, transport: TransportId, producer: ProducerId, spec: ProducerSpec) -> None:
        owner = self._transports[transport]
        if producer in self._producers:
            raise ValueError("this producer is there already")
        names = learnt_names(spec)
        for other in owner.producers.values():
            if names & learnt_names(other.spec):
                raise ValueError("another producer has this MID and RID")
        ssrcs = [encoding.ssrc for encoding in spec.encodings if encoding.ssrc is not None]
        if len(set(ssrcs)) < len(ssrcs) or not owner.ssrcs.keys().isdisjoint(ssrcs):
            raise ValueError("another encoding has this SSRC")
        added = Producer(producer, owner, spec)
        self._producers[producer] = owner.producers[producer] = added
        for encoding in added.encodings:
            if encoding.ssrc is not None:
                owner.ssrcs[encoding.ssrc] = encoding

    def remove_producer(self, producer: ProducerId) -> None:
        removed = self._producers.pop(producer, None)
        if removed is None:
            return
        owner = removed.transport
        del owner.producers[producer]
        for consumer in removed.consumers.values():
            self._stop(consumer)
            consumer.producer = None
        removed.consumers.clear()
        for encoding in removed.encodings:
            if encoding.ssrc is not None:
                owner.forget_ssrc(encoding.ssrc)
            self._learned.pop((producer, encoding.index), None)

    def set_producer_paused(self, producer: ProducerId, paused: bool) -> None:
        source = self._producers[producer]
        source.paused = paused
        for consumer in source.consumers.values():
            if paused:
                self._stop(consumer)
            self._aim(consumer)

    def set_encoding_clock(self, producer: ProducerId, encoding: int, offset: int) -> None:
        self._producers[producer].encodings[encoding].clock = offset

    # Consumers

    def add_consumer(
        self, transport: TransportId, consumer: ConsumerId, producer: ProducerId, spec: ConsumerSpec
    ) -> None:
        owner, source = self._transports[transport], self._producers[producer]
        if consumer in self._consumers:
            raise ValueError("this consumer is there already")
        if spec.ssrc in owner.sent_ssrcs or spec.ssrc in owner.spent_ssrcs:
            raise ValueError("this SSRC was used on this transport before")
        _check_encoding(source, spec.encoding)
        mid = None if spec.mid is None or spec.mid_id is None else MidElement(spec.mid_id, spec.mid)
        added = Consumer(
            consumer,
            owner,
            source,
            spec,
            # RFC 3711 section 3.3.1: low enough that losing the first packets cannot hide a wrap.
            first_sequence=self._random.randrange(1, 0x8000),
            extensions=_extensions_for(source, spec, mid),
            mid=mid,
            changed=self._changed,
        )
        owner.sent_ssrcs.add(spec.ssrc)
        self._consumers[consumer] = owner.consumers[consumer] = source.consumers[consumer] = added
        self._aim(added)

    def remove_consumer(self, consumer: ConsumerId) -> None:
        removed = self._consumers.pop(consumer, None)
        if removed is None:
            return
        self._stop(removed)
        owner = removed.transport
        del owner.consumers[consumer]
        if removed.producer is not None:
            del removed.producer.consumers[consumer]
            removed.producer = None
        owner.spend_ssrc(removed.ssrc)

    def set_consumer_paused(self, consumer: ConsumerId, paused: bool) -> None:
        paused_one = self._consumers[consumer]
        paused_one.paused = paused
        if paused:
            self._stop(paused_one)
        self._aim(paused_one)

    def set_layers(self, consumer: ConsumerId, encoding: int | None, temporal: int | None) -> None:
        aimed = self._consumers[consumer]
        if aimed.producer is not None:
            _check_encoding(aimed.producer, encoding)
        aimed.target = encoding
        aimed.aim_at_temporal(temporal)
        if encoding is None:
            self._stop(aimed)
        self._aim(aimed)

    def _stop(self, consumer: Consumer) -> None:
        """Take the consumer out of every packet's way."""
        if consumer.awaited is not None:
            del consumer.awaited.waiting[consumer.id]
            consumer.awaited = None
        if consumer.current is not None:
            del consumer.current.routes[consumer.id]
        consumer.stop()

    def _aim(self, consumer: Consumer) -> None:
        """Let the consumer wait for the encoding that it should take up, if that is another than it has."""
        if consumer.awaited is not None:
            del consumer.awaited.waiting[consumer.id]
            consumer.awaited = None
        producer = consumer.producer
        if producer is None or producer.paused or consumer.paused or consumer.target is None:
            return
        encoding = producer.encodings[consumer.target]
        if encoding is not consumer.current:
            encoding.waiting[consumer.id] = consumer
            consumer.awaited = encoding

    # Datagrams

    def receive(self, datagram: bytes, path: Path, now: float) -> None:
        """Work off one datagram.  Whatever it holds, nothing is raised."""
        self._packets_in += 1
        self._bytes_in += len(datagram)
        drop = self._receive(datagram, path, now)
        if drop is not None:
            self._drops[drop] += 1

    def _receive(self, datagram: bytes, path: Path, now: float) -> Drop | None:
        if not datagram:
            return Drop.EMPTY
        if len(datagram) > MAX_DATAGRAM:
            return Drop.OVERSIZED
        wire = classify(datagram)
        transport = self._by_path.get(path)
        if wire is Wire.STUN:
            return self._hand_up(SlowDatagram(path, None if transport is None else transport.id, datagram))
        if wire is Wire.UNKNOWN:
            return Drop.UNKNOWN_PROTOCOL
        if transport is None:
            return Drop.UNKNOWN_ADDRESS
        if wire is Wire.DTLS:
            return self._hand_up(SlowDatagram(path, transport.id, datagram))
        if transport.srtp is None:
            return Drop.NO_KEYS
        if wire is Wire.RTCP:
            return self._receive_rtcp(transport, transport.srtp, datagram, now)
        return self._receive_rtp(transport, transport.srtp, datagram, now)

    def _hand_up(self, event: SlowDatagram | RtcpArrived) -> Drop | None:
        if len(self._datagrams) >= MAX_EVENTS:
            return Drop.EVENTS_FULL
        self._datagrams.append(event)
        return None

    def _receive_rtcp(self, transport: Transport, srtp: SrtpTransport, datagram: bytes, now: float) -> Drop | None:
        if len(datagram) < _RTCP_HEADER_SIZE:
            return Drop.MALFORMED_RTCP
        try:
            packet = srtp.open_rtcp(datagram)
        except SrtpError as error:
            return opening_drop(error)
        transport.note_rtcp_sender(int.from_bytes(packet[4:8]))
        return self._hand_up(RtcpArrived(transport.id, packet, now))

    def _receive_rtp(self, transport: Transport, srtp: SrtpTransport, datagram: bytes, now: float) -> Drop | None:
        # The header is in the clear, so whose packet it would be is known before it is opened.
        try:
            header = parse_header_untrusted(datagram)
        except BadDatagram:
            return Drop.MALFORMED_RTP
        encoding = transport.ssrcs.get(header.ssrc) or transport.named_by(header)
        if encoding is None:
            return Drop.UNKNOWN_STREAM
        try:
            plain = srtp.open_rtp(datagram)
        except SrtpError as error:
            return opening_drop(error)
        if header.size > len(plain):
            return Drop.MALFORMED_RTP
        if encoding.ssrc != header.ssrc:
            self._learn(encoding, header.ssrc)
        return self._count_and_forward(encoding, header, plain, now)

    def _learn(self, encoding: Encoding, ssrc: int) -> None:
        """An authenticated packet told the encoding's SSRC."""
        transport = encoding.producer.transport
        if encoding.ssrc is not None:
            transport.forget_ssrc(encoding.ssrc)
            for consumer in list(encoding.routes.values()):
                self._stop(consumer)
                self._aim(consumer)
        encoding.restart(ssrc)
        transport.ssrcs[ssrc] = encoding
        self._learned[encoding.producer.id, encoding.index] = ssrc

    def _count_and_forward(self, encoding: Encoding, header: RtpHeader, plain: bytes, now: float) -> Drop | None:
        try:
            payload_size = len(plain) - header.size - padding_size_untrusted(plain, header)
        except BadDatagram:
            return Drop.MALFORMED_RTP
        newest_before = encoding.reception.highest_sequence if encoding.reception.packets else -1
        extended = encoding.reception.arrived(header.sequence_number, header.timestamp, len(plain), now)
        payload_type = encoding.producer.spec.payload_types.get(header.payload_type)
        if payload_type is None or not payload_size:
            for consumer in encoding.routes.values():
                consumer.leave_out(extended)
            return Drop.UNKNOWN_PAYLOAD_TYPE if payload_type is None else Drop.PADDING_ONLY
        newest = extended > newest_before
        frame, picture = encoding.inspect(plain, header, newest)
        if encoding.producer.paused:
            return Drop.PRODUCER_PAUSED
        encoding.producer.hear(header)
        self._serial += 1
        self._forward(
            encoding,
            Packet(plain, header, extended, newest, payload_type, payload_size, frame, picture, self._serial, now),
        )
        return None

    def _forward(self, encoding: Encoding, packet: Packet) -> None:
        frame = packet.frame
        if frame is not None and frame.temporal > encoding.top_temporal:
            encoding.top_temporal = frame.temporal
            self._changed.update(encoding.routes)
        if encoding.waiting and packet.newest and (frame is None or frame.key):
            self._begin_waiting(encoding, packet)
        for consumer in encoding.routes.values():
            plain = consumer.rewrite(packet)
            if plain is not None and self._seal_and_send(consumer.transport, plain):
                consumer.sent(packet, len(plain))

    def _begin_waiting(self, encoding: Encoding, packet: Packet) -> None:
        for consumer in list(encoding.waiting.values()):
            if consumer.can_begin(packet):
                if consumer.current is not None:
                    del consumer.current.routes[consumer.id]
                del encoding.waiting[consumer.id]
                consumer.awaited = None
                consumer.begin(encoding, packet)
                encoding.routes[consumer.id] = consumer

    def _seal_and_send(self, transport: Transport, plain: bytes) -> bool:
        if transport.srtp is None or transport.send_path is None:
            return False
        try:
            sealed = transport.srtp.seal_rtp(plain)
        except ValueError:
            self._drops[Drop.OVERSIZED] += 1
            return False
        except SrtpError:
            self._drops[Drop.SEND_FAILED] += 1
            return False
        return self._send(transport.send_path, sealed)

    def _send(self, path: Path, datagram: bytes) -> bool:
        drop = self._transmit(path, datagram)
        if drop is not None:
            self._drops[drop] += 1
            return False
        self._packets_out += 1
        self._bytes_out += len(datagram)
        return True

    def send(self, path: Path, datagram: bytes) -> None:
        self._send(path, datagram)

    def send_rtcp(self, transport: TransportId, packet: bytes) -> None:
        owner = self._transports[transport]
        if owner.srtp is None or owner.send_path is None or len(packet) < _RTCP_HEADER_SIZE:
            return
        if int.from_bytes(packet[4:8]) in owner.spent_ssrcs:
            return
        try:
            sealed = owner.srtp.seal_rtcp(packet)
        except ValueError:
            self._drops[Drop.OVERSIZED] += 1
        except SrtpError:
            self._drops[Drop.SEND_FAILED] += 1
        else:
            self._send(owner.send_path, sealed)

    # What is known

    def take_events(self) -> list[Event]:
        """What came of the datagrams since the last call: changes first, then what the slow path has to read."""
        events: list[Event] = [EncodingLearned(*key, ssrc) for key, ssrc in self._learned.items()]
        for consumer in self._changed.values():
            if change := consumer.changed_layers():
                events.append(change)
        events += self._datagrams
        self._learned.clear()
        self._changed.clear()
        self._datagrams = []
        return events

    def count_drop(self, reason: Drop) -> None:
        self._drops[reason] += 1

    def producer_stats(self, producer: ProducerId) -> ProducerStats:
        source = self._producers[producer]
        return ProducerStats(
            encodings=tuple(encoding.stats() for encoding in source.encodings),
            voice_packets=source.voice_packets,
            voice_amplitude=source.voice_amplitude,
        )

    def consumer_stats(self, consumer: ConsumerId) -> ConsumerStats:
        return self._consumers[consumer].stats()

    def totals(self) -> PlaneTotals:
        return PlaneTotals(
            packets_in=self._packets_in,
            bytes_in=self._bytes_in,
            packets_out=self._packets_out,
            bytes_out=self._bytes_out,
            drops=dict(self._drops),
            transports=len(self._transports),
            producers=len(self._producers),
            routes=sum(len(producer.consumers) for producer in self._producers.values()),
            paths=len(self._by_path),
        )


def _transmit_nothing(path: Path, datagram: bytes) -> Drop:
    return Drop.SEND_FAILED


def _check_encoding(producer: Producer, encoding: int | None) -> None:
    if encoding is not None and not 0 <= encoding < len(producer.encodings):
        raise ValueError("the producer has no such encoding")


def _extensions_for(producer: Producer, spec: ConsumerSpec, mid: MidElement | None) -> ExtensionRewriter:
    """The rewriter for this consumer, shared with the producer's other consumers that take the same."""
    source = producer.spec
    own = {source.mid_id, source.rid_id}
    ids = {
        client: router
        for client, router in source.extension_ids.items()
        if router in spec.extension_ids and client not in own and not (mid is not None and router == spec.mid_id)
    }
    key = (frozenset(ids.items()), spec.mid_id if mid else None, len(mid.two_byte) if mid else 0)
    rewriter = producer.rewriters.get(key)
    if rewriter is None:
        rewriter = producer.rewriters[key] = ExtensionRewriter(ids, mid)
    return rewriter

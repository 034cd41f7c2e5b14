"""The data plane without sockets and clocks: datagrams and `now` in, datagrams and events out."""

from typing import Protocol

from pylibsrtp import Error as SrtpError

from sfu.dataplane.extensions import ExtensionRewriter, MidElement
from sfu.dataplane.incoming import Producer, learnt_names
from sfu.dataplane.interface import (
    ConsumerId,
    ConsumerSpec,
    ConsumerStats,
    Drop,
    Path,
    ProducerId,
    ProducerSpec,
    ProducerStats,
    TransportId,
)
from sfu.dataplane.outgoing import Consumer
from sfu.dataplane.packet_path import RTCP_HEADER_SIZE, PacketPath, Transmit
from sfu.dataplane.routing import aim, restart, stop
from sfu.dataplane.srtp import SrtpTransport
from sfu.dataplane.transport import Transport
from sfu.wire.srtp import SrtpKeys


class RandomSource(Protocol):
    """What is taken of :class:`random.Random`."""

    def randrange(self, start: int, stop: int, /) -> int: ...


class DataPlaneCore(PacketPath):
    """Everything of :class:`sfu.dataplane.interface.DataPlane` but waiting and sockets, which a shell adds."""

    def __init__(self, transmit: Transmit, random: RandomSource) -> None:
        super().__init__(transmit)
        self._random = random

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
                restart(consumer)

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
            stop(consumer)
            consumer.producer = None
        removed.consumers.clear()
        for encoding in removed.encodings:
            if encoding.ssrc is not None:
                owner.forget_ssrc(encoding.ssrc)
            self._learned.pop((producer, encoding.index), None)
        removed.encodings.clear()  # who know it, too

    def set_producer_paused(self, producer: ProducerId, paused: bool) -> None:
        source = self._producers[producer]
        source.paused = paused
        for consumer in source.consumers.values():
            if paused:
                stop(consumer)
            aim(consumer)

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
        aim(added)

    def remove_consumer(self, consumer: ConsumerId) -> None:
        removed = self._consumers.pop(consumer, None)
        if removed is None:
            return
        stop(removed)
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
            stop(paused_one)
        aim(paused_one)

    def set_layers(self, consumer: ConsumerId, encoding: int | None, temporal: int | None) -> None:
        aimed = self._consumers[consumer]
        if aimed.producer is not None:
            _check_encoding(aimed.producer, encoding)
        aimed.target = encoding
        aimed.aim_at_temporal(temporal)
        if encoding is None:
            stop(aimed)
        aim(aimed)

    # What goes out, and what is known

    def send(self, path: Path, datagram: bytes) -> None:
        self._send(path, datagram)

    def send_rtcp(self, transport: TransportId, packet: bytes) -> None:
        owner = self._transports[transport]
        if owner.srtp is None or owner.send_path is None or len(packet) < RTCP_HEADER_SIZE:
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

    def consumer_packets(self, consumer: ConsumerId) -> int:
        return self._consumers[consumer].packets


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

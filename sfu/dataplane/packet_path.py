"""What happens to a datagram: told apart, opened, counted, and forwarded to whoever takes it."""

from collections.abc import Callable

from pylibsrtp import Error as SrtpError

from sfu.dataplane.incoming import Encoding, Packet, Producer
from sfu.dataplane.interface import (
    ConsumerId,
    Drop,
    EncodingLearned,
    Event,
    Path,
    PlaneTotals,
    ProducerId,
    RtcpArrived,
    SlowDatagram,
    TransportId,
)
from sfu.dataplane.outgoing import Consumer
from sfu.dataplane.routing import begin_waiting, restart
from sfu.dataplane.srtp import MAX_DATAGRAM, SrtpTransport, opening_drop
from sfu.dataplane.transport import Transport
from sfu.wire.demux import Protocol, classify
from sfu.wire.errors import BadDatagram
from sfu.wire.rtp import RtpHeader, padding_size_untrusted, parse_header_untrusted

MAX_EVENTS = 1024
"""How many datagrams for the slow path are kept between two looks; the rest is dropped."""

RTCP_HEADER_SIZE = 8

Transmit = Callable[[Path, bytes], Drop | None]
"""Sends a datagram at once, or says why not."""


class PacketPath:
    """The tables, and the way of the packets through them; :mod:`sfu.dataplane.core` changes them.

    A shell hands in datagrams through :meth:`receive` and takes the events through :meth:`take_events`.  What leaves
    goes to ``transmit`` before the call that caused it returns, so nothing is queued that a removal would have to
    find.
    """

    def __init__(self, transmit: Transmit) -> None:
        self._transmit = transmit
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
        if wire is Protocol.STUN:
            return self._hand_up(SlowDatagram(path, None if transport is None else transport.id, datagram))
        if wire is Protocol.UNKNOWN:
            return Drop.UNKNOWN_PROTOCOL
        if transport is None:
            return Drop.UNKNOWN_ADDRESS
        if wire is Protocol.DTLS:
            return self._hand_up(SlowDatagram(path, transport.id, datagram))
        if transport.srtp is None:
            return Drop.NO_KEYS
        if wire is Protocol.RTCP:
            return self._receive_rtcp(transport, transport.srtp, datagram, now)
        return self._receive_rtp(transport, transport.srtp, datagram, now)

    def _hand_up(self, event: SlowDatagram | RtcpArrived) -> Drop | None:
        if len(self._datagrams) >= MAX_EVENTS:
            return Drop.EVENTS_FULL
        self._datagrams.append(event)
        return None

    def _receive_rtcp(self, transport: Transport, srtp: SrtpTransport, datagram: bytes, now: float) -> Drop | None:
        if len(datagram) < RTCP_HEADER_SIZE:
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
                restart(consumer)
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
            Packet(
                plain=plain,
                header=header,
                extended=extended,
                newest=newest,
                payload_type=payload_type,
                payload=plain[header.size :],
                payload_size=payload_size,
                frame=frame,
                picture=picture,
                serial=self._serial,
                now=now,
            ),
        )
        return None

    def _forward(self, encoding: Encoding, packet: Packet) -> None:
        frame = packet.frame
        if frame is not None and frame.temporal > encoding.top_temporal:
            encoding.top_temporal = frame.temporal
            self._changed.update(encoding.routes)
        if encoding.waiting and packet.newest and (frame is None or frame.key):
            begin_waiting(encoding, packet)
        transmit, drops = self._transmit, self._drops
        sent = size = 0
        for consumer in encoding.routes.values():
            plain = consumer.rewrite(packet)
            if plain is None:
                continue
            transport = consumer.transport
            sealed = self._seal(transport, plain)
            if sealed is None or transport.send_path is None:
                continue
            drop = transmit(transport.send_path, sealed)
            if drop is not None:
                drops[drop] += 1
                continue
            sent += 1
            size += len(sealed)
            consumer.sent(packet, len(plain))
        self._packets_out += sent
        self._bytes_out += size

    def _seal(self, transport: Transport, plain: bytes) -> bytes | None:
        if transport.srtp is None:
            return None
        try:
            return transport.srtp.seal_rtp(plain)
        except ValueError:
            self._drops[Drop.OVERSIZED] += 1
        except SrtpError:
            self._drops[Drop.SEND_FAILED] += 1
        return None

    def _send(self, path: Path, datagram: bytes) -> bool:
        drop = self._transmit(path, datagram)
        if drop is not None:
            self._drops[drop] += 1
            return False
        self._packets_out += 1
        self._bytes_out += len(datagram)
        return True

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

"""A data plane core with clients around it that seal and open packets by themselves."""

import select
import socket
from collections import Counter
from inspect import signature
from random import Random
from typing import Any

from attrs import evolve, frozen
from pylibsrtp import Policy, Session

from sfu.dataplane.core import DataPlaneCore
from sfu.dataplane.interface import ConsumerId, DataPlane, DropReason, Path, ProducerId, TransportId
from sfu.dataplane.udp import UdpDataPlane
from sfu.dataplane.values import (
    ConsumerFormat,
    EncodingFlows,
    EncodingSpec,
    Event,
    PathSelected,
    PlaneTotals,
    ProducerSpec,
)
from sfu.wire.srtp import SrtpKeys, SrtpProfile
from tests.wire.binding import refusal, request
from tools.light.wire.demux import Protocol, classify
from tools.light.wire.rtcp import RtcpPacket, SenderReport, parse_untrusted
from tools.light.wire.rtcp import encode as rtcp_bytes
from tools.light.wire.rtp import RtpHeader, encode, parse_header_untrusted

PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
PASSWORD = "a password of thirty-two letters"
AUDIO = ProducerSpec(
    kind="audio", codec="audio/opus", clock_rate=48000, payload_types={111: 100}, encodings=[EncodingSpec(ssrc=1111)]
)
VIDEO = ProducerSpec(
    kind="video", codec="video/vp8", clock_rate=90000, payload_types={96: 101}, encodings=[EncodingSpec(ssrc=2222)]
)


def changed(spec: ProducerSpec, **changes: Any) -> ProducerSpec:
    """The same specification but for these fields."""
    return ProducerSpec(**{name: getattr(spec, name) for name in signature(ProducerSpec).parameters} | changes)


@frozen
class ConsumerSpec:
    """The arguments of ``add_consumer`` for a receiver that takes every payload type of these tests."""

    ssrc: int = 7000
    extension_ids: frozenset[int] = frozenset()
    mid: str | None = None
    mid_id: int | None = None
    encoding: int | None = 0
    temporal: int | None = None
    report_interval: float = 1
    paused: bool = False

    def add_to(self, plane: DataPlane, transport: TransportId, consumer: ConsumerId, producer: ProducerId) -> None:
        plane.add_consumer(
            transport,
            consumer,
            producer,
            ConsumerFormat({100, 101}, self.extension_ids, self.mid_id, self.report_interval),
            self.ssrc,
            self.mid,
            encoding=self.encoding,
            temporal=self.temporal,
            paused=self.paused,
        )


def srtp_session(profile: SrtpProfile, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[profile])
    policy.window_size = 1024
    policy.allow_repeat_tx = True
    return Session(policy)


class Client:
    """The other end of a transport."""

    def __init__(self, rig: "Rig", number: int, profile: SrtpProfile) -> None:
        self.rig = rig
        self.transport = TransportId(number)
        self.path = Path("192.0.2.1", 10000 + number)
        size = profile.key_length + profile.salt_length
        self.keys = SrtpKeys(profile, receive=bytes([2 * number]) * size, send=bytes([2 * number + 1]) * size)
        self.sending = srtp_session(profile, self.keys.receive, Policy.SSRC_ANY_OUTBOUND)
        self.receiving = srtp_session(profile, self.keys.send, Policy.SSRC_ANY_INBOUND)

    def connect(self) -> None:
        self.rig.core.set_keys(self.transport, self.keys)
        self.check()

    def check(self, path: Path | None = None, *, nominate: bool = False) -> None:
        """Send a connectivity check from this path, and drop its answer.  Answer a check of the plane."""
        sent, before = len(self.rig.sent), self.rig.core.totals()
        path = path or self.path
        self.rig.core.receive(binding_request(self.transport, nominate=nominate), path, self.rig.now)
        _, *checks = self.rig.sent[sent:]
        del self.rig.sent[sent:]
        for to, check in checks:
            assert to == path
            self.rig.core.receive(refusal(check), path, self.rig.now)
        self.rig.checks += _traffic(self.rig.core.totals()) - _traffic(before)

    def report(self, ssrc: int, ntp: int, timestamp: int) -> None:
        """Send a sender report."""
        self.arrive(self.sending.protect_rtcp(rtcp_bytes([SenderReport(ssrc, ntp, timestamp, 1, 50)])))

    def arrive(self, datagram: bytes) -> None:
        """Let the data plane receive these bytes from here."""
        self.rig.core.receive(datagram, self.path, self.rig.now)

    def send(self, plain: bytes) -> None:
        self.arrive(self.sending.protect(plain))

    def send_rtp(
        self,
        sequence_number: int,
        *,
        ssrc: int = 1111,
        payload_type: int = 111,
        timestamp: int | None = None,
        payload: bytes = b"media",
        marker: bool = False,
        extensions: tuple[tuple[int, bytes], ...] = (),
        padding: int = 0,
    ) -> None:
        self.send(
            encode(
                payload_type=payload_type,
                sequence_number=sequence_number & 0xFFFF,
                timestamp=(sequence_number * 960 if timestamp is None else timestamp) & 0xFFFFFFFF,
                ssrc=ssrc,
                payload=payload,
                marker=marker,
                extensions=extensions,
                padding=padding,
            )
        )

    def datagrams(self) -> list[bytes]:
        """The datagrams sent here since the last call, still sealed."""
        mine = [datagram for path, datagram in self.rig.sent if path == self.path]
        self.rig.sent = [(path, datagram) for path, datagram in self.rig.sent if path != self.path]
        return mine

    def _take(self, protocol: Protocol) -> list[bytes]:
        mine = [(path, datagram) for path, datagram in self.rig.sent if path == self.path]
        taken = [one for one in mine if classify(one[1]) is protocol]
        self.rig.sent = [one for one in self.rig.sent if one not in taken]
        return [datagram for _, datagram in taken]

    def packets(self) -> list[bytes]:
        """The RTP packets sent here since the last call, opened."""
        return [self.receiving.unprotect(datagram) for datagram in self._take(Protocol.RTP)]

    def reports(self) -> list[list[RtcpPacket]]:
        """The compound RTCP packets sent here since the last call, opened."""
        return [parse_untrusted(self.receiving.unprotect_rtcp(datagram)) for datagram in self._take(Protocol.RTCP)]

    def headers(self) -> list[RtpHeader]:
        return [parse_header_untrusted(packet) for packet in self.packets()]

    def payloads(self) -> list[bytes]:
        return [packet[parse_header_untrusted(packet).size :] for packet in self.packets()]


class Rig:
    def __init__(self, seed: int = 0) -> None:
        self.sent: list[tuple[Path, bytes]] = []
        self.now = 1000.0
        self.refuse: DropReason | None = None
        self.checks: Counter[str] = Counter()
        self.core = DataPlaneCore(self._transmit, Random(seed))
        self._numbers = 0

    def _transmit(self, path: Path, datagram: bytes) -> DropReason | None:
        if self.refuse is None:
            self.sent.append((path, datagram))
        return self.refuse

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def client(self, profile: SrtpProfile = SrtpProfile.AEAD_AES_128_GCM, *, connected: bool = True) -> Client:
        client = Client(self, self.number(), profile)
        self.core.add_transport(client.transport)
        self.core.set_credentials(client.transport, username_fragment(client.transport), PASSWORD)
        if connected:
            client.connect()
        return client

    def produce(self, client: Client, spec: ProducerSpec = AUDIO) -> ProducerId:
        producer = ProducerId(self.number())
        self.core.add_producer(client.transport, producer, spec)
        return producer

    def consume(self, client: Client, producer: ProducerId, spec: ConsumerSpec | None = None) -> ConsumerId:
        """Add a consumer, with its number added to the SSRC of the specification."""
        consumer = ConsumerId(self.number())
        spec = spec or ConsumerSpec()
        evolve(spec, ssrc=spec.ssrc + consumer).add_to(self.core, client.transport, consumer, producer)
        return consumer

    def call(self, spec: ProducerSpec = AUDIO) -> tuple[Client, ProducerId, Client, ConsumerId]:
        """A sender and a receiver of its stream."""
        sender, receiver = self.client(), self.client()
        producer = self.produce(sender, spec)
        return sender, producer, receiver, self.consume(receiver, producer)

    def dropped(self) -> dict[DropReason, int]:
        """The drop counters that are not zero."""
        return {reason: count for reason, count in self.core.totals().drops.items() if count}

    def traffic(self) -> dict[str, int]:
        """Packets and bytes in both directions, without connectivity checks and their answers."""
        return _traffic(self.core.totals()) - self.checks

    def all_events(self) -> list[Event]:
        """All events but those about paths, as every test connects its clients."""
        return [event for event in self.core.take_events() if not isinstance(event, PathSelected)]

    def events(self) -> list[Event]:
        """All events but those about paths and about encodings that begin to flow, as nearly every test sends media."""
        return [event for event in self.all_events() if not isinstance(event, EncodingFlows)]


def _traffic(totals: PlaneTotals) -> Counter[str]:
    names = ("packets_in", "packets_out", "bytes_in", "bytes_out")
    return Counter({name: getattr(totals, name) for name in names})


def username_fragment(transport: TransportId) -> str:
    return f"{transport:016}"


def binding_request(transport: TransportId, *, nominate: bool = False) -> bytes:
    """A connectivity check with the credentials of this transport."""
    return request(f"{username_fragment(transport)}:them", PASSWORD, nominate=nominate)


def connect_socket(plane: UdpDataPlane, transport: TransportId, keys: SrtpKeys, remote: socket.socket) -> None:
    """Add a transport, and let a connectivity check from this socket reach it.  Drop its answer and its event."""
    plane.add_transport(transport)
    plane.set_credentials(transport, username_fragment(transport), PASSWORD)
    plane.set_keys(transport, keys)
    address = next(address for address in plane.addresses if (":" in address[0]) == (remote.family == socket.AF_INET6))
    remote.sendto(binding_request(transport), address)
    assert select.select([remote], [], [], 5)[0]
    remote.recv(2000)
    plane.poll(0.0)

"""Signs of life, and the events about clients that give none."""

from collections.abc import Callable
from itertools import permutations

import pytest

from sfu.dataplane.core import ENCODING_IDLE
from sfu.dataplane.interface import DropReason, Path, TransportId
from sfu.dataplane.values import CameBack, ConsentExpired, EncodingFlows, EncodingSpec, FellSilent
from tests.dataplane.core_with_clients import AUDIO, PASSWORD, VIDEO, Client, Rig, changed, username_fragment
from tests.wire.binding import attribute, message, request, sealed
from tools.light.wire.rtp import encode

USERNAME = f"{username_fragment(TransportId(1))}:them"
SILENT_AFTER, LOST_AFTER = 7.0, 30.0
RTCP_REPORT = bytes.fromhex("80c90001 00000457")
HINT = message(message_type=0x0011)


class Watched:
    """A client that sends audio, and is watched from now on."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.client: Client = self.rig.client()
        self.rig.produce(self.client, AUDIO)
        self.transport = self.client.transport
        self.rig.core.watch(self.transport, self.rig.now, SILENT_AFTER, LOST_AFTER)

    def voice(self, number: int = 1, ssrc: int = 1111) -> bytes:
        sealed: bytes = self.client.sending.protect(
            encode(
                payload_type=111, sequence_number=number, timestamp=number, ssrc=ssrc, payload=b"voice", marker=False
            )
        )
        return sealed

    def report(self) -> bytes:
        sealed: bytes = self.client.sending.protect_rtcp(RTCP_REPORT)
        return sealed

    def pass_time(self, seconds: float) -> None:
        self.rig.now += seconds
        self.rig.core.handle_timer(self.rig.now)


SIGNS: dict[str, Callable[[Watched], bytes]] = {
    "RTP": Watched.voice,
    "a report": Watched.report,
    "a Binding request": lambda _: request(USERNAME, PASSWORD),
    "a Binding indication that is authentic": lambda _: sealed(
        message(attribute(0x0006, USERNAME.encode()), message_type=0x0011), PASSWORD
    ),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_every_authentic_sign_puts_silence_off_and_ends_it(sign: str) -> None:
    watched = Watched()
    for _ in range(3):
        watched.pass_time(SILENT_AFTER - 0.001)
        assert watched.rig.events() == []
        datagram = SIGNS[sign](watched) if sign != "RTP" else watched.voice(round(watched.rig.now))
        watched.client.arrive(datagram)
        assert watched.rig.core.heard_at(watched.transport) == watched.rig.now
    heard_at = watched.rig.now
    watched.pass_time(SILENT_AFTER)
    assert watched.rig.events() == [FellSilent(watched.transport, heard_at)]
    watched.pass_time(1)
    assert watched.rig.events() == []
    watched.client.arrive(SIGNS[sign](watched) if sign != "RTP" else watched.voice(round(watched.rig.now)))
    assert watched.rig.events() == [CameBack(watched.transport)]


@pytest.mark.parametrize("sign", ["RTP", "a report"])
def test_a_replayed_or_forged_packet_is_no_sign(sign: str) -> None:
    watched = Watched()
    datagram = SIGNS[sign](watched)
    forged = datagram[:-1] + bytes([datagram[-1] ^ 1])
    watched.client.arrive(datagram)
    heard_at = watched.rig.now
    for repetition in (datagram, forged, b"", b"\x80", datagram[:20]):
        watched.pass_time(1)
        watched.client.arrive(repetition)
    assert watched.rig.core.heard_at(watched.transport) == heard_at
    assert watched.rig.core.media_heard_at(watched.transport) == heard_at


def test_a_forged_binding_is_no_sign() -> None:
    watched = Watched()
    heard_at = watched.rig.now
    for forged in (request(USERNAME, "another password"), request("somebody:else", PASSWORD)):
        watched.pass_time(1)
        watched.client.arrive(forged)
    assert watched.rig.core.heard_at(watched.transport) == heard_at


def test_bindings_are_not_media() -> None:
    watched = Watched()
    watched.pass_time(1)
    watched.client.arrive(request(USERNAME, PASSWORD))
    assert watched.rig.core.media_heard_at(watched.transport) is None
    watched.pass_time(1)
    watched.client.arrive(watched.report())
    assert watched.rig.core.media_heard_at(watched.transport) == watched.rig.now


def test_an_indication_without_integrity_puts_off_silence_but_not_the_loss_of_consent() -> None:
    watched = Watched()
    heard_at = watched.rig.now
    events = []
    for _ in range(40):
        watched.pass_time(1)
        watched.client.arrive(HINT)
        events += watched.rig.events()
    assert events == [ConsentExpired(watched.transport, heard_at)]
    assert watched.rig.core.heard_at(watched.transport) == heard_at
    assert watched.rig.dropped() == {}


def test_an_indication_with_an_unknown_required_attribute_proves_nothing() -> None:
    """A receiver that does not understand a message must not act on it (RFC 8489 section 6.3.2)."""
    watched = Watched()
    began = watched.rig.now
    unknown = message(attribute(0x0006, USERNAME.encode()), attribute(0x7F01, b"?"), message_type=0x0011)
    watched.pass_time(SILENT_AFTER)
    watched.client.arrive(sealed(unknown, PASSWORD))
    assert watched.rig.core.heard_at(watched.transport) == began
    assert watched.rig.events() == [FellSilent(watched.transport, began)]


def test_an_indication_without_integrity_neither_ends_silence_nor_counts_from_another_path() -> None:
    watched = Watched()
    elsewhere = Path("192.0.2.99", 1)
    watched.rig.core.receive(HINT, elsewhere, watched.rig.now)
    assert watched.rig.events() == []
    assert watched.rig.dropped() == {DropReason.UNEXPECTED_STUN: 1}
    watched.pass_time(SILENT_AFTER)
    watched.client.arrive(HINT)
    assert watched.rig.events() == [FellSilent(watched.transport, watched.rig.now - SILENT_AFTER)]


def test_a_client_without_signs_falls_silent_and_then_loses_consent() -> None:
    watched = Watched()
    began = watched.rig.now
    assert watched.rig.core.get_timer() == began + SILENT_AFTER
    watched.pass_time(SILENT_AFTER)
    assert watched.rig.events() == [FellSilent(watched.transport, began)]
    assert watched.rig.core.get_timer() == began + LOST_AFTER
    watched.pass_time(LOST_AFTER - SILENT_AFTER - 0.001)
    assert watched.rig.events() == []
    watched.pass_time(0.001)
    assert watched.rig.events() == [ConsentExpired(watched.transport, began)]
    assert watched.rig.core.get_timer() is None


def test_a_silence_that_ended_before_it_was_reported_is_not_reported() -> None:
    watched = Watched()
    watched.pass_time(SILENT_AFTER)
    watched.client.arrive(request(USERNAME, PASSWORD))
    assert watched.rig.events() == []
    watched.pass_time(SILENT_AFTER)
    assert watched.rig.events() == [FellSilent(watched.transport, watched.rig.now - SILENT_AFTER)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_silences_are_reported_in_their_order(order: tuple[int, ...]) -> None:
    rig = Rig()
    transports = [rig.client().transport for _ in order]
    for number in order:
        rig.core.watch(transports[number], rig.now + 2 - number, SILENT_AFTER, 1000)
    events = []
    while (timer := rig.core.get_timer()) is not None and timer < rig.now + 100:
        rig.core.handle_timer(timer)
        events += rig.events()
    assert events == [FellSilent(TransportId(3 - number), rig.now + number) for number in (0, 1, 2)]


def test_no_silence_of_a_removed_transport_is_reported() -> None:
    watched = Watched()
    watched.pass_time(SILENT_AFTER)
    core, transport = watched.rig.core, watched.transport
    core.remove_transport(transport)
    assert watched.rig.events() == []
    for ask in (core.heard_at, core.media_heard_at):
        with pytest.raises(KeyError):
            ask(transport)
    with pytest.raises(KeyError):
        core.watch(transport, 1.0, 2.0, 3.0)


def test_an_encoding_that_flows_after_a_break_is_reported_once() -> None:
    rig = Rig()
    client = rig.client()
    producer = rig.produce(client, changed(VIDEO, encodings=[EncodingSpec(ssrc=2222), EncodingSpec(ssrc=2223)]))
    rig.produce(client, AUDIO)
    flows = EncodingFlows(producer, 0)
    for wait, expected in ((0.0, [flows]), (0.1, []), (ENCODING_IDLE, []), (ENCODING_IDLE + 0.1, [flows])):
        rig.now += wait
        for _ in range(3):
            client.send_rtp(rig.number(), ssrc=2222, payload_type=96, payload=b"\x10\x01picture")
            client.send_rtp(rig.number(), ssrc=1111)
        assert rig.all_events() == expected
    client.send_rtp(1, ssrc=2223, payload_type=96, payload=b"\x10\x01picture")
    rig.core.remove_producer(producer)
    assert rig.all_events() == []

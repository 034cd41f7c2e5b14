"""Packets that are dropped, and their counters."""

import pytest

from sfu.dataplane.core import MAX_EVENTS
from sfu.dataplane.interface import DropReason, Path
from sfu.dataplane.values import DtlsArrived
from sfu.wire.srtp import SrtpProfile
from tests.dataplane.core_with_clients import AUDIO, Client, ConsumerSpec, Rig, changed

NOWHERE = Path("198.51.100.9", 9)
DTLS = b"\x16\xfe\xfd\x00"
REPORT = b"\x81\xce\x00\x02\x00\x00\x11\x11\x00\x00\x00\x01"


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", DropReason.EMPTY),
        (b"\x80" * 1501, DropReason.OVERSIZED),
        (b"\x10zrtp", DropReason.UNKNOWN_PROTOCOL),
        (b"\x40turn", DropReason.UNKNOWN_PROTOCOL),
        (b"\xc0", DropReason.UNKNOWN_PROTOCOL),
        (DTLS, DropReason.UNKNOWN_ADDRESS),
        (b"\x80\x6f" + bytes(40), DropReason.UNKNOWN_ADDRESS),
        (REPORT, DropReason.UNKNOWN_ADDRESS),
    ],
)
def test_datagrams_from_unknown_addresses_are_dropped(datagram: bytes, reason: DropReason) -> None:
    rig = Rig()
    rig.core.receive(datagram, NOWHERE, 0.0)
    assert rig.dropped() == {reason: 1}
    assert rig.events() == []
    assert rig.sent == []


def test_dtls_is_handed_up_from_the_paths_of_a_transport() -> None:
    rig = Rig()
    client = rig.client()
    client.arrive(DTLS)
    assert rig.events() == [DtlsArrived(client.transport, DTLS)]
    assert rig.dropped() == {}


@pytest.mark.parametrize("datagram", [b"\x80\x6f" + bytes(40), REPORT])
def test_media_before_the_keys_is_dropped(datagram: bytes) -> None:
    rig = Rig()
    client = rig.client(connected=False)
    client.check()
    client.arrive(datagram)
    assert rig.dropped() == {DropReason.NO_KEYS: 1}


def test_rtp_shorter_than_its_header_is_dropped() -> None:
    rig = Rig()
    client = rig.client()
    client.arrive(b"\x80\x6f\x00")
    client.arrive(b"\x9f\x6f" + bytes(30))
    assert rig.dropped() == {DropReason.MALFORMED_RTP: 2}


def test_rtp_with_more_padding_than_payload_is_dropped() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    sender.send(b"\xa0\x6f\x00\x01\x00\x00\x00\x00" + (1111).to_bytes(4) + b"ab\x09")
    assert rig.dropped() == {DropReason.MALFORMED_RTP: 1}
    assert receiver.datagrams() == []


def test_rtcp_too_short_for_an_ssrc_is_dropped() -> None:
    rig = Rig()
    rig.client().arrive(b"\x80\xc9\x00\x01")
    assert rig.dropped() == {DropReason.MALFORMED_RTCP: 1}


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_media_under_other_keys_is_dropped_as_unauthentic(profile: SrtpProfile) -> None:
    rig = Rig()
    sender, receiver = rig.client(profile), rig.client(profile)
    rig.consume(receiver, rig.produce(sender))
    stranger = Client(rig, rig.number(), profile)
    stranger.path = sender.path
    stranger.send_rtp(1)
    stranger.arrive(stranger.sending.protect_rtcp(REPORT))
    assert rig.dropped() == {DropReason.UNAUTHENTIC: 2}
    assert receiver.datagrams() == []
    assert rig.events() == []


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_a_replayed_packet_is_dropped_and_counted(profile: SrtpProfile) -> None:
    rig = Rig()
    sender, receiver = rig.client(profile), rig.client(profile)
    rig.consume(receiver, rig.produce(sender))
    media = sender.sending.protect(b"\x80\x6f\x00\x01\x00\x00\x00\x00" + (1111).to_bytes(4) + b"x")
    report = sender.sending.protect_rtcp(REPORT)
    for datagram in (media, report, media, report):
        sender.arrive(datagram)
    assert rig.dropped() == {DropReason.REPLAYED: 2}
    assert len(receiver.packets()) == 1


def test_a_packet_older_than_the_replay_window_is_dropped_as_replayed() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    old = sender.sending.protect(b"\x80\x6f\x00\x01\x00\x00\x00\x00" + (1111).to_bytes(4) + b"x")
    sender.send_rtp(2000)
    sender.arrive(old)
    assert rig.dropped() == {DropReason.REPLAYED: 1}
    assert len(receiver.packets()) == 1


def test_a_stream_without_a_producer_is_authenticated_and_dropped() -> None:
    """The data plane follows the stream's rollover counter until a producer takes the stream."""
    rig = Rig()
    sender, _, _, _ = rig.call()
    sender.send_rtp(1, ssrc=9)
    assert rig.dropped() == {DropReason.UNKNOWN_STREAM: 1}
    sender.arrive(b"\x80\x6f\x00\x01\x00\x00\x00\x00" + (8).to_bytes(4) + b"not even sealed")
    assert rig.dropped() == {DropReason.UNKNOWN_STREAM: 1, DropReason.UNAUTHENTIC: 1}


def test_payload_types_that_the_producer_did_not_name_are_dropped() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    sender.send_rtp(1)
    sender.send_rtp(2, payload_type=13)
    sender.send_rtp(3)
    assert rig.dropped() == {DropReason.UNKNOWN_PAYLOAD_TYPE: 1}
    first, second = receiver.headers()
    assert second.sequence_number == first.sequence_number + 1


def test_packets_of_padding_alone_are_left_out_without_a_gap() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    sender.send_rtp(1)
    sender.send_rtp(2, payload=b"", padding=200)
    sender.send_rtp(3, payload=b"")
    sender.send_rtp(4)
    assert rig.dropped() == {DropReason.PADDING_ONLY: 2}
    first, second = receiver.headers()
    assert second.sequence_number == first.sequence_number + 1


def test_packets_of_a_paused_producer_are_dropped() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call(changed(AUDIO, paused=True))
    sender.send_rtp(1)
    assert rig.dropped() == {DropReason.PRODUCER_PAUSED: 1}
    assert receiver.datagrams() == []


@pytest.mark.parametrize("reason", [DropReason.SEND_WOULD_BLOCK, DropReason.SEND_FAILED])
def test_a_failed_send_is_counted_as_a_drop_and_not_as_sent(reason: DropReason) -> None:
    rig = Rig()
    sender, _, receiver, consumer = rig.call()
    sender.send_rtp(1)
    rig.refuse = reason
    sender.send_rtp(2)
    rig.refuse = None
    sender.send_rtp(3)
    assert rig.dropped() == {reason: 1}
    assert rig.traffic()["packets_out"] == 2
    assert rig.core.consumer_stats(consumer).packets == 2
    first, second = receiver.headers()
    assert second.sequence_number == first.sequence_number + 2


def test_a_packet_that_our_mid_makes_larger_is_forwarded() -> None:
    """This tests up to the size that libsrtp's wrapper can seal.  The crate's own tests use larger packets."""
    rig = Rig()
    sender, receiver, other = rig.client(), rig.client(), rig.client()
    producer = rig.produce(sender)
    rig.consume(receiver, producer, ConsumerSpec(mid="0", mid_id=4))
    rig.consume(other, producer)
    sender.send_rtp(1, payload=bytes(1344))
    assert [len(client.datagrams()[0]) for client in (receiver, other)] == [1344 + 12 + 8 + 16, 1344 + 12 + 16]
    assert rig.dropped() == {}


MAX_WAITING = 32
"""DTLS datagrams of one client that may wait for the slow path."""


def test_the_queue_of_datagrams_for_the_slow_path_is_bounded_for_each_client_and_for_all() -> None:
    rig = Rig()
    clients = [rig.client() for _ in range(MAX_EVENTS // MAX_WAITING + 1)]
    for client in clients:
        for _ in range(MAX_WAITING + 1):
            client.arrive(DTLS)
    full = MAX_EVENTS // MAX_WAITING
    assert rig.dropped() == {DropReason.TOO_MUCH_DTLS: full, DropReason.EVENTS_FULL: MAX_WAITING + 1}
    assert len(rig.events()) == MAX_EVENTS
    clients[0].arrive(DTLS)
    assert len(rig.events()) == 1


def test_the_slow_path_counts_its_own_drops() -> None:
    rig = Rig()
    rig.core.count_drop(DropReason.MALFORMED_DTLS)
    rig.core.count_drop(DropReason.MALFORMED_DTLS)
    assert rig.dropped() == {DropReason.MALFORMED_DTLS: 2}


def test_the_totals_have_every_drop_reason_from_the_start() -> None:
    assert set(Rig().core.totals().drops) == set(DropReason)

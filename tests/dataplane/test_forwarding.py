"""One encoding from a producer to its consumers."""

import pytest

from sfu.dataplane.interface import LayersChanged
from sfu.wire.srtp import SrtpProfile
from tests.dataplane.rig import Rig


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_a_packet_goes_from_the_producer_to_the_consumer_under_its_own_name(profile: SrtpProfile) -> None:
    rig = Rig()
    sender, receiver = rig.client(profile), rig.client(profile)
    consumer = rig.consume(receiver, rig.produce(sender))

    sender.send_rtp(7, timestamp=123456, payload=b"hello", marker=True)

    (packet,) = receiver.packets()
    assert packet[0] == 0x80
    assert packet[1] == 0x80 | 100
    assert packet[4:8] == (123456).to_bytes(4)
    assert packet[8:12] == (7000 + consumer).to_bytes(4)
    assert packet[12:] == b"hello"
    assert sender.datagrams() == []


def test_sequence_numbers_begin_low_enough_that_losing_the_first_packets_hides_no_wrap() -> None:
    for seed in range(20):
        rig = Rig(seed)
        sender, _, receiver, _ = rig.call()
        sender.send_rtp(65535)
        (header,) = receiver.headers()
        assert 0 < header.sequence_number < 0x8000


def test_the_slow_path_is_told_once_that_a_consumer_flows() -> None:
    rig = Rig()
    sender, _, _, consumer = rig.call()
    assert rig.events() == []
    sender.send_rtp(1)
    sender.send_rtp(2)
    assert rig.events() == [LayersChanged(consumer, 0, None)]
    sender.send_rtp(3)
    assert rig.events() == []

"""Reports come up opened and go down sealed."""

import pytest

from sfu.dataplane.core import MAX_SOURCES
from sfu.dataplane.interface import RtcpArrived, TransportId
from sfu.wire.srtp import SrtpProfile
from tests.dataplane.core_with_clients import Rig


def report(ssrc: int) -> bytes:
    """A picture loss indication (RFC 4585 section 6.3.1)."""
    return b"\x81\xce\x00\x02" + ssrc.to_bytes(4) + b"\x00\x00\x00\x01"


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_a_report_is_handed_up_opened_with_its_time(profile: SrtpProfile) -> None:
    rig = Rig()
    client = rig.client(profile)
    client.arrive(client.sending.protect_rtcp(report(5)))
    assert rig.events() == [RtcpArrived(client.transport, report(5), rig.now)]


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_a_report_goes_out_sealed_on_the_path_to_send_on(profile: SrtpProfile) -> None:
    rig = Rig()
    client = rig.client(profile)
    rig.core.send_rtcp(client.transport, report(6))
    (sealed,) = client.datagrams()
    assert client.receiving.unprotect_rtcp(sealed) == report(6)
    assert rig.core.totals().packets_out == 1


def test_a_report_without_keys_or_path_is_not_sent() -> None:
    rig = Rig()
    client = rig.client(connected=False)
    rig.core.send_rtcp(client.transport, report(6))
    rig.core.set_keys(client.transport, client.keys)
    rig.core.send_rtcp(client.transport, report(6))
    assert rig.sent == []
    assert rig.dropped() == {}
    with pytest.raises(KeyError):
        rig.core.send_rtcp(TransportId(99), report(6))


def test_no_report_is_sent_in_the_name_of_a_consumer_that_is_gone() -> None:
    """Its packet index would begin anew under the same key."""
    rig = Rig()
    _, _, receiver, consumer = rig.call()
    rig.core.send_rtcp(receiver.transport, report(7000 + consumer))
    assert len(rig.sent) == 1
    rig.core.remove_consumer(consumer)
    rig.core.send_rtcp(receiver.transport, report(7000 + consumer))
    assert len(rig.sent) == 1


def test_the_memory_of_who_reported_is_bounded() -> None:
    """What is kept of a sender shows in its refusing a replay; of the oldest senders it keeps nothing."""
    rig = Rig()
    client = rig.client()
    sealed = [client.sending.protect_rtcp(report(100 + number)) for number in range(MAX_SOURCES + 1)]
    for datagram in sealed:
        client.arrive(datagram)
    assert len(rig.events()) == len(sealed)
    client.arrive(sealed[1])
    assert rig.events() == []
    client.arrive(sealed[0])
    assert len(rig.events()) == 1


def test_whoever_sends_media_is_remembered_whoever_else_reports() -> None:
    rig = Rig()
    sender, _, _, _ = rig.call()
    first = sender.sending.protect_rtcp(report(1111))
    sender.arrive(first)
    for number in range(MAX_SOURCES + 1):
        sender.arrive(sender.sending.protect_rtcp(report(100 + number)))
    rig.events()
    sender.arrive(first)
    assert rig.events() == []


def test_whoever_reported_before_it_sent_media_is_remembered_too() -> None:
    rig = Rig()
    sender = rig.client()
    first = sender.sending.protect_rtcp(report(1111))
    sender.arrive(first)
    rig.produce(sender)
    for number in range(MAX_SOURCES + 1):
        sender.arrive(sender.sending.protect_rtcp(report(100 + number)))
    rig.events()
    sender.arrive(first)
    assert rig.events() == []

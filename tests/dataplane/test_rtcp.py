"""Feedback of clients takes effect, and reports and key frame requests go to publishers."""

import pytest

from sfu.dataplane.core import MAX_SOURCES
from sfu.dataplane.interface import ProducerId
from sfu.dataplane.values import KeyFrameRequested
from sfu.wire.srtp import SrtpProfile
from tests.dataplane.core_with_clients import VIDEO, Client, Rig
from tools.light.wire.rtcp import (
    FullIntraRequest,
    FullIntraRequestEntry,
    PictureLossIndication,
    ReceiverReport,
    SourceDescription,
    encode,
)


def report(ssrc: int) -> bytes:
    """A picture loss indication (RFC 4585 section 6.3.1)."""
    return b"\x81\xce\x00\x02" + ssrc.to_bytes(4) + b"\x00\x00\x00\x01"


def is_accepted(client: Client, datagram: bytes) -> bool:
    """Whether the data plane takes the packet as a sign of life, so that it is authentic and no replay."""
    client.rig.now += 1
    client.arrive(datagram)
    return client.rig.core.media_heard_at(client.transport) == client.rig.now


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_a_key_frame_request_comes_up_and_one_goes_out_sealed(profile: SrtpProfile) -> None:
    rig = Rig()
    rig.core.set_rtcp_source(99, "router")
    sender, receiver = rig.client(profile), rig.client(profile)
    producer = rig.produce(sender, VIDEO)
    consumer = rig.consume(receiver, producer)
    loss = encode([ReceiverReport(1), PictureLossIndication(1, 7000 + consumer)])
    receiver.arrive(receiver.sending.protect_rtcp(loss))
    assert rig.events() == [KeyFrameRequested(consumer)]
    name = SourceDescription(99, "router")
    rig.core.request_key_frame(producer, 0, full_intra=False)
    assert sender.reports() == [[ReceiverReport(99), name, PictureLossIndication(99, 2222)]]
    for sequence in (0, 1):
        rig.core.request_key_frame(producer, 0, full_intra=True)
        request = FullIntraRequest(99, (FullIntraRequestEntry(2222, sequence),))
        assert sender.reports() == [[ReceiverReport(99), name, request]]
    assert rig.traffic()["packets_out"] == 3


def test_no_key_frame_is_requested_without_keys_or_a_path() -> None:
    rig = Rig()
    client = rig.client(connected=False)
    producer = rig.produce(client, VIDEO)
    rig.core.request_key_frame(producer, 0, full_intra=False)
    rig.core.set_keys(client.transport, client.keys)
    rig.core.request_key_frame(producer, 0, full_intra=False)
    assert rig.sent == []
    assert rig.dropped() == {}
    with pytest.raises(ValueError, match="no such encoding"):
        rig.core.request_key_frame(producer, 1, full_intra=False)
    with pytest.raises(KeyError):
        rig.core.request_key_frame(ProducerId(99), 0, full_intra=False)


def test_a_publisher_gets_receiver_reports_at_the_set_times() -> None:
    rig = Rig()
    rig.core.set_rtcp_source(99, "router")
    sender = rig.client()
    rig.produce(sender)
    start = rig.now
    rig.core.start_reports(sender.transport, start + 0.25, 1.0)
    sender.send_rtp(65534)
    sender.send_rtp(65537)
    sender.report(1111, 0x1234_5678_9ABC_DEF0, 0)
    for number, fraction in enumerate((128, 0)):
        due = start + 0.25 + number
        assert rig.core.get_timer() == due
        rig.now = due
        rig.core.handle_timer(due)
        [[report, name]] = sender.reports()
        assert name == SourceDescription(99, "router")
        assert isinstance(report, ReceiverReport)
        [block] = report.reports
        assert (block.ssrc, block.fraction_lost, block.lost, block.highest_sequence) == (1111, fraction, 2, 65537)
        assert (block.last_sr, block.delay_since_last_sr) == (0x5678_9ABC, round((0.25 + number) * 65536))
    with pytest.raises(ValueError, match="above zero"):
        rig.core.start_reports(sender.transport, 0.0, 0.0)


def test_the_state_of_every_reporting_ssrc_is_kept() -> None:
    """A refused replay shows that the state of a sender is kept."""
    rig = Rig()
    client = rig.client()
    sealed = [client.sending.protect_rtcp(report(100 + number)) for number in range(MAX_SOURCES + 1)]
    assert all(is_accepted(client, datagram) for datagram in sealed)
    assert not any(is_accepted(client, datagram) for datagram in sealed)


def test_state_of_an_ssrc_with_media_outlives_any_number_of_reporting_ssrcs() -> None:
    rig = Rig()
    sender, _, _, _ = rig.call()
    first = sender.sending.protect_rtcp(report(1111))
    sender.arrive(first)
    for number in range(MAX_SOURCES + 1):
        sender.arrive(sender.sending.protect_rtcp(report(100 + number)))
    assert not is_accepted(sender, first)


def test_state_of_an_ssrc_that_reported_before_its_media_is_kept_too() -> None:
    rig = Rig()
    sender = rig.client()
    first = sender.sending.protect_rtcp(report(1111))
    sender.arrive(first)
    rig.produce(sender)
    for number in range(MAX_SOURCES + 1):
        sender.arrive(sender.sending.protect_rtcp(report(100 + number)))
    assert not is_accepted(sender, first)

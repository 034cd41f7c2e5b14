"""Packets of one encoding go from a producer to its consumers."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.wire.srtp import SrtpProfile
from tests.dataplane.core_with_clients import AUDIO, ConsumerSpec, Rig, changed
from tools.light.wire.rtp import encode


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_a_packet_is_forwarded_under_the_consumers_own_ssrc(profile: SrtpProfile) -> None:
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


def test_contributing_sources_and_padding_are_forwarded() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    sender.send(
        encode(payload_type=111, sequence_number=1, timestamp=0, ssrc=1111, payload=b"media", csrcs=[5, 6], padding=4)
    )
    (packet,) = receiver.packets()
    assert packet[0] == 0xA2
    assert packet[12:] == b"\x00\x00\x00\x05\x00\x00\x00\x06media\x00\x00\x00\x04"


def test_sequence_numbers_begin_low_enough_to_survive_the_loss_of_the_first_packets() -> None:
    for seed in range(20):
        rig = Rig(seed)
        sender, _, receiver, _ = rig.call()
        sender.send_rtp(65535)
        (header,) = receiver.headers()
        assert 0 < header.sequence_number < 0x8000


def test_sequence_numbers_and_rollovers_are_right_over_several_cycles() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    sender.send_rtp(60000)
    (header,) = receiver.headers()
    expected = header.sequence_number
    for number in range(60000 + 997, 60000 + 3 * 65536, 997):
        sender.send_rtp(number)
        expected += 997
        assert [got.sequence_number for got in receiver.headers()] == [expected & 0xFFFF]


def test_a_consumer_gets_only_the_payload_types_that_it_takes() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    producer = rig.produce(sender, changed(AUDIO, payload_types={111: 100, 13: 99}))
    rig.consume(receiver, producer)
    sender.send_rtp(1, payload_type=13)
    assert receiver.packets() == []
    assert rig.events() == []
    sender.send_rtp(2)
    sender.send_rtp(3, payload_type=13)
    sender.send_rtp(4)
    first, second = receiver.headers()
    assert second.sequence_number == first.sequence_number + 1
    assert rig.dropped() == {}


def test_packets_that_are_hundreds_late_still_pass() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    sender.send_rtp(0)
    for number in (1000, 1):
        sender.send_rtp(number)
    first, newest, late = receiver.headers()
    assert newest.sequence_number == first.sequence_number + 1000
    assert late.sequence_number == first.sequence_number + 1


def test_every_consumer_is_independent_of_the_others() -> None:
    rig = Rig()
    sender = rig.client()
    producer = rig.produce(sender)
    receivers = [rig.client(profile) for profile in SrtpProfile]
    consumers = [rig.consume(receiver, producer) for receiver in receivers]
    sender.send_rtp(1)
    rig.core.set_consumer_paused(consumers[1], True)
    sender.send_rtp(2)
    assert [len(receiver.packets()) for receiver in receivers] == [2, 1, 2]


def test_the_counters_agree_with_the_packets() -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call()
    for number in range(5):
        rig.now = 1000.0 + number
        sender.send_rtp(number, payload=bytes(50), padding=3)
    datagrams = [datagram for _, datagram in rig.sent]
    plain = receiver.packets()
    stats = rig.core.consumer_stats(consumer)
    assert (stats.packets, stats.octets, stats.bytes) == (5, 250, sum(map(len, plain)))
    assert (stats.encoding, stats.temporal, stats.timestamp_offset) == (0, None, 0)
    assert (stats.last_timestamp, stats.last_at) == (4 * 960, 1004.0)
    assert rig.traffic() == {
        "packets_in": 5,
        "packets_out": 5,
        "bytes_out": sum(map(len, datagrams)),
        "bytes_in": 5 * (12 + 53 + 16),
    }
    (encoding,) = rig.core.producer_stats(producer).encodings
    assert (encoding.ssrc, encoding.packets, encoding.bytes) == (1111, 5, 5 * 65)
    assert (encoding.expected, encoding.lost, encoding.highest_sequence) == (5, 0, 4)
    assert (encoding.last_timestamp, encoding.last_at) == (4 * 960, 1004.0)


def test_a_late_packet_does_not_turn_back_the_last_timestamp() -> None:
    rig = Rig()
    sender, _, _, consumer = rig.call()
    sender.send_rtp(1)
    sender.send_rtp(3)
    rig.now += 1
    sender.send_rtp(2)
    stats = rig.core.consumer_stats(consumer)
    assert (stats.packets, stats.last_timestamp, stats.last_at) == (3, 3 * 960, 1000.0)


def test_an_unknown_identifier_raises_key_error() -> None:
    rig = Rig()
    client = rig.client()
    producer = rig.produce(client)
    unknown = producer + 100
    calls: list[Callable[[], object]] = [
        lambda: rig.core.set_keys(type(client.transport)(unknown), client.keys),
        lambda: rig.core.producer_stats(type(producer)(unknown)),
        lambda: rig.consume(client, type(producer)(unknown)),
    ]
    for call in calls:
        with pytest.raises(KeyError):
            call()


def test_an_identifier_in_use_raises_value_error() -> None:
    rig = Rig()
    client = rig.client()
    producer = rig.produce(client)
    consumer = rig.consume(client, producer)
    calls: list[Callable[[], object]] = [
        lambda: rig.core.add_transport(client.transport),
        lambda: rig.core.set_keys(client.transport, client.keys),
        lambda: rig.core.add_producer(client.transport, producer, changed(AUDIO, encodings=[])),
        lambda: rig.core.add_producer(client.transport, type(producer)(99), AUDIO),
        lambda: ConsumerSpec().add_to(rig.core, client.transport, consumer, producer),
        lambda: rig.core.set_layers(consumer, 1, None),
    ]
    for call in calls:
        with pytest.raises(ValueError):
            call()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("packet"), st.integers(0, 8)),
        st.tuples(st.just("padding"), st.integers(0, 8)),
        st.tuples(st.just("lost"), st.just(0)),
        st.tuples(st.just("pause"), st.just(0)),
        st.tuples(st.just("resume"), st.just(0)),
    ),
    max_size=60,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(steps=steps, base=st.sampled_from([0, 65500]))
def test_only_lost_packets_leave_gaps_whatever_is_late_padded_or_paused(
    steps: list[tuple[str, int]], base: int
) -> None:
    """Each step makes a packet.  Its number says how many of the following packets overtake it."""
    rig = Rig()
    sender, _, receiver, consumer = rig.call()
    queue: list[tuple[float, int, str, bytes]] = []
    for index, (step, delay) in enumerate(steps):
        if step in {"packet", "padding"}:
            payload = index.to_bytes(2) if step == "packet" else b""
            plain = encode(
                payload_type=111,
                sequence_number=base + index & 0xFFFF,
                timestamp=0,
                ssrc=1111,
                payload=payload,
                padding=4 if step == "padding" else 0,
            )
            queue.append((index + delay + (0.5 if delay else 0), index, step, sender.sending.protect(plain)))
        elif step != "lost":
            queue.append((index, index, step, b""))
    got: dict[int, int] = {}
    highest = -1
    left_out: set[int] = set()
    begun: int | None = None
    paused = False
    number: int | None = None
    for _, index, step, datagram in sorted(queue):
        if datagram:
            sender.arrive(datagram)
        else:
            paused = step == "pause"
            rig.core.set_consumer_paused(consumer, paused)
            begun = None if paused else begun
        received = receiver.packets()
        if step == "packet" and not paused and begun is None and index > highest:
            begun = index
            left_out = set()
            number = None
        if step == "padding" and index > highest:
            left_out.add(index)
        if step in {"packet", "padding"}:
            highest = max(highest, index)
        fills = step == "padding" and index < highest and index not in left_out
        flows = not paused and begun is not None and index >= begun
        assert len(received) == ((step == "packet" or fills) and flows)
        for packet in received:
            assert packet[12:] == (b"\x01" if fills else index.to_bytes(2))
            sequence = int.from_bytes(packet[2:4])
            assert begun is not None
            place = index - begun - sum(1 for other in left_out if begun <= other < index)
            if number is None:
                assert place == 0
                number = sequence
                # No packet sent before has this number or a later one.
                assert all((number - other) & 0xFFFF < 0x8000 and number != other for other in got.values())
            assert sequence == (number + place) & 0xFFFF
            assert index not in got
            assert sequence not in got.values()
            got[index] = sequence

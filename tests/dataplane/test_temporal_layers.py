"""Temporal layers of VP8 and VP9 are dropped and added."""

from sfu.dataplane.values import LayersChanged
from tests.dataplane.core_with_clients import VIDEO, Client, ConsumerSpec, Rig, changed
from tests.dataplane.vp8 import vp8

# The layers of four pictures: the second layer is in the middle, the third before and after it.
PATTERN = (0, 2, 1, 2)


def send_vp8(client: Client, number: int, *, key: bool = False, sync: bool = False, begins: bool = True) -> None:
    temporal = PATTERN[number % 4]
    payload = vp8(key=key, begins=begins, picture=number, tl0=number // 4, temporal=temporal, sync=sync)
    client.send_rtp(number, ssrc=2222, payload_type=96, payload=payload)


def layers(client: Client) -> list[int]:
    return [payload[5] >> 6 for payload in client.payloads()]


def test_without_a_target_all_layers_pass() -> None:
    rig = Rig()
    sender, _, receiver, consumer = rig.call(VIDEO)
    for number in range(8):
        send_vp8(sender, number, key=not number)
    assert layers(receiver) == list(PATTERN) * 2
    assert rig.core.consumer_stats(consumer).temporal == 2


def test_layers_above_the_target_are_left_out_without_a_gap_in_the_numbers() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    consumer = rig.consume(receiver, rig.produce(sender, VIDEO), ConsumerSpec(temporal=1))
    for number in range(9):
        send_vp8(sender, number, key=not number)
    packets = receiver.packets()
    assert [packet[-7] >> 6 for packet in packets] == [0, 1, 0, 1, 0]
    first = int.from_bytes(packets[0][2:4])
    assert [int.from_bytes(packet[2:4]) - first for packet in packets] == [0, 1, 2, 3, 4]
    assert [int.from_bytes(packet[14:16]) & 0x7FFF for packet in packets] == [0, 1, 2, 3, 4]
    assert [packet[16] for packet in packets] == [0, 0, 1, 1, 2]
    assert rig.events() == [LayersChanged(consumer, 0, 1, None)]


def test_a_late_packet_of_a_layer_that_is_left_out_fills_its_gap_with_padding() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    rig.consume(receiver, rig.produce(sender, VIDEO), ConsumerSpec(temporal=0))
    for number in (0, 1, 3, 4, 6, 7, 8, 5):
        send_vp8(sender, number, key=not number)
    *packets, filling = receiver.packets()
    first = int.from_bytes(packets[0][2:4])
    assert [int.from_bytes(packet[2:4]) - first for packet in packets] == [0, 2, 4]
    assert (int.from_bytes(filling[2:4]) - first, filling[12:]) == (3, b"\x01")
    assert [int.from_bytes(packet[14:16]) & 0x7FFF for packet in packets] == [0, 2, 4]


def test_a_lower_target_takes_effect_at_the_end_of_the_frame() -> None:
    rig = Rig()
    sender, _, receiver, consumer = rig.call(VIDEO)
    send_vp8(sender, 0, key=True)
    send_vp8(sender, 1)
    rig.core.set_layers(consumer, 0, 0)
    payload = vp8(begins=False, picture=1, tl0=0, temporal=2)
    sender.send_rtp(2, ssrc=2222, payload_type=96, timestamp=960, payload=payload)
    sender.send_rtp(3, ssrc=2222, payload_type=96, payload=vp8(picture=2, tl0=0, temporal=1))
    assert layers(receiver) == [0, 2, 2]
    assert rig.events() == [LayersChanged(consumer, 0, 0, None)]


def test_a_higher_target_waits_for_a_frame_at_which_the_layer_may_begin() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    consumer = rig.consume(receiver, rig.produce(sender, VIDEO), ConsumerSpec(temporal=0))
    for number in range(4):
        send_vp8(sender, number, key=not number)
    rig.core.set_layers(consumer, 0, 2)
    for number in range(4, 8):
        send_vp8(sender, number)
    assert layers(receiver) == [0, 0]
    for number in range(8, 16):
        # The middle layer can begin at once, the highest four pictures later.
        send_vp8(sender, number, sync=number in {10, 13})
    assert layers(receiver) == [0, 1, 0, 2, 1, 2]
    assert rig.core.consumer_stats(consumer).temporal == 2


def test_a_switch_up_goes_no_higher_than_the_target() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    consumer = rig.consume(receiver, rig.produce(sender, VIDEO), ConsumerSpec(temporal=0))
    send_vp8(sender, 0, key=True)
    rig.core.set_layers(consumer, 0, 1)
    for number in range(1, 8):
        send_vp8(sender, number, sync=True)
    assert layers(receiver) == [0, 1, 0, 1]


def test_a_key_frame_begins_every_layer_up_to_the_target() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    consumer = rig.consume(receiver, rig.produce(sender, VIDEO), ConsumerSpec(temporal=0))
    send_vp8(sender, 0, key=True)
    rig.core.set_layers(consumer, 0, None)
    for number in range(4, 8):
        send_vp8(sender, number, key=number == 4)
    assert layers(receiver) == [0, 0, 2, 1, 2]


def test_layers_are_reported_when_they_appear() -> None:
    rig = Rig()
    sender, _, _, consumer = rig.call(VIDEO)
    send_vp8(sender, 0, key=True)
    assert rig.events() == [LayersChanged(consumer, 0, 0, None)]
    send_vp8(sender, 1)
    send_vp8(sender, 2)
    assert rig.events() == [LayersChanged(consumer, 0, 2, None)]


def vp9(temporal: int, *, key: bool = False, up: bool = False) -> bytes:
    """A VP9 payload in flexible mode with layer indices, of spatial layer 0."""
    return bytes((0xB8 if key else 0xF8, 0x05, temporal << 5 | up << 4)) + b"frame"


def test_vp9_layers_are_dropped_and_added_where_the_encoder_allows() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    producer = rig.produce(sender, changed(VIDEO, codec="video/vp9"))
    consumer = rig.consume(receiver, producer, ConsumerSpec(temporal=0))
    payloads = [vp9(0, key=True), vp9(1), vp9(0), vp9(1), vp9(0, up=True), vp9(1), vp9(0), vp9(1)]
    for number, payload in enumerate(payloads):
        if number == 2:
            rig.core.set_layers(consumer, 0, None)
        sender.send_rtp(number, ssrc=2222, payload_type=96, payload=payload, marker=True)
    assert receiver.payloads() == [payloads[index] for index in (0, 2, 4, 5, 6, 7)]


def test_the_statistics_have_the_bytes_and_frames_of_each_layer() -> None:
    rig = Rig()
    sender, producer, _, _ = rig.call(VIDEO)
    for number in range(8):
        payload = vp8(key=not number, picture=number, tl0=number // 4, temporal=PATTERN[number % 4])
        sender.send_rtp(number, ssrc=2222, payload_type=96, payload=payload, marker=True)
    [encoding] = rig.core.producer_stats(producer).encodings
    # Eight pictures of equal size: a quarter in each of the lower layers, half in the highest.
    assert encoding.layer_bytes == [encoding.bytes // 4, encoding.bytes // 4, encoding.bytes // 2]
    assert encoding.layer_frames == [2, 2, 4]

"""Video begins with a key frame, and picture numbers continue."""

import pytest

from sfu.dataplane.values import LayersChanged
from tests.dataplane.core_with_clients import VIDEO, Client, Rig, changed
from tests.dataplane.vp8 import vp8


def send(client: Client, number: int, payload: bytes, *, timestamp: int | None = None) -> None:
    client.send_rtp(number, ssrc=2222, payload_type=96, timestamp=timestamp, payload=payload)


KEY, DELTA, REST = vp8(key=True), vp8(), vp8(begins=False)


def test_a_consumer_begins_at_the_first_packet_of_a_key_frame() -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call(VIDEO)
    for number, payload in enumerate((DELTA, REST, KEY, REST, DELTA)):
        send(sender, number, payload, timestamp=number // 2 * 3000)
    assert receiver.payloads() == [KEY, REST, DELTA]
    assert rig.events() == [LayersChanged(consumer, 0, None, None)]
    assert rig.core.producer_stats(producer).encodings[0].key_frames == 1
    assert rig.dropped() == {}


@pytest.mark.parametrize("pause", ["consumer", "producer"])
def test_a_consumer_begins_at_a_key_frame_again_after_a_pause(pause: str) -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call(VIDEO)

    def set_paused(paused: bool) -> None:
        if pause == "consumer":
            rig.core.set_consumer_paused(consumer, paused)
        else:
            rig.core.set_producer_paused(producer, paused)

    send(sender, 1, KEY)
    set_paused(True)
    send(sender, 2, DELTA)
    set_paused(False)
    send(sender, 3, DELTA)
    send(sender, 4, KEY)
    send(sender, 5, DELTA)
    headers = receiver.headers()
    assert [header.sequence_number - headers[0].sequence_number for header in headers] == [0, 1, 2]
    assert [header.timestamp for header in headers] == [960, 4 * 960, 5 * 960]


def test_no_consumer_begins_at_a_late_key_frame() -> None:
    """The data plane has dropped later packets of that key frame already, so the picture would have a gap."""
    rig = Rig()
    sender, _, receiver, _ = rig.call(VIDEO)
    send(sender, 1, DELTA)
    send(sender, 3, REST, timestamp=3000)
    send(sender, 2, KEY, timestamp=3000)
    assert receiver.packets() == []
    send(sender, 4, KEY)
    assert receiver.payloads() == [KEY]


def test_late_packets_from_before_the_key_frame_are_not_forwarded() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call(VIDEO)
    send(sender, 1, DELTA)
    send(sender, 3, KEY)
    send(sender, 2, DELTA)
    assert receiver.payloads() == [KEY]


def test_a_consumer_whose_transport_connects_late_waits_for_the_next_key_frame() -> None:
    rig = Rig()
    sender, late = rig.client(), rig.client(connected=False)
    rig.consume(late, rig.produce(sender, VIDEO))
    send(sender, 1, KEY)
    late.connect()
    send(sender, 2, DELTA)
    assert late.packets() == []
    send(sender, 3, KEY)
    assert late.payloads() == [KEY]


def test_video_of_an_unknown_codec_begins_at_any_packet() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call(changed(VIDEO, codec="video/h265"))
    send(sender, 1, DELTA)
    assert receiver.payloads() == [DELTA]


def test_one_h264_key_frame_in_several_packets_counts_once() -> None:
    rig = Rig()
    sender, producer, receiver, _ = rig.call(changed(VIDEO, codec="video/h264"))
    for number, payload in enumerate(
        (b"\x61slice", b"\x67sps", b"\x68pps", b"\x67sps", b"\x7c\x85idr", b"\x7c\x45idr")
    ):
        send(sender, number, payload, timestamp=0 if number == 0 else 3000)
    assert rig.core.producer_stats(producer).encodings[0].key_frames == 1
    assert len(receiver.packets()) == 5


def test_picture_numbers_stay_unchanged_while_no_picture_is_left_out() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call(VIDEO)
    payloads = [vp8(key=not number, picture=32766 + number, tl0=254 + number, temporal=0) for number in range(4)]
    for number, payload in enumerate(payloads):
        send(sender, number, payload)
    assert receiver.payloads() == payloads


@pytest.mark.parametrize("bits", [7, 15])
def test_picture_numbers_continue_after_a_pause(bits: int) -> None:
    rig = Rig()
    sender, _, receiver, consumer = rig.call(VIDEO)
    last = (1 << bits) - 1

    def picture(number: int, *, key: bool = False) -> bytes:
        return vp8(key=key, picture=number, bits=bits, tl0=number, temporal=0)

    send(sender, 1, picture(last, key=True))
    rig.core.set_consumer_paused(consumer, True)
    send(sender, 2, picture(0))
    rig.core.set_consumer_paused(consumer, False)
    send(sender, 3, picture(1))
    send(sender, 4, picture(40, key=True))
    send(sender, 5, picture(42))
    send(sender, 6, picture(41))
    send(sender, 7, picture(43))
    tl0 = last & 0xFF
    assert receiver.payloads() == [
        vp8(key=True, picture=last, bits=bits, tl0=tl0, temporal=0),
        vp8(key=True, picture=0, bits=bits, tl0=tl0 + 1, temporal=0),
        vp8(picture=2, bits=bits, tl0=tl0 + 3, temporal=0),
        vp8(picture=1, bits=bits, tl0=tl0 + 2, temporal=0),
        vp8(picture=3, bits=bits, tl0=tl0 + 4, temporal=0),
    ]


def test_a_late_picture_does_not_turn_back_the_cycle_count() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call(VIDEO)
    payloads = [vp8(key=not number, picture=picture, bits=7) for number, picture in enumerate((40, 100, 60, 125, 1))]
    for number, payload in enumerate(payloads):
        send(sender, number, payload)
    assert receiver.payloads() == payloads

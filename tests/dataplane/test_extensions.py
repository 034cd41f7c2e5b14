"""Header extensions are rewritten from the client's ids to the router's."""

import pytest

from tests.dataplane.core_with_clients import AUDIO, Client, ConsumerSpec, Rig, changed

# Chromium's ids: audio level 1, abs-send-time 2, MID 4, playout delay 5.  They overlap the router's.
CHROMIUM = changed(AUDIO, extension_ids={1: 10, 2: 4, 4: 1, 5: 2}, mid="0", mid_id=4, rid_id=10, audio_level_id=1)
LEVEL, TIME, MID, RID, DELAY = (1, b"\x85"), (2, b"abc"), (4, b"0"), (10, b"h"), (5, b"def")
EVERYTHING = frozenset(range(1, 256))


def forward(
    *elements: tuple[int, bytes], producer: dict[int, int] | None = None, spec: ConsumerSpec
) -> tuple[int, bytes]:
    """The first byte of the packet that the consumer gets, and everything from its extension block on."""
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    source = CHROMIUM if producer is None else changed(CHROMIUM, extension_ids=producer)
    rig.consume(receiver, rig.produce(sender, source), spec)
    sender.send_rtp(1, extensions=elements)
    (packet,) = receiver.packets()
    return packet[0], packet[12:]


def test_all_extension_ids_are_rewritten_and_the_producers_mid_and_rid_are_taken_out() -> None:
    first, rest = forward(LEVEL, TIME, MID, RID, DELAY, spec=ConsumerSpec(extension_ids=EVERYTHING))
    assert first == 0x90
    assert rest == b"\xbe\xde\x00\x03\xa0\x85\x42abc\x22def\x00\x00" + b"media"


def test_the_consumers_mid_is_written_before_the_other_extensions() -> None:
    _, rest = forward(LEVEL, MID, spec=ConsumerSpec(extension_ids=EVERYTHING, mid="17", mid_id=1))
    assert rest == b"\xbe\xde\x00\x02\x1117\xa0\x85\x00\x00\x00" + b"media"


def test_the_consumers_mid_is_written_into_a_packet_without_extensions() -> None:
    first, rest = forward(spec=ConsumerSpec(mid="17", mid_id=1))
    assert first == 0x90
    assert rest == b"\xbe\xde\x00\x01\x1117\x00" + b"media"


def test_no_other_extension_is_written_under_the_id_of_the_mid() -> None:
    _, rest = forward(TIME, spec=ConsumerSpec(extension_ids=EVERYTHING, mid="0", mid_id=4))
    assert rest == b"\xbe\xde\x00\x01\x400\x00\x00" + b"media"


def test_a_packet_without_extensions_has_no_extension_block() -> None:
    first, rest = forward(LEVEL, TIME, spec=ConsumerSpec())
    assert first == 0x80
    assert rest == b"media"


def test_extensions_that_are_not_mapped_or_not_taken_are_left_out() -> None:
    _, rest = forward(LEVEL, TIME, (7, b"?"), DELAY, spec=ConsumerSpec(extension_ids=frozenset({2, 4, 7})))
    assert rest == b"\xbe\xde\x00\x02\x42abc\x22def" + b"media"


@pytest.mark.parametrize(
    ("router_id", "value", "block"),
    [
        (15, b"x", b"\x10\x00\x00\x02\x0f\x01x\x02\x03def"),
        (3, b"", b"\x10\x00\x00\x02\x03\x00\x02\x03def\x00"),
        (3, b"m" * 17, b"\x10\x00\x00\x06\x03\x11" + b"m" * 17 + b"\x02\x03def"),
    ],
)
def test_an_element_that_does_not_fit_the_one_byte_form_makes_the_block_two_byte(
    router_id: int, value: bytes, block: bytes
) -> None:
    _, rest = forward((1, value), DELAY, producer={1: router_id, 5: 2}, spec=ConsumerSpec(extension_ids=EVERYTHING))
    assert rest == block + b"media"


def test_a_two_byte_block_has_exact_elements_and_the_mid_in_the_same_form() -> None:
    _, rest = forward(
        (1, b""), DELAY, producer={1: 3, 5: 200}, spec=ConsumerSpec(extension_ids=EVERYTHING, mid="ab", mid_id=9)
    )
    assert rest == b"\x10\x00\x00\x03\x09\x02ab\x03\x00\xc8\x03def" + b"\x00" + b"media"


def test_a_mid_that_needs_the_two_byte_form_makes_the_block_two_byte() -> None:
    long = "m" * 17
    _, rest = forward(LEVEL, spec=ConsumerSpec(extension_ids=EVERYTHING, mid=long, mid_id=1))
    assert rest == b"\x10\x00\x00\x06\x01\x11" + long.encode() + b"\x0a\x01\x85\x00\x00" + b"media"
    _, rest = forward(LEVEL, spec=ConsumerSpec(extension_ids=EVERYTHING, mid="0", mid_id=20))
    assert rest == b"\x10\x00\x00\x02\x14\x010\x0a\x01\x85\x00\x00" + b"media"


def test_a_two_byte_block_is_written_in_the_one_byte_form_if_it_fits() -> None:
    _, rest = forward((1, b"\x85"), (255, b"z"), producer={1: 3, 255: 14}, spec=ConsumerSpec(extension_ids=EVERYTHING))
    assert rest == b"\xbe\xde\x00\x01\x30\x85\xe0z" + b"media"


def test_consumers_that_take_the_same_extensions_differ_in_their_mids_alone() -> None:
    rig = Rig()
    sender = rig.client()
    producer = rig.produce(sender, CHROMIUM)
    receivers: list[tuple[Client, bytes]] = []
    for mid in ("0", "1", "22", None):
        receiver = rig.client()
        spec = ConsumerSpec(extension_ids=frozenset({10}), mid=mid, mid_id=1)
        rig.consume(receiver, producer, spec)
        element = b"" if mid is None else bytes((0x10 | len(mid) - 1,)) + mid.encode()
        receivers.append((receiver, element + b"\xa0\x85"))
    for number in range(2):
        sender.send_rtp(number, extensions=(LEVEL,))
    for receiver, elements in receivers:
        for packet in receiver.packets():
            assert packet[12:] == (
                b"\xbe\xde" + ((len(elements) + 3) // 4).to_bytes(2) + elements + bytes(-len(elements) % 4) + b"media"
            )


def test_audio_levels_are_added_up_as_amplitudes() -> None:
    rig = Rig()
    sender, producer, _, _ = rig.call(CHROMIUM)
    sender.send_rtp(0, extensions=((1, b"\xff"),))
    assert rig.core.producer_stats(producer).voice_amplitude == 0
    for number, level in enumerate((b"\x80", b"\x14"), 1):
        sender.send_rtp(number, extensions=((1, level),))
    sender.send_rtp(3)
    stats = rig.core.producer_stats(producer)
    assert stats.voice_packets == 3
    assert stats.voice_amplitude == pytest.approx(1 + 0.1)


def test_audio_levels_of_paused_producers_and_forged_packets_do_not_count() -> None:
    rig = Rig()
    sender, producer, _, _ = rig.call(CHROMIUM)
    stranger = Client(rig, rig.number(), sender.keys.profile)
    stranger.path = sender.path
    stranger.send_rtp(1, extensions=(LEVEL,))
    rig.core.set_producer_paused(producer, True)
    sender.send_rtp(2, extensions=(LEVEL,))
    assert rig.core.producer_stats(producer).voice_packets == 0

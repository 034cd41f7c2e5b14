"""A consumer switches between the encodings of one producer."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.dataplane.interface import ConsumerId, ProducerId
from sfu.dataplane.values import EncodingSpec, LayersChanged
from tests.dataplane.core_with_clients import VIDEO, Client, ConsumerSpec, Rig, changed
from tests.dataplane.vp8 import vp8
from tools.light.wire.rtp import parse_header_untrusted

LOW, HIGH = 2222, 3333
SIMULCAST = changed(VIDEO, encodings=[EncodingSpec(ssrc=LOW), EncodingSpec(ssrc=HIGH)])


class Camera:
    """A producer with two encodings, and a viewer."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.sender: Client
        self.producer: ProducerId
        self.receiver: Client
        self.consumer: ConsumerId
        self.sender, self.producer, self.receiver, self.consumer = self.rig.call(SIMULCAST)

    def low(self, number: int, *, key: bool = False, timestamp: int | None = None) -> None:
        self.send(LOW, number, 90_000 + number * 3000 if timestamp is None else timestamp, key)

    def high(self, number: int, *, key: bool = False, timestamp: int | None = None) -> None:
        self.send(HIGH, number, 7_000_000 + number * 3000 if timestamp is None else timestamp, key)

    def send(self, ssrc: int, number: int, timestamp: int, key: bool) -> None:
        body = b"low" if ssrc == LOW else b"high"
        picture = number if ssrc == LOW else 20000 + number
        payload = vp8(key=key, picture=picture, tl0=picture, temporal=0, body=body)
        self.sender.send_rtp(number, ssrc=ssrc, payload_type=96, timestamp=timestamp, payload=payload)

    def clock(self, encoding: int, seconds: float) -> None:
        """Report that timestamp 0 was at this NTP time, in seconds."""
        self.sender.report((LOW, HIGH)[encoding], round(seconds * 2**32), 0)

    def look(self, encoding: int | None) -> None:
        self.rig.core.set_layers(self.consumer, encoding, None)

    def seen(self) -> list[tuple[str, int, int, int, int]]:
        """For each packet its encoding, sequence number, timestamp, picture id and TL0PICIDX."""
        seen = []
        for packet in self.receiver.packets():
            header = parse_header_untrusted(packet)
            at = header.size + 2
            whose = "high" if packet.endswith(b"high") else "low"
            picture = int.from_bytes(packet[at : at + 2]) & 0x7FFF
            seen.append((whose, header.sequence_number, header.timestamp, picture, packet[at + 2]))
        return seen


def test_the_old_encoding_flows_until_the_new_one_has_a_key_frame() -> None:
    camera = Camera()
    camera.low(1, key=True)
    camera.look(1)
    camera.low(2)
    camera.high(500)
    camera.low(3)
    camera.high(501, key=True)
    camera.low(4)
    camera.low(5, key=True)
    camera.high(502)
    assert [whose for whose, *_ in camera.seen()] == ["low", "low", "low", "high", "high"]


def test_sequence_picture_and_layer_numbers_continue_at_a_switch() -> None:
    camera = Camera()
    camera.low(1, key=True)
    camera.look(1)
    camera.low(2)
    camera.rig.now += 1 / 30
    camera.high(500, key=True)
    camera.high(501)
    low, last, first, second = camera.seen()
    sequence, timestamp = low[1], low[2]
    assert last == ("low", sequence + 1, timestamp + 3000, 2, 2)
    assert first == ("high", sequence + 2, timestamp + 6000, 3, 3)
    assert second == ("high", sequence + 3, timestamp + 9000, 4, 4)


def test_late_packets_from_before_the_switch_are_not_forwarded() -> None:
    camera = Camera()
    camera.low(1, key=True)
    camera.low(3)
    camera.high(500)
    camera.high(502)
    camera.look(1)
    camera.high(503, key=True)
    before = camera.seen()
    camera.low(2)
    camera.high(501)
    assert camera.seen() == []
    camera.high(504)
    assert camera.seen()[0][1] == before[-1][1] + 1


def test_a_switch_is_reported_when_it_is_made() -> None:
    camera = Camera()
    camera.low(1, key=True)
    assert camera.rig.events() == [LayersChanged(camera.consumer, 0, 0, None)]
    camera.look(1)
    camera.low(2)
    assert camera.rig.events() == []
    camera.high(1, key=True)
    assert camera.rig.events() == [LayersChanged(camera.consumer, 1, 0, None)]
    assert camera.rig.core.consumer_stats(camera.consumer).encoding == 1


def test_sender_reports_make_timestamps_exact_at_a_switch_however_late_the_packet_is() -> None:
    camera = Camera()
    camera.clock(0, 1000)
    camera.clock(1, 1000 + (90_000 - 7_000_000) / 90_000)
    camera.low(10, key=True)
    camera.look(1)
    camera.rig.now += 0.7
    camera.high(11, key=True)
    camera.look(0)
    camera.low(12, key=True)
    (first, second, third) = camera.seen()
    assert second[2] - first[2] == 3000
    assert third[2] - first[2] == 6000
    stats = camera.rig.core.consumer_stats(camera.consumer)
    assert stats.timestamp_offset == 0


def test_implausible_sender_reports_are_ignored_at_a_switch() -> None:
    camera = Camera()
    camera.clock(0, 1000)
    camera.clock(1, 1000)
    camera.low(1, key=True)
    camera.look(1)
    camera.rig.now += 0.1
    camera.high(1, key=True)
    first, second = camera.seen()
    assert second[2] - first[2] == 9000


def test_timestamps_always_go_forward_at_a_switch() -> None:
    camera = Camera()
    camera.clock(0, 1000)
    camera.clock(1, 1000 + (90_000 - 7_000_000) / 90_000)
    camera.low(10, key=True)
    camera.look(1)
    camera.high(8, key=True)
    camera.look(0)
    camera.low(11, key=True)
    first, second, third = camera.seen()
    assert second[2] == first[2] + 1
    assert third[2] > second[2]


def test_a_switch_that_is_taken_back_before_it_was_made_changes_nothing() -> None:
    camera = Camera()
    camera.low(1, key=True)
    camera.look(1)
    camera.look(0)
    camera.high(1, key=True)
    camera.low(2)
    assert [whose for whose, *_ in camera.seen()] == ["low", "low"]


def test_no_target_stops_at_once_and_a_new_target_begins_at_a_key_frame() -> None:
    camera = Camera()
    camera.low(1, key=True)
    camera.look(None)
    camera.low(2)
    camera.low(3, key=True)
    assert len(camera.seen()) == 1
    assert camera.rig.core.consumer_stats(camera.consumer).encoding is None
    camera.look(0)
    camera.low(4)
    camera.low(5, key=True)
    assert len(camera.seen()) == 1


def test_a_consumer_may_begin_with_any_encoding_or_with_none() -> None:
    camera = Camera()
    receiver = camera.rig.client()
    camera.rig.consume(receiver, camera.producer, ConsumerSpec(encoding=1))
    idle = camera.rig.client()
    camera.rig.consume(idle, camera.producer, ConsumerSpec(encoding=None))
    camera.low(1, key=True)
    camera.high(1, key=True)
    assert [header.timestamp for header in receiver.headers()] == [7_003_000]
    assert idle.packets() == []


def test_timestamps_continue_over_a_switch_during_a_pause() -> None:
    camera = Camera()
    camera.low(1, key=True)
    camera.rig.core.set_consumer_paused(camera.consumer, True)
    camera.look(1)
    camera.rig.core.set_consumer_paused(camera.consumer, False)
    camera.rig.now += 2
    camera.high(1, key=True)
    first, second = camera.seen()
    assert second[1] == first[1] + 1
    assert second[2] == first[2] + 180_000


def test_timestamps_wrap_correctly_at_a_switch() -> None:
    camera = Camera()
    camera.low(1, key=True, timestamp=0xFFFFFFFF)
    camera.look(1)
    camera.rig.now += 1
    camera.high(1, key=True, timestamp=5)
    first, second = camera.seen()
    assert (second[2] - first[2]) & 0xFFFFFFFF == 90_000


@pytest.mark.parametrize("wraps", [False, True])
def test_switching_back_and_forth_never_repeats_a_number(wraps: bool) -> None:
    camera = Camera()
    base = 65_520 if wraps else 100
    for round_ in range(40):
        camera.look(round_ % 2)
        camera.rig.now += 1 / 30
        send, other = (camera.high, camera.low) if round_ % 2 else (camera.low, camera.high)
        send(base + 2 * round_, key=True)
        send(base + 2 * round_ + 1)
        if round_:
            other(base + 2 * round_)
    seen = camera.seen()
    sequences = [sequence for _, sequence, *_ in seen]
    assert sequences == [sequences[0] + index for index in range(80)]
    assert [picture for *_, picture, _ in seen] == [(seen[0][3] + index) & 0x7FFF for index in range(80)]
    assert [tl0 for *_, tl0 in seen] == [(seen[0][4] + index) & 0xFF for index in range(80)]
    timestamps = [timestamp for _, _, timestamp, *_ in seen]
    assert all(0 < (after - before) & 0xFFFFFFFF < 90_000 for before, after in pairwise(timestamps))


actions = st.lists(
    st.tuples(
        st.sampled_from(["low", "high", "low key", "high key", "look low", "look high", "pause", "resume"]),
        st.sampled_from([1, 1, 1, 2, 5]),
    ),
    max_size=60,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(actions=actions)
def test_a_receiver_always_sees_one_stream(actions: list[tuple[str, int]]) -> None:
    """Only packets lost within a run leave gaps in the sequence numbers, and timestamps only go forward."""
    camera = Camera()
    newest = {LOW: 100, HIGH: 60_000}
    previous: tuple[int, int, int, int] | None = None  # encoding, its number, sequence number, timestamp
    for action, step in actions:
        camera.rig.now += 1 / 30
        if action.startswith("look"):
            camera.look(int(action == "look high"))
        elif action in {"pause", "resume"}:
            camera.rig.core.set_consumer_paused(camera.consumer, action == "pause")
        else:
            ssrc = HIGH if action.startswith("high") else LOW
            newest[ssrc] += step
            (camera.high if ssrc == HIGH else camera.low)(newest[ssrc], key=action.endswith("key"))
            for _, sequence, timestamp, *_ in camera.seen():
                if previous is not None:
                    within_a_run = newest[ssrc] - previous[1] if previous[0] == ssrc else 1
                    # A run may begin at a key frame.
                    assert sequence - previous[2] in ({1, within_a_run} if action.endswith("key") else {within_a_run})
                    assert 0 < (timestamp - previous[3]) & 0xFFFFFFFF < 0x80000000
                previous = ssrc, newest[ssrc], sequence, timestamp
